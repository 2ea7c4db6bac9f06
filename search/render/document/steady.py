"""The terms of one plan's latencies, which ``evaluate`` only returns added up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from costmodel.evaluate import serve
from costmodel.forward import handover_seconds
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.serving.closed_loop import BETWEEN, BURST, DECODE, MIXED, REST, steady_loop
from costmodel.serving.own_hits import of_plan
from search.render.document.account import scalar


@dataclass(frozen=True)
class Steady:
    """Seconds and steps of the closed loop and of the burst.

    ``decode_s`` and ``mixed_s`` are rounds (steps) without and with prefill; ``mixed_share`` of the steps in which a
    request decodes are of the latter kind.
    TTFT = ``arrival_s`` (the rest of the running step) + ``queue_s`` (waiting for a place in the prefill, ``queue``
    steps) + ``own_s`` (``prefills`` passes of its own) + ``request_s`` (host) + ``stream_s`` (waiting to be sent) +
    ``outside_s`` (waiting for KV cache) + ``first_wave_s`` (where a client sends a finite number of requests, the first
    of which are a burst).
    Burst = ``burst_through_s`` (a pass through all stages) + (``burst_full`` - 1) of ``burst_pass_s`` +
    ``burst_between`` of ``burst_between_s`` + ``burst_last`` of ``burst_rest_s`` + ``request_s``, in ``burst_passes``.
    """

    sequences: float
    admitted: float
    decode_s: float
    mixed_s: float
    mixed_share: float
    queue: float
    prefills: float
    life: float
    arrival_s: float
    queue_s: float
    own_s: float
    request_s: float
    stream_s: float
    outside_s: float
    first_wave_s: float
    burst_passes: float
    burst_full: float
    burst_between: float
    burst_last: float
    burst_pass_s: float
    burst_through_s: float
    burst_between_s: float
    burst_rest_s: float
    handovers_s: tuple[float, float, float]
    micro: float
    stage_tokens: float


def steady(scenario: Scenario, plan: Plans) -> Steady:
    """Solve the loop of one plan again and keep its parts (``costmodel/serving/`` has the formulas)."""
    scenario = of_plan(scenario, plan)
    wanted = np.ceil(plan.batch / plan.attn_dp)
    served = serve(scenario, plan)
    layout, admitted, time, found = served.layout, served.admitted, served.time, served.latency
    loop, step = steady_loop(scenario, layout, served.inside, plan.batch.astype(float))
    latency, slowest = time.latency_s[:, 0], time.slowest_stage_s[:, 0]
    micro = scalar(loop.micro)
    decode_s, mixed_s = (max(float(latency[p]), micro * float(slowest[p])) for p in (DECODE, MIXED))
    hops = (layout.pp - 1.0) * handover_seconds(scenario, step)
    hops = np.broadcast_to(hops, step.decodes.shape)[:, 0]
    return Steady(
        sequences=scalar(wanted),
        admitted=scalar(admitted),
        decode_s=decode_s,
        mixed_s=mixed_s,
        mixed_share=scalar(loop.disturbed),
        queue=scalar(loop.queue),
        prefills=scalar(loop.prefills),
        life=scalar(loop.life),
        arrival_s=scalar(found.arrival_s),
        queue_s=scalar(found.queue_s),
        own_s=scalar(found.own_s),
        request_s=scenario.engine.request_s(scenario.lengths.isl),
        stream_s=scalar(found.stream_s),
        outside_s=scalar(found.outside_s),
        first_wave_s=scalar(found.first_wave_s),
        burst_passes=scalar(loop.burst.passes),
        burst_full=scalar(loop.burst.full),
        burst_between=scalar(loop.burst.between),
        burst_last=scalar(loop.burst.last),
        burst_pass_s=float(slowest[BURST]),
        burst_through_s=float(latency[BURST]),
        burst_between_s=float(slowest[BETWEEN]),
        burst_rest_s=float(slowest[REST]),
        handovers_s=(float(hops[DECODE]), float(hops[MIXED]), float(hops[BURST])),
        micro=micro,
        stage_tokens=float(step.stage_decodes[DECODE, 0]),
    )
