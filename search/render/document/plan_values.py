"""The values of one plan: degrees, scores, and with ``full`` the parts that its figures are sums of."""

from __future__ import annotations

import math
from collections.abc import Mapping

from costmodel.blocks import DenseFfn, GroupedQueryAttention, MoeFfn
from costmodel.breakdown import Part, breakdown
from costmodel.memory import blocks
from costmodel.memory.device import usable_bytes
from costmodel.operations import ACTIVATION_BYTES
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.scores import FIGURES, PREDICTED, Scores
from costmodel.serving.own_hits import of_plan
from costmodel.stages import split_layers
from search.evidence.measured.intervals import CLASSES, coverage_of, load_intervals
from search.optimizer.hardened import bounded
from search.render.document.account import decode_reading, heaviest_stage, module_weights, scalar, sequence_cache_bytes
from search.render.document.evidence_words import evidence_lines
from search.render.document.placement import Rank, place, traffic
from search.render.document.steady import Steady, steady
from search.render.document.traffic_values import term_values
from search.render.document.view import Values

MOST_NODES = 4  # written out rank by rank
MOST_RANKS = 16
TINY = 1e-3  # of a rank's weights: modules below it, as norms, are added up
LITTLE = 0.015  # of every pass: operations below it are one line
PHASES = ("decode", "mixed", "prefill")
MESSAGES = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "send")


def plan_values(scenario: Scenario, plan: Plans, scores: Scores, *, full: bool) -> Values:
    """``full`` adds modules, time, placement and load, which only the recommended plan shows."""
    degrees, scenario = plan.row(0), of_plan(scenario, plan)
    values: Values = dict(degrees)
    values |= {
        "stage_width": int(plan.stage_width[0]),
        "attn_dp": int(plan.attn_dp[0]),
        "moe_tp": int(plan.moe_tp[0]) if scenario.model.has_experts else 1,
        "replica_gpus": degrees["gpus"] // degrees["dp"],
        "in_flight": degrees["dp"] * degrees["batch"],
        "attention_width": int(plan.attn_dp[0] * plan.tp[0]),
        "nodes": math.ceil(degrees["gpus"] / scenario.cluster.node_size),
    }
    values |= {name: scalar(getattr(scores, name)) for name in FIGURES}
    known = coverage_of(scenario, plan, scores)
    values["coverage"] = CLASSES[int(known[0])]
    if full:
        values |= {f"evidence.{i}.text": line for i, line in enumerate(evidence_lines(scenario, plan, int(known[0])))}
    values |= {name: scalar(getattr(scores, name)) for name in scores.costs}
    if (price := scenario.accelerator.price_per_hour) is not None:
        values["usd_per_hour"] = price * degrees["gpus"]
    for name in (*PREDICTED, *scores.costs):
        low, high = load_intervals().of(name, known, getattr(scores, name))
        values |= {f"{name}_low": scalar(low), f"{name}_high": scalar(high)}
    terms = steady(scenario, plan)
    values |= {k: v for k, v in vars(terms).items() if not isinstance(v, tuple)}
    reading = decode_reading(scenario, plan)
    values |= {f"reading.{k}": v for k, v in vars(reading).items()}
    values |= _cache_values(scenario, plan, terms)
    values |= limit_values(scenario, scores)
    values |= term_values(scenario, plan, scores)
    values["bandwidth_bytes_per_s"] = (
        scalar(scores.decode_bandwidth_utilization) * scenario.accelerator.memory_bytes_per_s
    )
    if full:
        values |= _module_values(scenario, plan)
        values |= _activation_values(scenario, plan)
        values |= _time_values(scenario, plan, terms)
        values |= _placement_values(scenario, degrees)
        values |= _balance_values(scenario, plan, terms)
    return values


def limit_values(scenario: Scenario, scores: Scores) -> Values:
    """The limits that are set: the figure that each bounds, what is allowed, and how far the plan stays from it."""
    allowed = bounded(scenario.limits, usable_bytes(scenario.accelerator))
    values: Values = {}
    for i, name in enumerate(scores.limits):
        if name in allowed:
            column, bound = allowed[name]
            values |= {f"limit.{name}.column": column, f"limit.{name}.allowed": bound}
            values[f"limit.{name}.value"] = scalar(getattr(scores, column))
            values[f"limit.{name}.headroom"] = -float(scores.violations[i, 0])
    return values


