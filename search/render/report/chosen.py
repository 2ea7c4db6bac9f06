"""Values of the plan that the pictures are about: where its time goes, its operations under the roofs, its memory,
and what other batches would do to it."""

from __future__ import annotations

import numpy as np

from costmodel.breakdown import breakdown
from costmodel.evaluate import evaluate
from costmodel.memory import blocks
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.stages import Stages
from search.evidence.measured.intervals import coverage_of, load_intervals
from search.optimizer.outcome import Outcome
from search.optimizer.refused import refused
from search.optimizer.rules.facts import facts_of
from search.render.document.account import scalar, stage_weights
from search.render.report.view import ReportValues

SWEEP_POINTS = 36
SWEPT = ("output_tokens_per_s", "ttft_s", "burst_ttft_s", "tpot_s")


def chosen_values(outcome: Outcome, row: int) -> ReportValues:
    """Keys ``part.``, ``roof.``, ``stage_memory.`` and ``sweep.`` of the plan in ``row``."""
    plan = outcome.plans.take(slice(row, row + 1))
    scenario = outcome.scenario
    return _parts(scenario, plan) | _roofs(scenario) | _stages(scenario, plan) | _sweep(outcome, plan)


def _parts(scenario: Scenario, plan: Plans) -> ReportValues:
    """Every operation of each pass; where it does work, its intensity and the rate that it achieves."""
    values: ReportValues = {}
    totals: dict[str, float] = {}
    for i, part in enumerate(breakdown(scenario, plan)):
        values |= {f"part.{i}.{k}": v for k, v in vars(part).items()}
        totals[part.phase] = totals.get(part.phase, 0.0) + part.seconds
        if part.flops > 0.0 and part.bytes > 0.0:
            values[f"part.{i}.intensity"] = part.flops / part.bytes
            values[f"part.{i}.flops_per_s"] = part.flops / part.seconds
    return values | {f"phase.{name}.seconds": seconds for name, seconds in totals.items()}


def _roofs(scenario: Scenario) -> ReportValues:
    """Peaks of the datasheet and the best that the law reaches, for the weights' dtype and for bf16."""
    device = scenario.accelerator
    wanted = (scenario.model.quantization.default.compute, "bf16")
    dtypes = list(dict.fromkeys(device.compute_dtype(d) for d in wanted))
    values: ReportValues = {"roof.bytes_per_s": device.memory_bytes_per_s}
    for i, dtype in enumerate(dtypes):
        flops, rate = scenario.law.ceilings(device, dtype)
        values |= {f"roof.{i}.dtype": dtype, f"roof.{i}.peak": device.peak(dtype), f"roof.{i}.achieved": flops}
        values["roof.achieved_bytes_per_s"] = rate
    return values


def _stages(scenario: Scenario, plan: Plans) -> ReportValues:
    """Weights and cache of each pipeline stage; every accelerator of a stage holds as much. Nothing for one stage."""
    if int(plan.pp[0]) == 1:
        return {}
    setting = scenario.setting(scenario.layout(plan))
    held = blocks(scenario.lengths.total, scenario.engine.block_tokens)
    each = [
        0.0 if k.mixer is None else k.mixer.cache_bytes(setting, held) + k.mixer.state_bytes(setting)
        for k in scenario.model.kinds
    ]
    stages, sequences = Stages.of(scenario.model, plan.pp), np.ceil(plan.batch / plan.attn_dp)
    values: ReportValues = {}
    for s in range(int(plan.pp[0])):
        cache = stages.stage_sum(s, each, np.zeros(1), np.zeros(1)) * sequences
        values[f"stage_memory.{s}.weights"] = sum(p.rank_bytes for p in stage_weights(scenario, plan, s))
        values[f"stage_memory.{s}.kv_cache"] = scalar(cache)
    return values


def batch_grid(batch: int, most: int) -> list[int]:
    """Batches from 1 to ``most``, evenly spread over their logarithm, with ``batch`` among them."""
    grid = np.geomspace(1, max(most, 2), SWEEP_POINTS)
    return sorted({batch, *np.rint(grid).astype(int).tolist()})


def _sweep(outcome: Outcome, plan: Plans) -> ReportValues:
    """The same layout with other batches: figures with their intervals, and what each batch misses."""
    scenario, batch = outcome.scenario, int(plan.batch[0])
    most = max(outcome.space.axes["batch"][-1], 2 * batch)
    grid = batch_grid(batch, most)
    layout = {axis: size for axis, size in plan.row(0).items() if axis != "batch"}
    plans = Plans.of(**layout, batch=np.array(grid))
    scores = evaluate(scenario, plans)
    stable = np.isfinite(scores.ttft_s)
    plans, scores, grid = plans.take(stable), scores.take(stable), np.array(grid)[stable].tolist()
    known = coverage_of(scenario, plans, scores)
    values: ReportValues = {"sweep.batch": tuple(grid), "sweep.chosen": batch}
    for name in SWEPT:
        figures = getattr(scores, name)
        low, high = load_intervals().of(name, known, figures)
        values |= {f"sweep.{name}": tuple(figures.tolist())}
        values |= {f"sweep.{name}_low": tuple(low.tolist()), f"sweep.{name}_high": tuple(high.tolist())}
    missed = [[n for n, v in zip(scores.limits, column, strict=True) if v > 0] for column in scores.violations.T]
    for names, found in zip(missed, refused(plans, facts_of(scenario)), strict=True):
        if found.by(outcome.engine):
            names.append("the engine's rules")
    values["sweep.misses"] = tuple(", ".join(names) or "none" for names in missed)
    return values
