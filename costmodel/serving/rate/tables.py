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
from costmodel.plans import Array, IntArray, Plans
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
        axes = np.stack([plans.tp, plans.ep, plans.dp, plans.pp, plans.sp, plans.gpus])
        _, first, of = np.unique(axes, axis=1, return_index=True, return_inverse=True)
        layouts = plans.take(first)
        passes = _Passes(scenario, scenario.layout(layouts), Stages.of(scenario.model, layouts.pp), mix)
        apart = bool(scenario.engine.prefill_first)
        beside = BESIDE[:1] if apart else BESIDE
        budget = float(scenario.engine.max_batched_tokens)
        tokens = np.concatenate([[min(1.0, budget * SHARES[0] / 2.0)], budget * SHARES])
        single = passes.mixed(beside, tokens, 1.0, mix["seen"])
        groups = passes.layout.attn_dp
        every = single
        several = np.flatnonzero(groups > 1.0)
        if len(several):
            every = single.copy()
            some = layouts.take(several)
            others = replace(passes, layout=scenario.layout(some), stages=Stages.of(scenario.model, some.pp))
            every[:, :, several] = others.mixed(beside, tokens, groups[several], mix["seen"])
        further = passes.mixed(beside[:1], tokens[-1:], 1.0, 2.0 * mix["seen"] + budget)[0, 0] - single[0, -1]
        return cls(
            of.reshape(-1), groups, beside, tokens, passes.plain(DECODES), single, every,
            np.maximum(further, 0.0) / (budget * (mix["seen"] + budget)), mix["seen"], apart,
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


@dataclass(frozen=True)
class _Passes:
    """Rounds of passes: with pipeline stages as many micro-batches as there are stages and sequences circulate, and a
    round takes as long as one of them through all stages, or all of them through the slowest."""

    scenario: Scenario
    layout: Layout
    stages: Stages
    mix: Mix

    def plain(self, decodes: Array) -> Array:
        """Shape (decodes, layouts): ``decodes`` of a replica, shared evenly among its groups."""
        every = decodes[:, None] + 0.0 * self.layout.attn_dp
        group = np.maximum(every / self.layout.attn_dp, np.minimum(every, 1.0))
        micro = self._micro(group)
        latency, slowest = self._time(group / micro, every / micro, 0.0, 0.0, 0.0)
        return np.maximum(latency, micro * slowest)

    def mixed(self, beside: Array, tokens: Array, prefilling: Any, seen: float) -> Array:
        """Shape (beside, tokens, layouts): ``tokens`` in each of ``prefilling`` groups."""
        d, p = (grid.ravel()[:, None] for grid in np.meshgrid(beside, tokens, indexing="ij"))
        shape = len(beside), len(tokens), -1
        latency, slowest = (t.reshape(shape) for t in self._beside(d, p, p * prefilling, seen))
        if np.all(self.layout.pp == 1.0):
            return latency
        other = self._beside(beside[:, None], 0.0, 0.0, 0.0)[1][:, None]
        micro = self._micro(beside[:, None] + 0.0 * self.layout.attn_dp)[:, None]
        return np.maximum(latency, (micro - 1.0) * other + slowest)

    def _beside(self, decodes: Array, tokens: Any, stage_tokens: Any, seen: float) -> Any:
        group = decodes + 0.0 * self.layout.attn_dp
        micro = self._micro(group)
        return self._time(group / micro, group / micro * self.layout.attn_dp, tokens, stage_tokens, seen)

    def _micro(self, group: Array) -> Array:
        return np.minimum(self.layout.pp, np.maximum(group, 1.0))

    def _time(self, decodes: Array, stage_decodes: Array, tokens: Any, stage_tokens: Any, seen: float) -> Any:
        tokens = tokens + 0.0 * decodes
        lengths = PassLengths(1, 1, 0.0, tokens, seen, self.scenario.lengths.decode_context())
        prompts = (tokens > 0).astype(float)
        step = Parts(
            decodes, prompts, decodes, prompts, decodes + prompts, lengths, self.layout, 1.0,
            decodes + tokens / self.layout.sp, stage_decodes + stage_tokens,
        )  # fmt: skip
        time = forward(replace(self.scenario, lengths=lengths), self.stages, step)
        return tuple(np.broadcast_to(t, decodes.shape) for t in (time.latency_s, time.slowest_stage_s))
