"""``evaluate``: the one contract between physics and search. Arrays in, arrays out, no I/O, no globals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from costmodel.bounds import bounds, most_tokens_per_s
from costmodel.cost import joules_per_output_token, usd_per_million_output_tokens
from costmodel.drafts.drafting import drafting_seconds
from costmodel.forward import PassTime
from costmodel.layout import Layout
from costmodel.memory import Memory, memory
from costmodel.memory.device import usable_bytes
from costmodel.plans import Array, Plans
from costmodel.scenario import Scenario
from costmodel.scores import Scores, concatenate
from costmodel.serving.closed_loop import BURST, DECODE, Loop, steady_loop
from costmodel.serving.latency import Latency, latencies
from costmodel.serving.own_hits import own_hits
from costmodel.serving.passes import timed
from costmodel.serving.rate.figures import AtRate, at_rate, excess
from costmodel.serving.servers import Servers, flat
from costmodel.stages import Stages

KEPT_BYTES = 31 << 20  # M_MMAP_THRESHOLD in mallopt(3) grows to 32 MiB at most


def evaluate(scenario: Scenario, plans: Plans) -> Scores:
    """Score legal plans. Each row depends on its own plan alone, whatever the order of them. Of prompts with block
    hashes each plan's own cache finds its share."""
    if scenario.lengths.prefixes is not None:
        return _with_own_hits(scenario, plans)
    _keep_memory()
    servers = Servers.of_plans(scenario, plans)
    parts = [_served(scenario, part) for part in servers.parts()]
    columns = {name: np.concatenate([part[name] for part in parts])[servers.of] for name in parts[0]}
    return _scores(scenario, plans, columns)


def _keep_memory() -> None:
    """Have the C library keep what arrays free: it does so up to twice the largest block that it saw freed. Else it
    gives the end of its heap back to the system and has it again page by page, a third of the time of an evaluation. A
    block that nobody writes to takes no memory."""
    np.empty(KEPT_BYTES, dtype=np.int8)


def _with_own_hits(scenario: Scenario, plans: Plans) -> Scores:
    """Plans whose caches find as much are scored together."""
    own = own_hits(scenario, plans)
    parts, places = [], []
    for rows, served in own.each():
        parts.append(evaluate(served, plans.take(rows)))
        places.append(rows)
    found = concatenate(parts).take(np.argsort(np.concatenate(places)))
    return replace(
        found, prefix_hit=own.share, prefix_capacity_tokens=own.capacity_tokens,
        prefix_bytes_per_gpu=own.idle_tokens * own.token_bytes,
    )  # fmt: skip


@dataclass(frozen=True)
class Served:
    """What serving the plans comes to, before limits and figures: memory, sequences of a group that are ``admitted``,
    the closed loop in steps, its passes in seconds and the latencies. With requests at a rate (``traffic``) the loop is
    the closed one with as many inside as are there in the mean: its passes are those of the plan, its latencies not."""

    layout: Layout
    held: Memory
    admitted: Any
    inside: Any
    loop: Loop
    time: PassTime
    latency: Latency
    traffic: AtRate | None = None


def serve(scenario: Scenario, plans: Plans, held: Memory | None = None) -> Served:
    """``held`` by the plans, where it is known already: no constant of time changes it. Arrays have the shape of
    ``plans.batch``, which may have rows of batches for plans of one layout each (``costmodel.serving.servers``), or
    that of the layouts."""
    layout = scenario.layout(plans)
    stages = Stages.of(scenario.model, plans.pp)
    wanted = np.ceil(plans.batch / plans.attn_dp)
    held = held or memory(scenario, layout, stages, wanted)
    admitted = held.admitted(wanted)
    inside, batch = admitted, plans.batch.astype(float)
    traffic = None
    if scenario.demand is not None:
        shape = plans.batch.shape
        traffic = at_rate(scenario, flat(plans, shape), flat(held, shape), scenario.demand)
        inside = np.clip(traffic.inside.reshape(shape), 1.0, admitted)
    loop, step = steady_loop(scenario, layout, inside, batch)
    time = timed(scenario, stages, step)
    drafting = drafting_seconds(scenario, step.at(DECODE)) if scenario.drafter else 0.0
    latency = latencies(scenario, loop, time, batch, drafting)
    return Served(layout, held, admitted, inside, loop, time, latency, traffic)


