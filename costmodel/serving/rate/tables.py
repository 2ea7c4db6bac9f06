"""Seconds of the passes of many layouts, in tables that share their knots.

``forward`` is asked once a layout, whatever the batch: at a rate the sequences that decode follow from the traffic, and
plans that differ in batch alone run the same passes. Between the knots a straight line.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from costmodel.forward import forward
from costmodel.layout import Layout
from costmodel.lengths import PassLengths
from costmodel.plans import Array, IntArray, Plans, grouped, packed
from costmodel.scenario import Scenario
from costmodel.serving.mix import Mix
from costmodel.serving.rate.knots import Knots, Lines
from costmodel.serving.step_table import Parts
from costmodel.stages import Stages

# Sequences that decode in a replica, and in a group beside prompts; prompt tokens of a pass as shares of its budget.
DECODES = np.array([0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048, 8192.0])
BESIDE = np.array([0.0, 8, 16, 32, 64, 128, 256, 512, 1024])
SHARES = 2.0 ** np.arange(-9.0, 1.0)
DECODED = Knots.of(DECODES, 1)


@dataclass(frozen=True)
class PassTables:
    """``of``: which layout each plan has, shape (plans,). Seconds: ``plain`` of passes of decodes, shape (decodes,
    layouts); ``single`` with ``tokens`` of prompts in one group and ``every`` with as many in each, shape (beside,
    tokens, layouts), whatever they see in the mean of the requests; ``pair_s`` a pair of tokens that attention adds
    beyond that. ``apart``: prompts have passes of their own, so that ``beside`` is 0 alone."""

    of: IntArray
    groups: Array
    beside: Array
    tokens: Array
    plain: Array
    single: Array
    every: Array
    pair_s: Array
    seen: float
    apart: bool

    @classmethod
    def of_plans(cls, scenario: Scenario, plans: Plans, mix: Mix) -> PassTables:
        """One table for each layout among ``plans``, whatever their batch."""
        first, of = _layouts(plans)
        layouts = plans.take(first)
        passes = _Passes(scenario, scenario.layout(layouts), Stages.of(scenario.model, layouts.pp), mix)
        apart = bool(scenario.engine.prefill_first)
        beside = BESIDE[:1] if apart else BESIDE
        budget = float(scenario.engine.max_batched_tokens)
        tokens = np.concatenate([[min(1.0, budget * SHARES[0] / 2.0)], budget * SHARES])
        plain, other, single, further = passes.alone(beside, tokens)
        groups = passes.layout.attn_dp
        every = single
        several = np.flatnonzero(groups > 1.0)
        if len(several):
            every = single.copy()
            some = layouts.take(several)
            rest = replace(passes, layout=scenario.layout(some), stages=Stages.of(scenario.model, some.pp))
            every[:, :, several] = rest.everywhere(beside, tokens, other[:, several])
        return cls(
            of, groups, beside, tokens, plain, single, every,
            np.maximum(further - single[0, -1], 0.0) / (budget * (mix["seen"] + budget)), mix["seen"], apart,
        )  # fmt: skip

    @cached_property
    def besides(self) -> Knots | None:
        """Of ``beside``, where that is more than nobody."""
        return None if self.apart else Knots.of(self.beside, 0)

    @cached_property
    def _lines(self) -> tuple[Lines, Knots, tuple[Array, ...]]:
        """``plain`` between its knots, the knots of shares of the budget, and ``single`` and ``every`` with what a
        further share adds, flat."""
        flat = []
        shares = Knots.of(self.tokens / self.tokens[-1], 0)
        for table in (self.single, self.every):
            slopes = np.diff(table, axis=1) / np.diff(shares.at)[:, None]
            flat += [table.ravel(), np.concatenate([slopes, slopes[:, -1:]], axis=1).ravel()]
        return Lines.of(DECODED, self.plain), shares, tuple(flat)

    def take(self, index: Any) -> PassTables:
        """The tables for the plans at ``index`` alone."""
        return self.of_layouts(self.of[index])

    def of_layouts(self, of: IntArray) -> PassTables:
        """The tables for other plans of the same layouts."""
        found = replace(self, of=of)
        found.__dict__["_lines"], found.__dict__["besides"] = self._lines, self.besides
        return found

    def plain_s(self, decodes: Any) -> Any:
        """Seconds of a pass in which so many of a replica decode."""
        return self._lines[0].at(decodes, self.of)[0]

    def place(self, decodes: Any) -> tuple[Any, Any]:
        """Where ``decodes`` of a group lie in ``beside``: a knot, and the share of the way to the next."""
        if self.besides is None:
            return 0, 0.0
        cell, beyond = self.besides.place(decodes)
        return cell, beyond / (self.beside.take(cell + 1) - self.beside.take(cell))

    def prompts_s(self, beside: Any, tokens: Any, stage_tokens: Any = None) -> Any:
        """Seconds of a pass with ``tokens`` of prompts in the busiest group and ``stage_tokens`` in all (by default
        none elsewhere), beside so many decodes of each, by their ``place``: shape (..., plans)."""
        _, shares, (single, rising, every, every_rising) = self._lines
        at, beyond = shares.place(tokens / self.tokens[-1])
        low, share = beside
        layouts = self.single.shape[2]
        index = at if isinstance(low, int) else low * len(self.tokens) + at
        index = index * layouts + self.of
        alone = self._between(single, rising, index, beyond, share)
        if self.every is self.single or stage_tokens is None:
            return alone
        groups = self.groups[self.of]
        others = np.clip((stage_tokens - tokens) / np.maximum(tokens * (groups - 1.0), 1e-9), 0.0, 1.0)
        return alone + others * (self._between(every, every_rising, index, beyond, share) - alone)

    def _between(self, table: Array, slopes: Array, index: IntArray, beyond: Any, share: Any) -> Any:
        first = table.take(index) + beyond * slopes.take(index)
        if len(self.beside) == 1:
            return first
        index = index + self.single.shape[1] * self.single.shape[2]
        second = table.take(index) + beyond * slopes.take(index)
        second -= first
        second *= share
        first += second
        return first

    def pairs_s(self, pairs: Any, tokens: Any) -> Any:
        """Seconds that attention over ``pairs`` adds to what ``tokens`` see in the mean."""
        return self.pair_s[self.of] * (pairs - tokens * self.seen)


def _layouts(plans: Plans) -> tuple[IntArray, IntArray]:
    """A plan of each layout, and which layout each plan has."""
    return grouped(packed([plans.tp, plans.ep, plans.dp, plans.pp, plans.sp, plans.gpus]))


@dataclass(frozen=True)
class _Passes:
    """Rounds of passes: with pipeline stages as many micro-batches as there are stages and sequences circulate, and a
    round takes as long as one of them through all stages, or all of them through the slowest."""

    scenario: Scenario
    layout: Layout
    stages: Stages
    mix: Mix

    def alone(self, beside: Array, tokens: Array) -> tuple[Array, ...]:
        """In one call of ``forward``: ``plain``; the slowest stage without prompts, shape (beside, layouts);
        ``single``; as many tokens as fill a pass and see as many more."""
        d, p = (grid.ravel() for grid in np.meshgrid(beside, tokens, indexing="ij"))
        none, sizes = np.zeros_like(beside), (len(DECODES), len(beside), len(d), 1)
        every = DECODES[:, None] + 0.0 * self.layout.attn_dp
        others = np.concatenate([beside, d, [0.0]])[:, None] + 0.0 * self.layout.attn_dp
        group = np.concatenate([np.maximum(every / self.layout.attn_dp, np.minimum(every, 1.0)), others])
        stage = np.concatenate([every, others * self.layout.attn_dp])
        new = np.concatenate([0.0 * DECODES, none, p, tokens[-1:]])[:, None]
        seen = self.mix["seen"] + np.concatenate([np.zeros(sum(sizes) - 1), [self.mix["seen"] + tokens[-1]]])[:, None]
        latency, slowest = self._time(group, stage, new, new, seen)
        parts = list(zip(*(np.split(t, np.cumsum(sizes)[:-1]) for t in (latency, slowest)), strict=True))
        plain = np.maximum(parts[0][0], self._micro(group[: sizes[0]]) * parts[0][1])
        other = parts[1][1]
        shape = len(beside), len(tokens), -1
        single = self._rounds(beside, other, *(t.reshape(shape) for t in parts[2]))
        return plain, other, single, self._rounds(beside[:1], other[:1], *(t[None] for t in parts[3]))[0, 0]

    def everywhere(self, beside: Array, tokens: Array, other: Array) -> Array:
        """``every``; ``other`` as ``alone`` has it."""
        d, p = (grid.ravel()[:, None] for grid in np.meshgrid(beside, tokens, indexing="ij"))
        group = d + 0.0 * self.layout.attn_dp
        found = self._time(group, group * self.layout.attn_dp, p, p * self.layout.attn_dp, self.mix["seen"])
        return self._rounds(beside, other, *(t.reshape(len(beside), len(tokens), -1) for t in found))

    def _rounds(self, beside: Array, other: Array, latency: Array, slowest: Array) -> Array:
        """One micro-batch has prompts, the ``other`` ones decode; shape (beside, tokens, layouts)."""
        micro = self._micro(beside[:, None] + 0.0 * self.layout.attn_dp)[:, None]
        return np.maximum(latency, (micro - 1.0) * other[:, None] + slowest)

    def _micro(self, group: Array) -> Array:
        return np.minimum(self.layout.pp, np.maximum(group, 1.0))

    def _time(self, group: Array, stage: Array, tokens: Any, stage_tokens: Any, seen: Any) -> Any:
        """Of the micro-batches of ``group`` decodes, ``stage`` of all groups."""
        micro = self._micro(group)
        decodes, tokens = group / micro, tokens + 0.0 * group
        lengths = PassLengths(1, 1, 0.0, tokens, seen, self.scenario.lengths.decode_context())
        prompts = (tokens > 0).astype(float)
        step = Parts(
            decodes, prompts, decodes, prompts, decodes + prompts, lengths, self.layout, 1.0,
            decodes + tokens / self.layout.sp, stage / micro + stage_tokens,
        )  # fmt: skip
        time = forward(replace(self.scenario, lengths=lengths), self.stages, step)
        return tuple(np.broadcast_to(t, decodes.shape) for t in (time.latency_s, time.slowest_stage_s))
