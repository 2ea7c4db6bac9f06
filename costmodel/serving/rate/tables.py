"""Seconds of the passes of many layouts, in tables that share their knots.

``forward`` is asked once a layout, whatever the batch: at a rate the sequences that decode follow from the traffic, and
plans that differ in batch alone run the same passes. Between the knots a straight line.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from costmodel.forward import forward
from costmodel.layout import Layout
from costmodel.lengths import PassLengths
from costmodel.plans import Array, IntArray, Plans
from costmodel.scenario import Scenario
from costmodel.serving.mix import Mix
from costmodel.serving.step_table import Parts
from costmodel.stages import Stages

# Sequences that decode in a replica, and in a group beside prompts; prompt tokens of a pass as shares of its budget.
DECODES = np.array([0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048, 8192.0])
BESIDE = np.array([0.0, 8, 16, 32, 64, 128, 256, 512, 1024])
SHARES = 2.0 ** np.arange(-9.0, 1.0)


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
        tokens = np.concatenate([[1.0], budget * SHARES])
        d, p = (grid.ravel() for grid in np.meshgrid(beside, tokens, indexing="ij"))
        shape = (len(beside), len(tokens), len(layouts))
        single = passes.mixed(d, p, 1.0, mix["seen"]).reshape(shape)
        groups = passes.layout.attn_dp
        alike = np.all(groups == 1.0)
        every = single if alike else passes.mixed(d, p, groups, mix["seen"]).reshape(shape)
        full = np.array([budget])
        further = passes.mixed(0.0 * full, full, 1.0, 2.0 * mix["seen"] + budget)[0] - single[0, -1]
        return cls(
            of.reshape(-1), groups, beside, tokens, passes.plain(DECODES), single, every,
            np.maximum(further, 0.0) / (budget * (mix["seen"] + budget)), mix["seen"], apart,
        )  # fmt: skip

    def take(self, index: Any) -> PassTables:
        """The tables for the plans at ``index`` alone."""
        return replace(self, of=self.of[index])

    def plain_s(self, decodes: Any) -> Any:
        """Seconds of a pass in which so many of a replica decode."""
        return along(DECODES, self.plain, decodes, self.of)

    def prompts_s(self, beside: Any, tokens: Any, stage_tokens: Any) -> Any:
        """Seconds of a pass with ``tokens`` of prompts in the busiest group and ``stage_tokens`` in all, beside so many
        decodes of each (a number of them, or its ``place``): shape (..., plans)."""
        low, share = beside if isinstance(beside, tuple) else place(self.beside, beside)
        at, part = self._place_tokens(tokens)
        single = self._between(self.single, low, share, at, part)
        if self.every is self.single or stage_tokens is tokens:
            return single
        groups = self.groups[self.of]
        others = np.clip((stage_tokens - tokens) / np.maximum(tokens * (groups - 1.0), 1e-9), 0.0, 1.0)
        return single + others * (self._between(self.every, low, share, at, part) - single)

    def _place_tokens(self, tokens: Any) -> tuple[Any, Any]:
        """As ``place``: but for the first, the knots are shares of the budget that double."""
        exponent = np.log2(np.maximum(tokens, self.tokens[1]) / self.tokens[-1])
        cell = np.clip(np.floor(exponent).astype(np.int64) + len(SHARES), 1, len(SHARES) - 1)
        cell = np.where(tokens < self.tokens[1], 0, cell)
        low = self.tokens.take(cell)
        return cell, (tokens - low) / (self.tokens.take(cell + 1) - low)

    def pairs_s(self, pairs: Any, tokens: Any) -> Any:
        """Seconds that attention over ``pairs`` adds to what ``tokens`` see in the mean."""
        return self.pair_s[self.of] * (pairs - tokens * self.seen)

    def _between(self, table: Array, low: IntArray, share: Any, at: IntArray, part: Any) -> Any:
        layouts, flat = table.shape[2], table.ravel()
        index = (low * table.shape[1] + at) * layouts + self.of
        first = flat.take(index)
        first = first + part * (flat.take(index + layouts) - first)
        if table.shape[0] == 1:
            return first
        index = index + table.shape[1] * layouts
        second = flat.take(index)
        second = second + part * (flat.take(index + layouts) - second)
        return first + share * (second - first)


def place(knots: Array, x: Any) -> tuple[Any, Any]:
    """The knot below ``x`` and how far towards the next one it lies; beyond the last one in a straight line."""
    if len(knots) == 1:
        return 0, 0.0
    cell = np.clip(np.searchsorted(knots, x, side="right") - 1, 0, len(knots) - 2)
    low = knots.take(cell)
    return cell, (x - low) / (knots.take(cell + 1) - low)


def along(knots: Array, table: Array, x: Any, of: IntArray) -> Any:
    """``table`` of shape (knots, layouts) at ``x``, whose last axis is the plans."""
    if len(knots) == 1:
        return table[0].take(of) + 0.0 * x
    cell, share = place(knots, x)
    index, flat = cell * table.shape[1] + of, table.ravel()
    first = flat.take(index)
    return first + share * (flat.take(index + table.shape[1]) - first)


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
        """Shape (passes, layouts): ``tokens`` in each of ``prefilling`` groups."""
        group = beside[:, None] + 0.0 * self.layout.attn_dp
        micro = self._micro(group)
        stage = group / micro * self.layout.attn_dp
        latency, slowest = self._time(group / micro, stage, tokens[:, None], tokens[:, None] * prefilling, seen)
        if np.all(self.layout.pp == 1.0):
            return latency
        other = self._time(group / micro, stage, 0.0, 0.0, 0.0)[1]
        return np.maximum(latency, (micro - 1.0) * other + slowest)

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