def _served(scenario: Scenario, plans: Plans) -> dict[str, Array]:
    """Figures of the cells of ``plans`` (``Servers.parts``) that are alike for all plans of a server, and from which
    ``_scores`` has the others: ``stay_s`` of a request, ``round_s`` of its limit. Flat."""
    served = serve(scenario, plans)
    layout, held, admitted, loop = served.layout, served.held, served.admitted, served.loop
    time, latency, traffic = served.time, served.latency, served.traffic
    # Where there are fewer requests than attention groups, some groups have none.
    decoding = np.minimum(loop.decodes * loop.micro * layout.attn_dp, plans.batch)
    limit = bounds(scenario, plans, decoding)
    device = scenario.accelerator
    # One rank passes through one stage: its work is 1/pp of the sum over stages.
    peak, rate = device.peak(scenario.model.quantization.default.compute), device.memory_bytes_per_s
    decode_stage_s = time.latency_s[DECODE] / layout.pp
    prefill_stage_s = time.latency_s[BURST] / layout.pp
    total = held.total_bytes
    columns: dict[str, Any] = {
        "ttft_s": latency.ttft_s,
        "burst_ttft_s": latency.burst_ttft_s,
        "tpot_s": latency.tpot_s,
        "stay_s": latency.ttft_s + scenario.lengths.decodes * latency.tpot_s,
        "weights_bytes_per_gpu": held.weights_bytes,
        "kv_cache_bytes_per_gpu": held.kv_cache_bytes,
        "activation_bytes_per_gpu": held.activation_bytes,
        "reserve_bytes_per_gpu": held.reserve_bytes,
        "memory_bytes_per_gpu": total,
        "memory_utilization": total / device.memory_bytes,
        "kv_capacity_tokens": held.kv_capacity_tokens,
        "kv_capacity_tokens_low": held.kv_capacity_tokens_low,
        "kv_capacity_tokens_high": held.kv_capacity_tokens_high,
        "starts_probability": held.starts_probability,
        "admitted_batch": admitted * plans.attn_dp,
        "decode_mfu": time.flops[DECODE] / layout.pp / decode_stage_s / peak,
        "decode_bandwidth_utilization": time.bytes[DECODE] / layout.pp / decode_stage_s / rate,
        "prefill_mfu": time.flops[BURST] / layout.pp / prefill_stage_s / peak,
        "limit_ttft_s": limit.ttft_s,
        "limit_burst_ttft_s": limit.burst_ttft_s,
        "limit_tpot_s": limit.tpot_s,
        "round_s": limit.round_s,
    }
    shape = plans.batch.shape
    found = {name: np.broadcast_to(values, shape).ravel() for name, values in columns.items()}
    if traffic is not None:
        found |= traffic.figures | {"unstable": traffic.unstable}
    return found


def _scores(scenario: Scenario, plans: Plans, columns: dict[str, Array]) -> Scores:
    """The columns of each plan's server with the figures that count its replicas."""
    answer, device = scenario.lengths.osl, scenario.accelerator
    figures: dict[str, Any] = dict(columns)
    stay, round_s, unstable = figures.pop("stay_s"), figures.pop("round_s"), figures.pop("unstable", None)
    if scenario.demand is None:
        tokens_per_s = plans.dp * plans.batch * answer / stay
        requests_per_s = tokens_per_s / answer
    else:
        requests_per_s = np.minimum(figures["capacity_requests_per_s"], scenario.demand.requests_per_s)
        tokens_per_s = requests_per_s * answer
    tokens_per_s_per_gpu = tokens_per_s / plans.gpus
    limit = most_tokens_per_s(scenario, plans, round_s)
    figures |= {
        "output_tokens_per_s": tokens_per_s,
        "output_tokens_per_s_per_gpu": tokens_per_s_per_gpu,
        "requests_per_s": requests_per_s,
        "limit_output_tokens_per_s": limit,
        "share_of_limit": tokens_per_s / limit,
    }
    return Scores(
        **figures,
        **_limited(scenario, figures, unstable),
        usd_per_million_output_tokens=usd_per_million_output_tokens(device, tokens_per_s_per_gpu),
        joules_per_output_token=joules_per_output_token(device, tokens_per_s_per_gpu),
    )


LIMIT_NAMES = ("memory", "ttft", "tpot", "requests")
# At a rate, in the order in which a plan is counted as removed.
TRAFFIC_LIMITS = ("memory", "stable", "ttft", "tpot", "e2e", "goodput", "overflow", "requests")


def _limited(scenario: Scenario, figures: dict[str, Array], unstable: NDArray[np.bool_] | None) -> dict[str, Any]:
    """``limits`` and ``violations`` of ``Scores``: relative excess over each, zero where there is no limit. A plan that
    is unstable misses every limit on latency by as much as its capacity."""
    limits = scenario.limits
    room = limits.memory_fraction * usable_bytes(scenario.accelerator)
    missed = {"memory": figures["memory_bytes_per_gpu"] / room - 1.0}
    if limits.min_requests_per_s is not None:
        missed["requests"] = 1.0 - figures["requests_per_s"] / limits.min_requests_per_s
    if limits.ttft_s is not None and limits.ttft_statistic == "burst":
        missed["ttft"] = figures["burst_ttft_s"] / limits.ttft_s - 1.0
    if scenario.demand is None or unstable is None:
        if limits.ttft_s is not None and limits.ttft_statistic == "mean":
            missed["ttft"] = figures["ttft_s"] / limits.ttft_s - 1.0
        if limits.tpot_s is not None:
            missed["tpot"] = figures["tpot_s"] / limits.tpot_s - 1.0
        names: tuple[str, ...] = LIMIT_NAMES
    else:
        overload = scenario.demand.requests_per_s / figures["capacity_requests_per_s"] - 1.0
        missed["stable"] = np.where(unstable, np.maximum(overload, 1e-9), -1.0)
        for name, beyond in excess(figures, limits).items():
            missed[name] = np.where(unstable, missed["stable"], beyond)
        if limits.goodput is not None:
            missed["goodput"] = 1.0 - figures["goodput"] / limits.goodput
        if limits.overflow_risk is not None:
            missed["overflow"] = figures["overflow_risk"] / limits.overflow_risk - 1.0
        names = TRAFFIC_LIMITS
    violations = np.zeros((len(names), len(figures["ttft_s"])))
    for row, name in enumerate(names):
        if name in missed:
            violations[row] = missed[name]
    return {"limits": names, "violations": violations}
