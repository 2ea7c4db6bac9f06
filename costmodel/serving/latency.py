"""From the steps of the closed loop to seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.forward import PassTime
from costmodel.scenario import Scenario
from costmodel.serving.closed_loop import BURST, DECODE, FIRST, MIXED, REST, Loop
from costmodel.serving.streaming import streaming_wait


def arrival(loop: Loop, decode_s: Any, mixed_s: Any) -> tuple[Any, Any]:
    """Seconds until the step that a request falls into has ended, and by which those that fell into it too lengthen its
    own prefill. A long step is hit more often than a short one: of steps S it is one of mean E[S^2] / E[S], half of it
    still to come (Kleinrock, eq. 5.16). It sees the loop without itself: nobody, if it is alone."""
    seen = loop.others / (1.0 + loop.others)
    share = loop.prefilling * seen
    mean = (1.0 - share) * decode_s + share * mixed_s
    hit = ((1.0 - share) * decode_s**2 + share * mixed_s**2) / mean
    joining = loop.rate * seen * hit / mean
    more = np.maximum(1.0 + joining - loop.prompts * loop.prefills, 0.0)
    return np.minimum(loop.others, 1.0) * hit / 2.0, more * np.maximum(mixed_s - decode_s, 0.0) / loop.prompts


# What a draft costs, in layers of the model: one, and the head, which is worth as much (assumption).
DRAFT_LAYERS = 2.0


def drafted_s(scenario: Scenario, step_s: Any, listed_s: Any = 0.0) -> Any:
    """Seconds that the drafts of a step of ``step_s`` take: they come one after the other, each from one layer and the
    head; ``listed_s``: what their operations take, where a drafter lists them."""
    if scenario.drafter is not None:
        return listed_s
    return scenario.engine.drafts * DRAFT_LAYERS / len(scenario.model.sequence) * step_s


@dataclass(frozen=True)
class Latency:
    """Seconds, arrays of shape (n,). The TTFT is the sum of ``arrival_s`` (the rest of the running step, and those that
    are scheduled already), ``queue_s`` (waiting for a place in the prefill), ``own_s`` (its own passes, and prompts
    that join it in them), the host's ``Engine.request_s``, ``stream_s`` (waiting to be sent), ``outside_s``
    (waiting for a place in the cache) and ``first_wave_s`` (what a first wave adds to the mean)."""

    ttft_s: Any
    burst_ttft_s: Any
    tpot_s: Any
    arrival_s: Any
    queue_s: Any
    own_s: Any
    stream_s: Any
    outside_s: Any
    first_wave_s: Any


def latencies(scenario: Scenario, loop: Loop, time: PassTime, batch: Any, drafting: Any = 0.0) -> Latency:
    """Turn steps into seconds.

    A step of the loop is a round of all micro-batches: as long as one of them takes through the pipeline, or as all
    of them take in the slowest stage (the pipeline's bubble is the difference). A request arrives within a step, sees
    those pass that are scheduled already, waits ``queue`` steps and is prefilled in ``prefills`` mixed ones. Where the
    ``drafting`` seconds of a step go to drafts. Where the
    cache admits fewer sequences than the replica's ``batch``, the others wait outside: by Little's law for (batch /
    served - 1) times a request's stay.
    """

    def round_s(latency: Any, slowest: Any) -> Any:
        return np.maximum(latency, loop.micro * slowest)

    engine = scenario.engine
    decodes, request = scenario.lengths.decodes / engine.tokens_a_step, scenario.engine.request_s(scenario.lengths.isl)
    share = loop.disturbed
    mean_latency = (1.0 - share) * time.latency_s[DECODE] + share * time.latency_s[MIXED]
    mean_slowest = (1.0 - share) * time.slowest_stage_s[DECODE] + share * time.slowest_stage_s[MIXED]
    step = round_s(mean_latency, mean_slowest)
    step = step + drafted_s(scenario, time.latency_s[DECODE], drafting)
    mixed = round_s(time.latency_s[MIXED], time.slowest_stage_s[MIXED])
    until, joining = arrival(loop, round_s(time.latency_s[DECODE], time.slowest_stage_s[DECODE]), mixed)
    if scenario.lockstep:
        # All come when a wave has ended; nothing runs.
        until, joining = 0.0, 0.0
    until = until + np.minimum(loop.others, 1.0) * scenario.engine.steps_ahead * step
    step = step + loop.stalls_after * mixed / max(decodes, 1)
    queue = loop.queue * step + loop.stalls_before * mixed
    alone = time.latency_s[MIXED] - (time.latency_s[DECODE] if scenario.unmixed else 0.0)
    own = (loop.prefills - 1.0) * mixed + alone + joining
    stay = until + queue + own + request + decodes * step
    stream, later = streaming_wait(scenario, loop.served, stay)
    inside = until + queue + own + request + stream
    outside = np.maximum(batch / loop.served - 1.0, 0.0) * (stay + stream + later)
    burst = loop.burst.seconds(time.latency_s[BURST], *time.slowest_stage_s[BURST : REST + 1])
    first_wave: Any = 0.0
    if math.isfinite(scenario.waves):
        wave = (loop.first_passes - 1.0) / 2.0 * time.slowest_stage_s[FIRST] + time.latency_s[FIRST]
        first_wave = np.maximum(wave - inside, 0.0) / scenario.waves
    return Latency(
        ttft_s=inside + first_wave + outside,
        burst_ttft_s=burst + request,
        tpot_s=step / engine.tokens_a_step + later / max(scenario.lengths.decodes, 1),
        arrival_s=until,
        queue_s=queue,
        own_s=own,
        stream_s=stream,
        outside_s=outside,
        first_wave_s=first_wave,
    )
