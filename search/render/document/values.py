"""Every value of the document in one flat mapping. The sections render from it and from nothing else, so that a value
that changes changes the text."""

from __future__ import annotations

from collections import Counter
from dataclasses import is_dataclass, replace
from typing import Any

from costmodel.blocks import GroupedQueryAttention, MoeFfn
from costmodel.engine import ENGINES
from costmodel.evaluate import evaluate
from costmodel.memory.device import usable_bytes
from costmodel.parameters import active_parameters, kv_bytes_per_token, parameters, weight_bytes
from costmodel.scenario import Limits, Scenario
from search.optimizer.baselines import Baseline
from search.optimizer.outcome import Outcome
from search.render.document.claims import judge
from search.render.document.engines_compared import compared_values
from search.render.document.plan_values import plan_values
from search.render.document.search_values import search_values
from search.render.document.sensitivity_values import kept_values, sensitivity_values
from search.render.document.spans import COUNTED, ESTIMATED
from search.render.document.speculation_words import speculation_lines
from search.render.document.split_words import verdict_lines
from search.render.document.traffic_values import traffic_values
from search.render.document.verdict import FAILING, MOST_NAMED
from search.render.document.view import Values, plain
from search.render.identity import identity_values
from search.render.provenance import doubtful_values, provenance_values


def collect(outcome: Outcome) -> Values:
    """Flat keys such as ``recommended.weights_bytes_per_gpu`` or ``baseline.1.tpot_s``, in SI units."""
    assert outcome.choice is not None
    scenario = outcome.scenario
    values: Values = {"name": outcome.config.name}
    values |= prefixed("model", model_values(scenario, outcome.config.model.source))
    values |= prefixed("hardware", hardware_values(scenario))
    if scenario.accelerator.price_per_hour is not None and outcome.config.hardware.price_as_of:
        values["hardware.price_as_of"] = outcome.config.hardware.price_as_of
    values |= prefixed("input", input_values(outcome))
    row = outcome.choice.recommended
    values |= prefixed("recommended", _row(outcome, row, full=True))
    if outcome.choice.runner_up is not None:
        values |= prefixed("runner_up", _row(outcome, outcome.choice.runner_up, full=False))
    for i, relaxed in enumerate(r for r in outcome.choice.relaxed if r.row is not None):
        assert relaxed.row is not None
        values |= prefixed(f"relaxed.{i}", {"limit": relaxed.limit, "gain": relaxed.gain})
        values |= prefixed(f"relaxed.{i}.plan", _row(outcome, relaxed.row, full=False))
    values |= traffic_values(outcome)
    values |= search_values(outcome) | sensitivity_values(outcome) | kept_values(outcome) | compared_values(outcome)
    if outcome.baselines:
        values |= {"tolerance.counted": COUNTED, "tolerance.estimated": ESTIMATED}
    for i, baseline in enumerate(outcome.baselines):
        refusals = {f"refusal.{e}": rule for e, rule in baseline.refusals.items() if rule is not None}
        own: Values = {"name": baseline.name, "engines": ", ".join(baseline.engines) or "none", **refusals}
        missed = int(baseline.scores.first_violated()[0])
        own["limits"] = "kept" if missed < 0 else f"misses {baseline.scores.limits[missed]}"
        values |= prefixed(f"baseline.{i}", own | plan_values(scenario, baseline.plan, baseline.scores, full=False))
        verdicts = judge(*_in_closed_loop(baseline, scenario))
        failing = sum(verdict.verdict in FAILING for verdict in verdicts)
        own_claims = {"count": len(verdicts), "holding": len(verdicts) - failing}
        if failing > MOST_NAMED:
            own_claims["unnamed"] = failing - MOST_NAMED
        values |= prefixed(f"baseline.{i}.claims", own_claims)
        said: list[str] = []
        for j, verdict in enumerate(verdicts):
            own = verdict.values() | {"arithmetic": _once(verdict.arithmetic, said)}
            values |= prefixed(f"baseline.{i}.verdict.{j}", own)
    values |= {f"assumption.{i}.text": text for i, text in enumerate(outcome.assumptions)}
    values |= {f"split.line.{i}.text": text for i, text in enumerate(verdict_lines(outcome))}
    values |= {f"draft.line.{i}.text": text for i, text in enumerate(speculation_lines(outcome))}
    values |= provenance_values(outcome) | doubtful_values(outcome) | identity_values(outcome)
    return {key: plain(value) for key, value in values.items()}


def _once(arithmetic: str, said: list[str]) -> str:
    """The arithmetic of a claim; what an earlier claim of the plan rests on too is not written out again."""
    known = next((n for n, text in enumerate(said, 1) if text.startswith(arithmetic)), 0)
    said.append(arithmetic)
    first, *tried = arithmetic.split("; ")
    kept = [first, *(text for text in tried if text.startswith(RESTS_ON))]
    return f"as for claim {known}" if known else "; ".join(kept)


RESTS_ON = ("but ", "impossible", "it needs", "ep ")  # of what follows: what the verdict says, not what else was tried


def _in_closed_loop(baseline: Baseline, scenario: Scenario) -> tuple[Baseline, Scenario]:
    """Claims are made for full seats: at a rate they are judged in the closed loop."""
    if scenario.demand is None:
        return baseline, scenario
    limits = replace(Limits(), memory_fraction=scenario.limits.memory_fraction)
    closed = replace(scenario, demand=None, limits=limits)
    return replace(baseline, scores=evaluate(closed, baseline.plan)), closed


