"""Continuous batching: from seconds a pass to time to first token, time per output token and throughput.

Two situations, both for requests of the workload's mean lengths:

**Steady closed loop.** Each attention group always has b requests: one that finishes is replaced at once. Counted in
passes ("steps") of one group, a request lives N = W + n + D steps: W waiting for a place in the prefill, n being
prefilled, D = osl - 1 decoding. A step has a budget of M new tokens, decodes first, so a prompt of S tokens fills the
share s = S / (M - decodes) of a step and needs n = ceil(s) of them. Requests arrive at r = b / N a step, so prefill
is busy for rho = r s of the steps. The wait of an M/D/1 queue is W = s rho / (2 (1 - rho)) (Kleinrock, Queueing Systems
I, 1975, eq. 5.72); with r = b / N this is a quadratic in N,

    (N - n - D) (N - b s) = b s^2 / 2,

whose larger root tends to n + D when prefill is light and to b s when it saturates.

An engine may hold a prompt back for up to h steps so that others join it (TensorRT-LLM's batch_wait_timeout_iters): the
first to come waits h, the r h that join it half as long, and they are prefilled together.

How tokens leave the server is in ``costmodel.streaming``.

**Burst.** All requests of a replica arrive at once and are prefilled in passes of M tokens, nothing decoded between.

A client that sends a finite number of requests begins with a burst: in the first of its waves those that are through
decode beside the others' prefill.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.forward import PassTime
from costmodel.layout import Layout
from costmodel.scenario import Scenario
from costmodel.step import Step
from costmodel.streaming import larger_root, streaming_wait

# Equally long requests that were prefilled in one pass end in one step and come back together (``synchronised``
# scenarios): prompts in a mixed pass grow from one towards all that the budget takes, to this power. 1 would be a
# lockstep without jitter. Set on the open closed-loop rows of fixed length (docs/fidelity.md).
SYNCHRONY = 0.6
# A pass is full, and is held no longer, at this share of its token budget (what public recipes set
# batch_wait_max_tokens_ratio to: 0.8 and 0.9).
HELD_FULL = 0.9

DECODE, MIXED, BURST, FIRST = 0, 1, 2, 3  # the passes, on the leading axis; FIRST only where waves are counted


@dataclass(frozen=True)
class Loop:
    """The steady state in steps, arrays of shape (n,). ``micro`` micro-batches circulate in a pipeline, each with its
    own ``sequences`` requests a group, of which ``decodes`` decode in a step; ``queue`` = W, ``prefills`` = n, ``life``
    = N; ``rate`` requests of a group arrive a step and ``prompts`` are in a step that prefills; ``prefilling`` share of
    steps in which some group prefills, ``disturbed`` share of a decoding request's steps in which somebody else is
    prefilled; ``served`` requests are in the replica's server at a time; ``burst_passes`` prefill a burst,
    ``first_passes`` the first wave."""

    micro: Any
    sequences: Any
    decodes: Any
    queue: Any
    prefills: Any
    life: Any
    rate: Any
    prompts: Any
    prefilling: Any
    disturbed: Any
    served: Any
    burst_passes: Any
    first_passes: Any

    @property
    def others(self) -> Any:
        """Requests beside one."""
        return np.maximum(self.served - 1.0, 0.0)


def steady_loop(scenario: Scenario, layout: Layout, admitted: Any, batch: Any) -> tuple[Loop, Step]:
    """Solve the loop for ``admitted`` sequences a group and describe the passes to be timed.

    ``batch`` is the replica's sequences: its burst is prefilled whole.
    """
    lengths = scenario.lengths
    budget = float(scenario.engine.max_batched_tokens)
    micro = np.minimum(layout.pp, np.maximum(admitted, 1.0))
    sequences = admitted / micro
    # The budget that decodes leave; a group whose decodes fill it still advances a prompt by a block at a time.
    room = np.maximum(budget - sequences, float(scenario.engine.block_tokens))
    share = lengths.new / room
    prefills = np.maximum(np.ceil(share), 1.0)
    life = larger_root(prefills + lengths.decodes, sequences * share, sequences * share**2)
    held_together: Any = 0.0
    if scenario.engine.hold_steps:
        held, held_together = _held(scenario, sequences / life)
        life = life + held
    rate = sequences / life
    busy = np.minimum(rate * prefills, 1.0)  # share of a group's steps that hold some prefill
    prompts = rate / busy  # prompts in each of them
    together = np.maximum(held_together / (prompts * prefills), 1.0)
    if scenario.synchronised:
        passes = np.maximum(np.ceil(sequences * lengths.new / budget), 1.0)
        together = np.maximum(together, np.maximum(sequences / passes / prompts, 1.0) ** SYNCHRONY)
    prompts, busy = prompts * together, busy / together
    decodes = rate * lengths.decodes
    # Groups that have anything to do: fewer sequences than groups leave some idle.
    groups = np.minimum(layout.attn_dp, batch / admitted)
    prefilling = 1.0 - (1.0 - busy) ** groups
    groups_prefilling = groups * busy / prefilling
    # A decoding request is not disturbed by its own prefill, only by those of its group's others and other groups.
    # It sees the N - n other steps of its life.
    own = np.minimum(np.minimum(prefills / life, 1.0), busy)
    others = np.maximum(busy - own, 0.0) / np.where(own < 1.0, 1.0 - own, 1.0)
    disturbed = 1.0 - (1.0 - others) * (1.0 - busy) ** np.maximum(groups - 1.0, 0.0)
    # The last of the waves sees half of the others' prefills: nobody follows those that end before it.
    disturbed = disturbed * (1.0 - 0.5 / scenario.waves)

    burst_sequences = np.ceil(batch / layout.attn_dp)
    burst_passes = np.maximum(np.ceil(burst_sequences * lengths.new / budget), 1.0)
    burst_prompts = burst_sequences / burst_passes

    zero = np.zeros_like(decodes)
    passes = [  # decodes and prompts of a group, and of the stage
        (decodes, zero, decodes * groups, zero),
        (decodes, prompts, decodes * groups, prompts * groups_prefilling),
        (zero, burst_prompts, zero, batch / burst_passes),
    ]
    first_passes = burst_passes
    if math.isfinite(scenario.waves):
        # Those of the first wave that are through decode already: none in its first pass, nearly all in its last.
        beside = np.minimum(burst_sequences, admitted) * (burst_passes - 1.0) / burst_passes / 2.0
        left = np.maximum(budget - beside, float(scenario.engine.block_tokens))
        first_passes = np.maximum(burst_sequences * lengths.new / left, burst_passes)
        first = burst_sequences / first_passes
        passes.append((beside, first, beside * (batch / burst_sequences), batch / first_passes))
    here, starting, stage_here, stage_starting = (np.stack(column) for column in zip(*passes, strict=True))
    step = Step(here, starting, stage_here, stage_starting, here + starting, lengths, layout)
    queue = np.maximum(life - prefills - lengths.decodes, 0.0)
    loop = Loop(
        micro, sequences, decodes, queue, prefills, life, rate, prompts, prefilling, disturbed, admitted * groups,
        burst_passes, first_passes,
    )  # fmt: skip
    return loop, step


def _held(scenario: Scenario, rate: Any) -> tuple[Any, Any]:
    """Mean steps for which a prompt is held back, and prompts that are then prefilled together, where ``rate`` arrive a
    step."""
    engine = scenario.engine
    filled = np.maximum(HELD_FULL * engine.max_batched_tokens / scenario.lengths.new - 1.0, 0.0) / rate
    steps = np.minimum(engine.hold_steps, filled)
    joining = rate * steps
    return (steps + joining * steps / 2.0) / (1.0 + joining), 1.0 + joining


def _arrival(loop: Loop, decode_s: Any, mixed_s: Any) -> tuple[Any, Any]:
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


def latencies(scenario: Scenario, loop: Loop, time: PassTime, admitted: Any, wanted: Any) -> Latency:
    """Turn steps into seconds.

    A step of the loop is a round of all micro-batches: as long as one of them takes through the pipeline, or as all
    of them take in the slowest stage (the pipeline's bubble is the difference). A request arrives within a step, sees
    those pass that are scheduled already, waits ``queue`` steps and is prefilled in ``prefills`` mixed ones. Where the
    cache admits fewer sequences than are ``wanted``, the others wait outside: by Little's law for (wanted / admitted -
    1) times a request's stay.
    """

    def round_s(latency: Any, slowest: Any) -> Any:
        return np.maximum(latency, loop.micro * slowest)

    decodes, request = scenario.lengths.decodes, scenario.engine.request_s(scenario.lengths.isl)
    share = loop.disturbed
    mean_latency = (1.0 - share) * time.latency_s[DECODE] + share * time.latency_s[MIXED]
    mean_slowest = (1.0 - share) * time.slowest_stage_s[DECODE] + share * time.slowest_stage_s[MIXED]
    step = round_s(mean_latency, mean_slowest)
    mixed = round_s(time.latency_s[MIXED], time.slowest_stage_s[MIXED])
    arrival, joining = _arrival(loop, round_s(time.latency_s[DECODE], time.slowest_stage_s[DECODE]), mixed)
    arrival = arrival + np.minimum(loop.others, 1.0) * scenario.engine.steps_ahead * step
    queue = loop.queue * step
    own = (loop.prefills - 1.0) * mixed + time.latency_s[MIXED] + joining
    stay = arrival + queue + own + request + decodes * step
    stream, later = streaming_wait(scenario, loop.served, stay)
    inside = arrival + queue + own + request + stream
    outside = np.maximum(wanted / admitted - 1.0, 0.0) * (stay + stream + later)
    burst = (loop.burst_passes - 1.0) * time.slowest_stage_s[BURST] + time.latency_s[BURST]
    first_wave: Any = 0.0
    if math.isfinite(scenario.waves):
        wave = (loop.first_passes - 1.0) / 2.0 * time.slowest_stage_s[FIRST] + time.latency_s[FIRST]
        first_wave = np.maximum(wave - inside, 0.0) / scenario.waves
    return Latency(
        ttft_s=inside + first_wave + outside,
        burst_ttft_s=burst + request,
        tpot_s=step + later / max(decodes, 1),
        arrival_s=arrival,
        queue_s=queue,
        own_s=own,
        stream_s=stream,
        outside_s=outside,
        first_wave_s=first_wave,
    )
