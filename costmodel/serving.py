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

**Burst.** All requests of a replica arrive at once and are prefilled in passes of M tokens, nothing decoded between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.forward import PassTime
from costmodel.layout import Layout
from costmodel.lengths import FixedLengths
from costmodel.scenario import Scenario
from costmodel.step import Step

# Of equally long requests that were prefilled together, the share that is prefilled together again (``synchronised``
# scenarios). Groups dissolve when a chunk's end cuts one. Set on the open closed-loop rows of fixed length, where 0.3
# and 0.6 do equally well (docs/fidelity.md).
SYNCHRONY = 0.75

DECODE, MIXED, BURST = 0, 1, 2  # the passes, on the leading axis


@dataclass(frozen=True)
class Loop:
    """The steady state in steps, arrays of shape (n,). ``micro`` micro-batches circulate in a pipeline, each with its
    own ``sequences`` requests a group, of which ``decodes`` decode in a step; ``queue`` = W, ``prefills`` = n, ``life``
    = N; ``prefilling`` share of steps in which some group prefills, ``disturbed`` share of a decoding request's
    steps in which somebody else is prefilled."""

    micro: Any
    sequences: Any
    decodes: Any
    queue: Any
    prefills: Any
    life: Any
    prefilling: Any
    disturbed: Any
    burst_passes: Any


def steady_loop(scenario: Scenario, layout: Layout, admitted: Any, batch: Any) -> tuple[Loop, Step]:
    """Solve the loop for ``admitted`` sequences a group and describe the three passes to be timed.

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
    life = _life(lengths, sequences, share, prefills)
    rate = sequences / life
    busy = np.minimum(rate * prefills, 1.0)  # share of a group's steps that hold some prefill
    prompts = rate / busy  # prompts in each of them
    together = np.ones_like(prompts)
    if scenario.synchronised:
        passes = np.maximum(np.ceil(sequences * lengths.new / budget), 1.0)
        together = np.maximum(sequences / passes / prompts, 1.0) ** SYNCHRONY
        prompts, busy = prompts * together, busy / together
    decodes = rate * lengths.decodes
    groups = layout.attn_dp
    prefilling = 1.0 - (1.0 - busy) ** groups
    groups_prefilling = groups * busy / prefilling
    # A decoding request is not disturbed by its own prefill, only by those of its group's others and other groups.
    # It sees the N - n other steps of its life.
    own = np.minimum(prefills / life, 1.0)
    if scenario.synchronised:
        own = np.minimum(own, busy)
    others = np.maximum(busy - own, 0.0) / np.where(own < 1.0, 1.0 - own, 1.0)
    disturbed = 1.0 - (1.0 - others) * (1.0 - busy) ** (groups - 1.0)

    burst_sequences = np.ceil(batch / groups)
    burst_passes = np.maximum(np.ceil(burst_sequences * lengths.new / budget), 1.0)
    burst_prompts = burst_sequences / burst_passes

    zero = np.zeros_like(decodes)
    step = Step(
        decodes=np.stack([decodes, decodes, zero]),
        prompts=np.stack([zero, prompts, burst_prompts]),
        stage_decodes=np.stack([decodes * groups, decodes * groups, zero]),
        stage_prompts=np.stack([zero, prompts * groups_prefilling, batch / burst_passes]),
        samples=np.stack([decodes, decodes + prompts, burst_prompts]),
        lengths=lengths,
        layout=layout,
    )
    queue = np.maximum(life - prefills - lengths.decodes, 0.0)
    return Loop(micro, sequences, decodes, queue, prefills, life, prefilling, disturbed, burst_passes), step


def _life(lengths: FixedLengths, sequences: Any, share: Any, prefills: Any) -> Any:
    alone = prefills + lengths.decodes
    saturated = sequences * share
    return (alone + saturated) / 2 + np.sqrt(((alone - saturated) / 2) ** 2 + sequences * share**2 / 2)


@dataclass(frozen=True)
class Latency:
    """Seconds, arrays of shape (n,)."""

    ttft_s: Any
    burst_ttft_s: Any
    tpot_s: Any


def latencies(scenario: Scenario, loop: Loop, time: PassTime, admitted: Any, wanted: Any) -> Latency:
    """Turn steps into seconds.

    A step of the loop is a round of all micro-batches: as long as one of them takes through the pipeline, or as all
    of them take in the slowest stage (the pipeline's bubble is the difference). A request arrives in the middle of a
    step, waits ``queue`` steps and is prefilled in ``prefills`` mixed ones. Where the cache admits fewer sequences
    than are ``wanted``, the others wait outside: by Little's law for (wanted / admitted - 1) times a request's stay.
    """

    def round_s(latency: Any, slowest: Any) -> Any:
        return np.maximum(latency, loop.micro * slowest)

    # The last of the waves sees half of the others' prefills: nobody follows those that end before it.
    share = loop.disturbed * (1.0 - 0.5 / scenario.waves)
    mean_latency = (1.0 - share) * time.latency_s[DECODE] + share * time.latency_s[MIXED]
    mean_slowest = (1.0 - share) * time.slowest_stage_s[DECODE] + share * time.slowest_stage_s[MIXED]
    tpot = round_s(mean_latency, mean_slowest)
    mixed = round_s(time.latency_s[MIXED], time.slowest_stage_s[MIXED])
    own = (loop.prefills - 1.0) * mixed + time.latency_s[MIXED]
    inside = (0.5 + loop.queue) * tpot + own + scenario.engine.request_overhead_s
    stay = inside + scenario.lengths.decodes * tpot
    outside = np.maximum(wanted / admitted - 1.0, 0.0) * stay
    burst = (loop.burst_passes - 1.0) * time.slowest_stage_s[BURST] + time.latency_s[BURST]
    mean_burst = (loop.burst_passes - 1.0) / 2.0 * time.slowest_stage_s[BURST] + time.latency_s[BURST]
    first = 1.0 / scenario.waves
    steady = (1.0 - first) * inside + first * np.maximum(mean_burst, inside)
    return Latency(steady + outside, burst + scenario.engine.request_overhead_s, tpot)
