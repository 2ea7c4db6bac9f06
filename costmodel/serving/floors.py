"""What no plan of a layout undercuts whose batch lies between two: floors of the latencies, a ceiling of the output.

``forward`` never gets faster with more decodes or prompts in a pass, but for two switches of kernels, which
``_best_kernels`` and ``_worst_kernels`` set to the faster and the slower side throughout. So a pass is bounded by the
pass of the least (most) that it may hold. What it may hold follows from the closed loop by intervals: each quantity of
``serving.closed_loop`` is monotonous in those that it is made of, and the same in ``serving.latency``. Nothing here is
a fit; the narrower the range of batches, the closer the bounds.

``tests/costmodel/serving/test_floors.py`` sets them against ``evaluate`` on every batch of random ranges.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from costmodel.all_reduce import does_norms
from costmodel.efficiency import NONE, USUAL, EfficiencyLaw, ExpertKernels, Inputs, Times
from costmodel.forward import PassTime, forward
from costmodel.hardware import Accelerator
from costmodel.layout import Layout
from costmodel.memory import memory
from costmodel.operations import Work
from costmodel.plans import IntArray, Plans
from costmodel.scenario import Scenario
from costmodel.serving.burst import Burst, burst_of
from costmodel.serving.streaming import larger_root
from costmodel.stages import Stages
from costmodel.step import Step

SAFE = 1e-9  # relative: more than rounding makes of a sum


class Range(NamedTuple):
    """The least and the most that a quantity may be."""

    low: Any
    high: Any


@dataclass(frozen=True)
class Floors:
    """Arrays of shape (n,): no batch of the range has a shorter ``ttft_s``, ``burst_ttft_s`` or ``tpot_s``, nor more
    ``output_tokens_per_s``."""

    ttft_s: Any
    burst_ttft_s: Any
    tpot_s: Any
    output_tokens_per_s: Any


def has_floors(scenario: Scenario) -> bool:
    """Closed loops without end, of requests that do not move in step, without drafts: what a search of plans scores
    unless it is asked for more."""
    engine = scenario.engine
    usual = scenario.demand is None and scenario.drafter is None and not engine.drafts and scenario.decode_ranks == 1
    steady = math.isinf(scenario.waves) and not scenario.synchronised
    return usual and steady and not (engine.hold_steps or engine.balance_steps)


def floors(scenario: Scenario, plans: Plans, last: IntArray) -> Floors:
    """Of each plan's layout with batches from its own to ``last``. Where the cache may not hold one sequence of a
    group nothing is known: floors are zero, the ceiling infinite."""
    layout = scenario.layout(plans)
    stages = Stages.of(scenario.model, plans.pp)
    batch = Range(plans.batch.astype(float), last.astype(float))
    loop = _loop(scenario, layout, stages, batch)
    best, worst = _best_kernels(scenario), _worst_kernels(scenario)
    low = forward(best, stages, _least(scenario, layout, loop))
    high = forward(worst, stages, _most(scenario, layout, loop, batch))
    found = _latencies(scenario, plans, batch, loop, low, high)
    known = loop.known
    return Floors(
        ttft_s=np.where(known, found.ttft_s, 0.0),
        burst_ttft_s=found.burst_ttft_s,
        tpot_s=np.where(known, found.tpot_s, 0.0),
        output_tokens_per_s=np.where(known, found.output_tokens_per_s, np.inf),
    )


@dataclass(frozen=True)
class _Loop:
    """The ranges of ``serving.closed_loop.Loop``, and of what is on the way to it."""

    known: Any
    wanted: Range
    admitted: Range
    micro: Range
    sequences: Range
    prefills: Range
    queue: Any  # the least
    decodes: Range
    prompts: Range
    groups: Range
    busy: Range
    disturbed: Range
    burst: Burst  # of the smallest batch: each request more adds to its passes


def _loop(scenario: Scenario, layout: Layout, stages: Stages, batch: Range) -> _Loop:
    lengths, engine = scenario.lengths, scenario.engine
    wanted = Range(*(np.ceil(b / layout.attn_dp) for b in batch))
    # More sequences leave no more room for caches.
    seats = Range(*(memory(scenario, layout, stages, w).seats for w in (wanted.high, wanted.low)))
    known = seats.low >= 1.0
    admitted = Range(
        np.minimum(wanted.low, np.maximum(seats.low, 1.0)), np.minimum(wanted.high, np.maximum(seats.high, 1.0))
    )
    micro = Range(*(np.minimum(layout.pp, np.maximum(a, 1.0)) for a in admitted))
    sequences = Range(admitted.low / micro.low, admitted.high / micro.high)  # rises with those admitted
    taken = (0.0 * s if engine.prefill_first else s for s in sequences)
    room = (np.maximum(engine.max_batched_tokens - t, float(engine.block_tokens)) for t in taken)
    share = Range(*(lengths.new / r for r in room))
    prefills = Range(*(np.maximum(np.ceil(s), 1.0) for s in share))
    turns, spread = float(lengths.decodes), lengths.new_spread
    # Steps of a life for each sequence: the larger root rises in all that it is made of, and scales with it.
    each = Range(
        larger_root((prefills.low + turns) / sequences.high, share.low, share.low**2 * spread / sequences.high),
        larger_root((prefills.high + turns) / sequences.low, share.high, share.high**2 * spread / sequences.low),
    )
    rate = Range(1.0 / each.high, 1.0 / each.low)
    life = Range(sequences.low * each.low, sequences.high * each.high)
    busy = Range(np.minimum(rate.low * prefills.low, 1.0), np.minimum(rate.high * prefills.high, 1.0))
    prompts = Range(np.maximum(1.0 / prefills.high, rate.low), np.maximum(1.0 / prefills.low, rate.high))
    alone = prefills.high + turns  # what is queued beyond it falls as it rises
    saturated, square = sequences.low * share.low, sequences.low * share.low**2 * spread
    queue = np.maximum(larger_root(alone, saturated, square) - alone, 0.0)
    groups = Range(
        np.clip(batch.low / admitted.high, 1.0, layout.attn_dp), np.clip(batch.high / admitted.low, 1.0, layout.attn_dp)
    )
    own = Range(np.minimum(prefills.low / life.high, busy.low), np.minimum(prefills.high / life.low, busy.high))
    own = Range(own.low, np.minimum(own.high, 1.0))
    disturbed = Range(
        _disturbed(busy.low, own.high, groups.low, micro.low),
        _disturbed(busy.high, np.minimum(own.low, busy.high), groups.high, micro.high),
    )
    return _Loop(
        known, wanted, admitted, micro, sequences, prefills, queue,
        Range(rate.low * turns, np.minimum(rate.high * turns, sequences.high)), prompts, groups, busy, disturbed,
        burst_of(lengths, layout, batch.low, float(engine.max_batched_tokens)),
    )  # fmt: skip


def _disturbed(busy: Any, own: Any, groups: Any, micro: Any) -> Any:
    """By the others of its group, by other groups, and by other micro-batches, which it cannot overtake."""
    others = np.maximum(busy - own, 0.0) / np.where(own < 1.0, 1.0 - own, 1.0)
    idle = 1.0 - busy
    return 1.0 - (1.0 - others) * idle ** (groups - 1.0) * (idle**groups) ** (micro - 1.0)


def _together(busy: Any, groups: Any) -> Any:
    """Groups that prefill in a pass in which some group does: rises in both."""
    return groups * busy / (1.0 - (1.0 - busy) ** groups)


DECODE, MIXED, FULL, REST = 0, 1, 2, 3


def _least(scenario: Scenario, layout: Layout, loop: _Loop) -> Step:
    """The least that a step of decodes, a mixed step, a full pass of the burst and one that is not full hold."""
    burst, zero = loop.burst, np.zeros_like(loop.burst.passes)
    steps = _steps(scenario, loop.decodes.low, loop.prompts.low, loop.busy.low, loop.groups.low)
    return _passes(scenario, layout, [*steps, (zero, burst.prompts, zero, burst.stage_prompts), (zero,) * 4])


def _most(scenario: Scenario, layout: Layout, loop: _Loop, batch: Range) -> Step:
    """The most that a step of decodes and a mixed step hold."""
    # The fullest micro-batch may hold a sequence of each group where the others do not.
    groups = np.where(loop.micro.high > 1.0, np.minimum(layout.attn_dp, batch.high), loop.groups.high)
    steps = _steps(scenario, loop.decodes.high, loop.prompts.high, loop.busy.high, groups)
    return _passes(scenario, layout, steps)


def _steps(scenario: Scenario, decodes: Any, prompts: Any, busy: Any, groups: Any) -> list[tuple[Any, ...]]:
    """Decodes and prompts of a group, and of the stage, in a step of decodes and in a mixed step; prompts alone where
    the engine does not mix them."""
    zero = np.zeros_like(decodes)
    beside = zero if scenario.engine.prefill_first else decodes
    together = prompts * _together(busy, groups)
    return [(decodes, zero, decodes * groups, zero), (beside, prompts, beside * groups, together)]


def _passes(scenario: Scenario, layout: Layout, passes: list[tuple[Any, ...]]) -> Step:
    here, starting, stage_here, stage_starting = (np.stack(column) for column in zip(*passes, strict=True))
    return Step(here, starting, stage_here, stage_starting, here + starting, scenario.lengths, layout)


def _latencies(scenario: Scenario, plans: Plans, batch: Range, loop: _Loop, low: PassTime, high: PassTime) -> Floors:
    """As ``serving.latency`` has them."""
    engine, lengths = scenario.engine, scenario.lengths
    turns, request = float(lengths.decodes), engine.request_s(lengths.isl)
    own = low.latency_s[MIXED]  # the last of its own passes
    low, high = _mixed(scenario, low), _mixed(scenario, high)
    micro = np.minimum(loop.micro.low, np.maximum(batch.low / plans.attn_dp, 1.0))  # full ones
    step = _round(low, loop.disturbed.low, micro)
    alone = np.maximum(low.latency_s[DECODE], micro * low.slowest_stage_s[DECODE])
    mixed = np.maximum(low.latency_s[MIXED], micro * low.slowest_stage_s[MIXED])
    served = loop.admitted.low * loop.groups.low
    others = np.clip(served - 1.0, 0.0, 1.0)
    # Of steps that differ in length the one that is hit is no shorter than the mean one.
    until = others * (alone / 2.0 + engine.steps_ahead * step)
    before = until + loop.queue * step + (loop.prefills.low - 1.0) * mixed + own + request
    work = lengths.osl * engine.stream_token_s / engine.stream_interval
    busy = served * work
    longest = turns * _round(high, loop.disturbed.high, loop.micro.high)
    # What waits to be sent falls as the stay rises, by less than it rises.
    first = larger_root(before + longest, busy, busy * work) - longest
    stay = larger_root(before + turns * step, busy, busy * work)
    outside = np.maximum(batch.low / (loop.admitted.high * plans.attn_dp), 1.0)
    least = low.slowest_stage_s[REST]
    burst = loop.burst.seconds(low.latency_s[FULL], low.slowest_stage_s[FULL], least, least)
    tokens = plans.dp * batch.high * lengths.osl / (stay * outside)
    return Floors(
        ttft_s=(np.maximum(first, before) + (outside - 1.0) * stay) * (1.0 - SAFE),
        burst_ttft_s=(burst + request) * (1.0 - SAFE),
        tpot_s=step * (1.0 - SAFE),
        output_tokens_per_s=tokens * (1.0 + SAFE),
    )


def _mixed(scenario: Scenario, time: PassTime) -> PassTime:
    """Where prompts are not mixed into steps of decodes, a mixed step is a pass of prompts and then one of decodes."""
    if not scenario.engine.prefill_first:
        return time

    def both(rows: Any) -> Any:
        return np.stack([rows[DECODE], rows[DECODE] + rows[MIXED], *rows[MIXED + 1 :]])

    return replace(time, latency_s=both(time.latency_s), slowest_stage_s=both(time.slowest_stage_s))


def _round(time: PassTime, share: Any, micro: Any) -> Any:
    """A step of the loop, a ``share`` of them mixed."""
    latency = (1.0 - share) * time.latency_s[DECODE] + share * time.latency_s[MIXED]
    slowest = (1.0 - share) * time.slowest_stage_s[DECODE] + share * time.slowest_stage_s[MIXED]
    return np.maximum(latency, micro * slowest)


@dataclass(frozen=True)
class _WithoutNorms:
    """A law under which what is elementwise takes no time: all-reduces may do norms in passing, or not."""

    law: EfficiencyLaw

    def times(self, work: Work, accelerator: Accelerator) -> Times:
        found = self.law.times(work, accelerator)
        return Times(0.0 * found.seconds, 0.0 * found.compute_s, 0.0 * found.memory_s) if _small(work) else found

    def with_launches(
        self, share: float, *, fused: Inputs = NONE, even: Inputs = NONE, experts: ExpertKernels = USUAL
    ) -> _WithoutNorms:
        return _WithoutNorms(self.law.with_launches(share, fused=fused, even=even, experts=experts))

    def ceilings(self, accelerator: Accelerator, dtype: str) -> tuple[float, float]:
        return self.law.ceilings(accelerator, dtype)


def _small(work: Work) -> bool:
    return work.kind == "elementwise"


def _best_kernels(scenario: Scenario) -> Scenario:
    """One pass or two, whichever is faster; norms cost nothing where all-reduces may do them."""
    engine = replace(scenario.engine, one_pass_tokens=0)
    norms = does_norms(engine, scenario.cluster, scenario.model.has_experts)
    return replace(scenario, engine=engine, law=_WithoutNorms(scenario.law) if norms else scenario.law)


def _worst_kernels(scenario: Scenario) -> Scenario:
    """One pass however many rows, where the engine has a limit for it; norms apart."""
    most = 10**9 if scenario.engine.one_pass_tokens else 0
    return replace(scenario, engine=replace(scenario.engine, one_pass_tokens=most, all_reduce_norm="apart"))