def _cache_values(scenario: Scenario, plan: Plans, terms: Steady) -> Values:
    """Sequences × tokens × bytes a token."""
    each = sequence_cache_bytes(scenario, plan)
    held = blocks(scenario.lengths.total, scenario.engine.block_tokens)
    values: Values = {
        "cache.sequences": terms.sequences,
        "cache.tokens": float(held),
        "cache.bytes_per_token": each / float(held),
        "cache.bytes_per_sequence": each,
    }
    heads = min(
        (k.mixer.kv_heads for k in scenario.model.kinds if isinstance(k.mixer, GroupedQueryAttention)), default=0
    )
    if heads and int(plan.tp[0]) > heads:
        values["cache.copies"] = int(plan.tp[0]) // heads
    return values


def _module_values(scenario: Scenario, plan: Plans) -> Values:
    values: Values = {}
    classes: dict[str, float] = {}
    parts = module_weights(scenario, plan)
    total = sum(part.rank_bytes for part in parts)
    shown = [part for part in parts if part.rank_bytes >= TINY * total]
    for i, part in enumerate(shown):
        values |= {f"module.{i}.{k}": v for k, v in vars(part).items()}
    if rest := sum(part.rank_bytes for part in parts if part.rank_bytes < TINY * total):
        values["tiny_modules_bytes"] = rest
    for part in parts:
        name = part.name.split(".")[0]
        classes[name] = classes.get(name, 0.0) + part.rank_bytes
    for i, (name, size) in enumerate(sorted(classes.items(), key=lambda item: -item[1])):
        values |= {f"weights.{i}.name": name, f"weights.{i}.bytes": size}
    layers = split_layers(scenario.model.layer_count, int(plan.pp[0]))
    first = 0
    for stage, n in enumerate(layers):
        values |= {
            f"stage.{stage}.number": stage,
            f"stage.{stage}.first": first,
            f"stage.{stage}.last": first + n - 1,
            f"stage.{stage}.layers": n,
        }
        first += n
    values["heaviest_stage"] = heaviest_stage(scenario, plan)
    return values


def _activation_values(scenario: Scenario, plan: Plans) -> Values:
    """The residual streams of the largest pass; the rest is its greediest operation, or the logits."""
    tokens = max(scenario.engine.max_batched_tokens, math.ceil(int(plan.batch[0]) / int(plan.attn_dp[0])))
    residual = 2.0 * tokens / int(plan.sp[0]) * scenario.model.hidden * ACTIVATION_BYTES
    return {"activation.tokens": tokens, "activation.residual_bytes": residual}


def _time_values(scenario: Scenario, plan: Plans, terms: Steady) -> Values:
    """Seconds by class of operation in each kind of pass."""
    classes: dict[str, dict[str, list[Part]]] = {}
    for part in breakdown(scenario, plan):
        classes.setdefault(_class_of(part), {p: [] for p in PHASES})[part.phase].append(part)
    values: Values = {}
    rows = sorted(_joined(classes).items(), key=lambda item: -sum(p.seconds for p in item[1]["decode"]))
    for i, (name, phases) in enumerate(rows):
        values[f"time.{i}.name"] = name
        for phase, parts in phases.items():
            values[f"time.{i}.{phase}_s"] = sum(p.seconds for p in parts)
        for phase in ("decode", "prefill"):
            if phases[phase]:
                values[f"time.{i}.{phase}_bound"] = max(phases[phase], key=lambda p: p.seconds).bound
    if any(terms.handovers_s):
        i = len(rows)
        values |= {f"time.{i}.name": "pipeline hand-over", f"time.{i}.decode_bound": "communication"}
        values |= {f"time.{i}.{phase}_s": s for phase, s in zip(PHASES, terms.handovers_s, strict=True)}
        values[f"time.{i}.prefill_bound"] = "communication"
    for phase in PHASES:
        total = sum(float(values[f"time.{i}.{phase}_s"]) for i in range(len(rows) + any(terms.handovers_s)))
        values[f"pass.{phase}_s"] = total
        messages = sum(p.seconds for name, ps in classes.items() if name.endswith("messages") for p in ps[phase])
        messages += terms.handovers_s[PHASES.index(phase)]
        values[f"pass.{phase}_message_share"] = messages / total
    overlap = scenario.engine.comm_overlap
    if overlap:
        values["pass.comm_overlap"] = overlap
    return values


