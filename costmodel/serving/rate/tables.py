"""Seconds of passes of many layouts, from tables that they share the knots of.

``forward`` is asked once a layout, whatever the batch: at a rate the sequences that decode follow from the traffic, and
plans that differ in batch alone are the same passes. A pass is the sum of ``costmodel.serving.step_table``: a pass of
decodes, what more rows make of it, and what attention over prompts adds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from costmodel.forward import forward
from costmodel.graphs import captured_tokens
from costmodel.host import eager_seconds
from costmodel.layout import Layout
from costmodel.lengths import PassLengths
from costmodel.plans import Array, IntArray, Plans
from costmodel.scenario import Scenario
from costmodel.serving.step_table import Parts
from costmodel.stages import Stages

DECODES = np.array([0, 1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 2048, 8192], dtype=float)
ROWS = np.array(
    [0, 1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 16384, 65536],
    dtype=float,
)  # fmt: skip
PROMPTS = np.array([0, 1, 64, 256, 512, 1024, 2048, 4096, 8192, 16384, 65536], dtype=float)
LONG = 32768.0  # tokens that the last knot's prompt tokens see


@dataclass(frozen=True)
class PassTables:
    """Tables of shape (knots, layouts), or (knots, 2, layouts): first the latency, then the slowest stage. ``of`` says
    which layout each plan has, shape (plans,); ``host`` seconds to launch a pass of more than ``captured`` rows."""

    of: IntArray
    groups: Array
    sp: Array
    pp: Array
    decoding: Array
    rows: Array
    stage: Array
    prompts: Array  # (knots, 3, 2, layouts): what is seen: nothing, themselves, LONG
    both: Array
    alone: Array  # a pass of prompts alone, but for what they add
    host: Array
    captured: Array

    @classmethod
    def of_plans(cls, scenario: Scenario, plans: Plans) -> PassTables:
        """For each layout among ``plans``, whatever their batch."""
        axes = np.stack([plans.tp, plans.ep, plans.dp, plans.pp, plans.sp, plans.gpus])
        _, first, of = np.unique(axes, axis=1, return_index=True, return_inverse=True)
        layouts = plans.take(first)
        layout = scenario.layout(layouts)
        passes = _Passes(scenario, layout, Stages.of(scenario.model, layouts.pp))
        groups = layout.attn_dp
        context = scenario.lengths.decode_context()
        empty = passes.seconds(rows=np.zeros(1), stage_rows=0.0)
        decoding = passes.whole(decodes=DECODES, context=context, groups=groups)
        rows = passes.seconds(rows=ROWS, stage_rows=ROWS[:, None] * groups) - empty
        stage = np.zeros_like(rows)
        if np.any(groups * layout.sp > 1.0):
            stage = passes.seconds(rows=np.ones(len(ROWS)), stage_rows=ROWS) - empty
        tokens = np.repeat(PROMPTS, 3)
        seen = np.stack([np.zeros_like(PROMPTS), (PROMPTS + 1.0) / 2.0, np.full_like(PROMPTS, LONG)], axis=1).ravel()
        prompts = passes.seconds(tokens=tokens, seen=seen) - empty
        one = np.ones(1)
        decode_one = passes.seconds(decodes=one, context=1.0) - empty
        prompt_one = passes.seconds(tokens=one, seen=np.zeros(1)) - empty
        both = passes.seconds(decodes=one, context=1.0, tokens=one, seen=np.zeros(1)) - empty - decode_one - prompt_one
        host, captured = passes.launch()
        return cls(
            of.reshape(-1), groups, layout.sp, layout.pp, decoding, rows, stage,
            prompts.reshape(len(PROMPTS), 3, *prompts.shape[1:]), both[0],
            passes.seconds(samples=one)[0] + passes.hosts(one)[0], host, captured,
        )  # fmt: skip

    def take(self, index: Any) -> PassTables:
        """The tables for the plans at ``index`` alone."""
        return replace(self, of=self.of[index])

    def decode_s(self, decodes: Any, stage_decodes: Any = None) -> Any:
        """Seconds of a round in which ``decodes`` sequences of the busiest group decode, ``stage_decodes`` of all groups
        (as many of each by default); with stages, all micro-batches'."""
        micro = self._micro(decodes)
        both = _line(DECODES, self.decoding, decodes / micro, self.of)
        every = self.groups[self.of] * self.sp[self.of]
        if stage_decodes is not None and np.any(every > 1.0):
            both = both + _line(ROWS, self.stage, stage_decodes / micro, self.of)
            both = both - _line(ROWS, self.stage, decodes / micro * self.groups[self.of], self.of)
        return np.maximum(both[0], micro * both[1])

    def prefill_s(self, decodes: Any, tokens: Any, seen: Any, stage_tokens: Any, *, apart: bool) -> Any:
        """Seconds of a round with ``tokens`` of prompts in the busiest group, ``stage_tokens`` in all of them, beside
        ``decodes`` of each group, or (``apart``) without them: shape (..., plans)."""
        of, groups, sp = self.of, self.groups[self.of], self.sp[self.of]
        micro = self._micro(decodes)
        beside = np.zeros_like(decodes) if apart else decodes / micro
        rows = beside + tokens / sp
        stage = beside * groups + stage_tokens
        alike = (2, *(1,) * (np.ndim(tokens) - 1), -1)
        first = self.alone[:, of] if apart else _line(DECODES, self.decoding, beside, of) + self.both[:, of]
        before = _line(ROWS, self.rows, beside, of).reshape(alike)
        more = first.reshape(alike) - before + _line(ROWS, self.rows, rows, of)
        if np.any(groups * sp > 1.0):
            # ``rows`` stand for as many of each group; of the stage there are others.
            more = more + _line(ROWS, self.stage, stage, of) - _line(ROWS, self.stage, rows * groups, of)
        cell, share = _place(PROMPTS, tokens)
        own = (PROMPTS[cell] + share * (PROMPTS[cell + 1] - PROMPTS[cell]) + 1.0) / 2.0
        low, mid, high = (
            self.prompts[cell, k, :, of] + share[..., None] * (self.prompts[cell + 1, k, :, of] - self.prompts[cell, k, :, of])
            for k in range(3)
        )
        near = np.minimum(seen / own, 1.0)[..., None]
        far = (np.maximum(seen - own, 0.0) / np.maximum(LONG - own, 1.0))[..., None]
        attention = np.moveaxis(low + near * (mid - low) + far * (high - mid), -1, 0)
        both = more + attention
        launch = self.host[of] * (rows > self.captured[of])
        other = (micro - 1.0) * _line(DECODES, self.decoding, beside, of)[1] if not apart else 0.0
        return np.maximum(np.maximum(both[0], other + both[1]), launch)

    def _micro(self, decodes: Any) -> Any:
        return np.minimum(self.pp[self.of], np.maximum(decodes, 1.0))