def prefixed(prefix: str, values: dict[str, Any]) -> Values:
    return {f"{prefix}.{key}": value for key, value in values.items()}


def _row(outcome: Outcome, row: int, *, full: bool) -> Values:
    one = slice(row, row + 1)
    plan, scores = outcome.plans.take(one), outcome.scores.take(one)
    engines = ", ".join(e for e, takes in zip(ENGINES, outcome.engines[:, row], strict=True) if takes)
    return {"engines": engines} | plan_values(outcome.scenario, plan, scores, full=full)


def model_values(scenario: Scenario, source: str) -> Values:
    """The model, in parameters, bytes and layers."""
    model = scenario.model
    values: Values = {
        "name": model.name,
        "layers": model.layer_count,
        "hidden": model.hidden,
        "vocabulary": model.vocabulary,
        "parameters": parameters(model),
        "active_parameters": active_parameters(model),
        "kv_bytes_per_token": kv_bytes_per_token(model),
        "kv_elements_per_token": kv_bytes_per_token(model) / model.kv_format.bytes_per_element,
        "kv_format": model.kv_format.name,
        "weights_bytes": sum(weight_bytes(model).values()),
    }
    if source:
        values["source"] = source
    if model.max_position:
        values["max_position"] = model.max_position
    if model.vision_parameters:
        values["vision_parameters"] = model.vision_parameters
    for i, (name, size) in enumerate(weight_bytes(model).items()):
        values |= {f"format.{i}.name": name, f"format.{i}.bytes": size}
    counts = Counter(model.sequence)
    for i, kind in enumerate(model.kinds):
        values |= prefixed(f"kind.{i}", {"layers": counts[i], **_kind_values(kind)})
    return values


def _kind_values(kind: Any) -> Values:
    """What one kind of layer is made of. A block's fields that are off (False, None, zero, "none") are left out."""
    values: Values = {}
    for part, block in (("mixer", kind.mixer), ("ffn", kind.ffn)):
        if block is None:
            continue
        values[f"{part}.name"] = type(block).__name__
        for name, value in vars(block).items():
            if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
                if value not in (0, "none"):
                    values[f"{part}.field.{name}"] = value
            elif is_dataclass(value):
                values[f"{part}.field.{name}"] = type(value).__name__
            elif value is True:
                values[f"{part}.field.{name}"] = "yes"
    if isinstance(kind.mixer, GroupedQueryAttention):
        values["mixer.kv_heads"] = kind.mixer.kv_heads
    if isinstance(kind.ffn, MoeFfn):
        values["ffn.experts"] = kind.ffn.experts
    return values


def hardware_values(scenario: Scenario) -> Values:
    """The accelerator and how it is wired."""
    device = scenario.accelerator
    dtype = device.compute_dtype(scenario.model.quantization.default.compute)
    flops, rate = scenario.law.ceilings(device, dtype)
    values: Values = {
        "name": device.name,
        "memory_bytes": device.memory_bytes,
        "memory_bytes_per_s": device.memory_bytes_per_s,
        "achieved_bytes_per_s": rate,
        "dtype": dtype,
        "peak_flops": device.peak(dtype),
        "achieved_flops": flops,
        "bandwidth_share": rate / device.memory_bytes_per_s,
        "flops_share": flops / device.peak(dtype),
        "law": type(scenario.law).__name__,
        "cluster": scenario.cluster.name,
    }
    if device.datasheet_memory_bytes is not None:
        values["datasheet_memory_bytes"] = device.datasheet_memory_bytes
    if device.power_w is not None:
        values["power_w"] = device.power_w
    if device.price_per_hour is not None:
        values["price_per_hour"] = device.price_per_hour
    for i, tier in enumerate(scenario.cluster.tiers):
        values |= prefixed(f"tier.{i}", {**vars(tier), "rate": tier.rate})
    return values


def input_values(outcome: Outcome) -> Values:
    """Workload, limits, the engine's constants, and what is searched for."""
    scenario = outcome.scenario
    limits, engine, lengths = scenario.limits, scenario.engine, scenario.lengths
    values: Values = {
        "isl": lengths.isl,
        "osl": lengths.osl,
        "total": lengths.total,
        "new": lengths.new,
        "decodes": lengths.decodes,
        "mean_context": lengths.decode_context(),
        "prefix_hit": lengths.prefix_hit,
        "memory_fraction": limits.memory_fraction,
        "usable_bytes": limits.memory_fraction * usable_bytes(scenario.accelerator),
        "ttft_statistic": limits.ttft_statistic,
        "tpot_statistic": limits.tpot_statistic,
        "e2e_statistic": limits.e2e_statistic,
    }
    for name in ("ttft_s", "tpot_s", "e2e_s", "goodput", "overflow_risk", "min_requests_per_s"):
        if getattr(limits, name) is not None:
            values[f"limit.{name}"] = getattr(limits, name)
    version = outcome.config.engine.version
    constants = {name: value for name, value in vars(engine).items() if name != "memory"}
    values |= prefixed("engine", constants | ({"version": version} if version else {}))
    for i, (column, direction) in enumerate(outcome.objectives.directions.items()):
        values |= {f"objective.{i}.column": column, f"objective.{i}.direction": direction}
    for i, (column, direction) in enumerate(outcome.policy.columns.items()):
        values |= {f"policy.{i}.column": column, f"policy.{i}.direction": direction}
    for axis, allowed in outcome.space.axes.items():
        values |= prefixed(f"axis.{axis}", {"low": allowed[0], "high": allowed[-1], "values": len(allowed)})
    return values