def _joined(classes: dict[str, dict[str, list[Part]]]) -> dict[str, dict[str, list[Part]]]:
    """The classes, those that take little of every pass joined into one."""
    totals = {phase: sum(p.seconds for parts in classes.values() for p in parts[phase]) for phase in PHASES}
    found: dict[str, dict[str, list[Part]]] = {}
    for name, phases in classes.items():
        little = all(sum(p.seconds for p in phases[x]) < LITTLE * totals[x] for x in PHASES)
        into = found.setdefault("everything else" if little else name, {phase: [] for phase in PHASES})
        for phase in PHASES:
            into[phase] += phases[phase]
    return found


def _class_of(part: Part) -> str:
    module = part.name.split(".")[0]
    if part.kind in MESSAGES:
        return f"{module}: messages"
    if part.kind == "overhead":
        return "host: scheduler and sampler"
    if part.kind in ("prefill_attention", "decode_attention", "mla_decode", "scan"):
        return f"{module}: over the cache" if part.kind != "scan" else f"{module}: scan"
    if part.kind == "elementwise":
        return "norms, activations, embedding"
    return f"{module}: matrices"


def _placement_values(scenario: Scenario, degrees: Mapping[str, int]) -> Values:
    experts = min((k.ffn.experts for k in scenario.model.kinds if isinstance(k.ffn, MoeFfn)), default=0)
    engine, size = scenario.engine, scenario.cluster.node_size
    values: Values = {"node_size": size}
    ranks = place(degrees, experts, size)
    last = ranks[-1].node
    # More than a few nodes: the first two and the last stand for all.
    shown = [r for r in ranks if last < MOST_NODES or r.node in (0, 1, last)]
    if len(shown) > MOST_RANKS:
        shown = [*shown[: MOST_RANKS * 3 // 4], *shown[-MOST_RANKS // 4 :]]
    if len(shown) < len(ranks):
        values["ranks_left_out"] = len(ranks) - len(shown)
    each = [_rank_values(rank, experts) for rank in shown]
    differing = {k for k in each[0] if k == "rank" or any(one[k] != each[0][k] for one in each)}
    if "last_expert" in differing:
        differing.add("first_expert")
    for i, one in enumerate(each):
        values |= {f"rank.{i}.{k}": v for k, v in one.items() if k in differing}
    exchange = engine.exchange if experts else None
    wide = engine.dense_split == "stage" and any(isinstance(k.ffn, DenseFfn) for k in scenario.model.kinds)
    for i, kind in enumerate(traffic(degrees, size, exchange=exchange, wide_dense=wide)):
        values |= {f"traffic.{i}.{k}": v for k, v in vars(kind).items()}
    return values


def _rank_values(rank: Rank, experts: int) -> Values:
    values = {k: v for k, v in vars(rank).items() if experts or k not in ("ep", "moe_tp", "first_expert", "end_expert")}
    if experts:
        values["last_expert"] = values.pop("end_expert") - 1
    return dict(values)


def _balance_values(scenario: Scenario, plan: Plans, terms: Steady) -> Values:
    values: Values = {}
    moes = dict.fromkeys(k.ffn for k in scenario.model.kinds if isinstance(k.ffn, MoeFfn))
    ep, tokens = int(plan.ep[0]), terms.stage_tokens
    for i, moe in enumerate(moes):
        local, share = math.ceil(moe.experts / ep), moe.top_k / moe.experts
        values |= {
            f"moe.{i}.experts": moe.experts,
            f"moe.{i}.top_k": moe.top_k,
            f"moe.{i}.local": local,
            f"moe.{i}.tokens": tokens,
            f"moe.{i}.hit": local * (1.0 - (1.0 - share) ** tokens),
            f"moe.{i}.rows": tokens * moe.top_k / ep,
            f"moe.{i}.rows_each": tokens * share,
        }
        if moe.experts % ep:
            values[f"moe.{i}.fewest"] = moe.experts // ep
    batch, groups = int(plan.batch[0]), int(plan.attn_dp[0])
    values |= {"group.most": math.ceil(batch / groups), "group.fewest": batch // groups}
    layers = split_layers(scenario.model.layer_count, int(plan.pp[0]))
    values |= {"stages.most": max(layers), "stages.fewest": min(layers)}
    return values