@dataclass(frozen=True)
class _Passes:
    scenario: Scenario
    layout: Layout
    stages: Stages

    def seconds(self, **parts: Any) -> Array:
        """Shape (passes, 2, layouts), the host's work left out."""
        engine = replace(
            self.scenario.engine, eager_launch_s=0.0, eager_experts_s=0.0, step_overhead_s=0.0, sequence_overhead_s=0.0
        )
        return self._time(replace(self.scenario, engine=engine), **parts)

    def whole(self, decodes: Array, context: float, groups: Array) -> Array:
        """Of passes of decodes alone, the host's work included."""
        each = decodes[:, None] + 0.0 * groups
        parts = {"rows": decodes, "stage_rows": each * groups, "decodes": decodes, "context": context}
        return self._time(self.scenario, **parts, samples=decodes)

    def hosts(self, samples: Array) -> Array:
        """Seconds of the host, of a pass that samples so many tokens."""
        engine = self.scenario.engine
        return (engine.step_overhead_s + engine.sequence_overhead_s * samples)[:, None, None]

    def launch(self) -> tuple[Array, Array]:
        many = np.full((1, 1), 1e9)
        scenario, step = self._step(rows=many[0], stage_rows=many[0], tokens=many[0])
        count = len(self.layout.tp)
        host = np.broadcast_to(eager_seconds(scenario, self.stages, step), (1, count))[0]
        captured = captured_tokens(scenario.engine, scenario.model, scenario.accelerator, self.layout)
        return host, np.broadcast_to(captured, (count,))

    def _time(self, scenario: Scenario, **parts: Any) -> Array:
        changed, step = self._step(**parts)
        time = forward(replace(scenario, lengths=changed.lengths), self.stages, step)
        shape = np.broadcast_shapes(time.latency_s.shape, np.shape(step.tokens), (1, len(self.layout.tp)))
        return np.stack([np.broadcast_to(t, shape) for t in (time.latency_s, time.slowest_stage_s)], axis=1)

    def _step(self, **parts: Any) -> tuple[Scenario, Parts]:
        def column(name: str) -> Array:
            value = np.asarray(parts.get(name, 0.0), dtype=float)
            return value[:, None] if value.ndim == 1 else value

        tokens, decodes, context = column("tokens"), column("decodes"), column("context")
        lengths = PassLengths(1, 1, 0.0, tokens, column("seen"), context)
        prompts = (tokens > 0).astype(float)
        step = Parts(
            decodes, prompts, decodes, prompts, column("samples"), lengths, self.layout, 1.0, column("rows"),
            column("stage_rows"),
        )  # fmt: skip
        return replace(self.scenario, lengths=lengths), step


def _place(knots: Array, x: Any) -> tuple[IntArray, Any]:
    """The knot below ``x`` and how far towards the next one it lies; beyond the last one in a straight line."""
    cell = np.clip(np.searchsorted(knots, x, side="right") - 1, 0, len(knots) - 2)
    return cell, (x - knots[cell]) / (knots[cell + 1] - knots[cell])


def _line(knots: Array, table: Array, x: Any, of: IntArray) -> Any:
    """Of shape (2, *x.shape): ``table`` (knots, 2, layouts) at ``x``, whose last axis is the plans."""
    cell, share = _place(knots, x)
    low, high = table[cell, :, of], table[cell + 1, :, of]
    return np.moveaxis(low + share[..., None] * (high - low), -1, 0)
