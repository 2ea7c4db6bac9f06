"""Seconds of a pass from tables: what an event simulation asks for a million times and ``forward`` answers once.

An operation's time depends on the rows of the pass, or on its decodes and their context, or on its prompt tokens and
what they see, or on its samples; ``forward`` adds operations up. So the time of a pass is

    base + rows(t, u) + decodes(d, c) + prompts(p, s) + samples(n)

with t rows of a rank, u different tokens of the stage, d decodes with a mean context of c, p prompt tokens that see s
tokens in the mean, n tokens sampled; each term is ``forward`` of a pass that has this part alone, less that of an empty
one. What the host needs to launch a pass with prompts is no sum: it is kept apart, and the longer of the two counts;
what it needs for each sequence comes on top.
A state space scan runs over decodes and prompts in one call, and so may attention, whose fixed cost both terms hold:
``both_s`` takes one back. Whole tiles of rows make steps, so ``rows`` and ``samples`` are tabulated at every whole
number; the rest is smooth and interpolated. ``tests/costmodel/serving/test_step_table.py`` sets the sum against
``forward``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from costmodel.forward import forward, scheduled
from costmodel.host import eager_seconds
from costmodel.lengths import PassLengths
from costmodel.plans import Array, Plans
from costmodel.scenario import Scenario
from costmodel.stages import Stages
from costmodel.step import Step

CONTEXTS = 48  # points between no context and the longest
PROMPTS = 64  # numbers of prompt tokens
EXACT = 64  # counts that are tabulated one by one; beyond it each is SPACING times the last
SPACING = 1.03


@dataclass(frozen=True)
class Parts(Step):
    """A pass whose rows are not those of its decodes and prompts."""

    rows: Any = 0.0
    stage_rows: Any = 0.0

    @cached_property
    def tokens(self) -> Any:
        return self.rows

    @cached_property
    def stage_tokens(self) -> Any:
        return self.stage_rows


@dataclass(frozen=True)
class Passes:
    """One plan's passes, timed on request: from the first stage to the last one, or in ``stage`` alone, with the
    hand-over to the next."""

    scenario: Scenario
    plan: Plans
    stage: int | None = None

    def __post_init__(self) -> None:
        if len(self.plan) != 1:
            raise ValueError(f"one plan, not {len(self.plan)}")

    def seconds(self, **parts: Array) -> Array:
        """Shape (n,): seconds of passes with ``rows``, ``stage_rows``, ``decodes`` of ``context``, ``tokens`` of
        prompts that see ``seen``, and ``samples``, each of shape (n,) or absent for none; the host's work left out."""
        scenario, step = self._step(parts)
        engine = replace(
            scenario.engine,
            eager_launch_s=0.0,
            eager_experts_s=0.0,
            step_overhead_s=0.0,
            sequence_overhead_s=0.0,
        )
        return self._latency(replace(scenario, engine=engine), step)

    def whole_seconds(self, **parts: Array) -> Array:
        """The same with the host's work."""
        return self._latency(*self._step(parts))

    def launch_seconds(self, rows: Array, stage_rows: Array) -> Array:
        """Seconds that the host needs to launch a pass with prompts of so many rows."""
        scenario, step = self._step({"rows": rows, "stage_rows": stage_rows, "tokens": rows})
        whole = np.broadcast_to(eager_seconds(scenario, self._stages, step), (len(rows), 1))[:, 0]
        return whole if self.stage is None else whole / int(self.plan.pp[0])

    @cached_property
    def _stages(self) -> Stages:
        stages = Stages.of(self.scenario.model, self.plan.pp)
        if self.stage is None:
            return stages
        own = slice(self.stage, self.stage + 1)
        return replace(stages, counts=stages.counts[own], first=stages.first[own], last=stages.last[own])

    def _latency(self, scenario: Scenario, step: Step) -> Array:
        time = forward(scenario, self._stages, step)
        latency = time.latency_s if self.stage is None else time.slowest_stage_s
        return np.array(np.broadcast_to(latency, np.broadcast_shapes(latency.shape, np.shape(step.tokens)))[:, 0])

    def _step(self, parts: dict[str, Array]) -> tuple[Scenario, Step]:
        size = max(len(part) for part in parts.values())
        zero = np.zeros((size, 1))
        column = {name: np.asarray(part, dtype=float)[:, None] for name, part in parts.items()}
        tokens, context = column.get("tokens", zero), column.get("context", zero)
        lengths = PassLengths(1, 1, 0.0, tokens, column.get("seen", zero), context)
        decodes, prompts = column.get("decodes", zero), (tokens > 0).astype(float)
        step = Parts(
            decodes, prompts, decodes, prompts, column.get("samples", zero), lengths,
            self.scenario.layout(self.plan), 1.0, column.get("rows", zero), column.get("stage_rows", zero),
        )  # fmt: skip
        return replace(self.scenario, lengths=lengths), step


@dataclass(frozen=True)
class StepTable:
    """Tables of one plan, as lists that a scalar look-up is quick in: of decodes and of prompt tokens a row for each
    number of them, at ``contexts``, beyond whose last point they go on in a straight line. ``rows`` of a rank where
    nobody else has any, ``stage``: what so many of all ranks add."""

    rows: list[float]
    stage: list[float]
    contexts: list[float]
    decoding: list[list[float]]
    prefilling: list[list[float]]
    both_s: float
    samples: list[float]
    launch: list[float]
    step_host_s: float
    sequence_host_s: float
    groups: int
    sp: int

    @classmethod
    def of(
        cls, scenario: Scenario, plan: Plans, most_sequences: int, longest: int, stage: int | None = None
    ) -> StepTable:
        """For up to ``most_sequences`` of a group at a time, of up to ``longest`` tokens; of one ``stage``, or of all
        one after the other."""
        passes = Passes(scenario, plan, stage)
        groups = int(plan.attn_dp[0])
        budget = max(int(scenario.engine.max_batched_tokens), most_sequences + int(scenario.engine.block_tokens))
        count = np.arange(budget + 1, dtype=float)
        empty = float(passes.seconds(rows=np.zeros(1), stage_rows=np.zeros(1))[0])
        rows = passes.seconds(rows=count, stage_rows=count * groups) - empty
        sp, others = int(plan.sp[0]), np.zeros(1)
        if groups * sp > 1:
            at = np.array(_spaced(budget * groups * sp), dtype=float)
            beside = passes.seconds(rows=np.ones(len(at)), stage_rows=at)
            others = np.interp(np.arange(at[-1] + 1.0), at, beside)
            rows = rows - others[count.astype(np.int64) * groups]
        decodes = _spaced(most_sequences)
        contexts = np.concatenate([[0.0], np.geomspace(16.0, max(longest, 32), CONTEXTS - 1)])
        d, c = (grid.ravel() for grid in np.meshgrid(np.array(decodes, dtype=float), contexts, indexing="ij"))
        decoding = (passes.seconds(decodes=d, context=c) - empty).reshape(len(decodes), -1)
        sizes = sorted({0, *np.geomspace(1, budget, PROMPTS).round().astype(int).tolist()})
        p, s = (grid.ravel() for grid in np.meshgrid(np.array(sizes, dtype=float), contexts, indexing="ij"))
        prefilling = (passes.seconds(tokens=p, seen=s) - empty).reshape(len(sizes), -1)
        one = np.ones(1)
        alone = [
            float(passes.seconds(**part)[0]) - empty for part in ({"decodes": one, "context": one}, {"tokens": one})
        ]
        both = float(passes.seconds(decodes=one, context=one, tokens=one)[0]) - empty - sum(alone)
        samples = passes.seconds(samples=np.arange(most_sequences + 1, dtype=float)) - empty
        launch = passes.launch_seconds(count, count * groups)
        sequence_host_s = scenario.engine.sequence_overhead_s * scheduled(int(plan.pp[0]))
        return cls(
            (empty + rows).tolist(), others.tolist(), contexts.tolist(), _whole(decodes, decoding),
            _whole(sizes, prefilling), both, samples.tolist(), launch.tolist(),
            scenario.engine.step_overhead_s, sequence_host_s, groups, sp,
        )  # fmt: skip

    def seconds(
        self, decodes: int, context: float, tokens: int = 0, seen: float = 0.0, samples: int = 0, stage_rows: int = -1
    ) -> float:
        """A pass of a group with ``decodes`` of mean ``context``, ``tokens`` of prompts that see ``seen`` in the mean
        and ``samples`` tokens sampled; ``stage_rows`` of all groups (by default each has as many as this one)."""
        rows = decodes + -(-tokens // self.sp)
        samples = samples or decodes
        total = self.rows[rows] + self.samples[samples]
        if self.groups * self.sp > 1:
            total += self.stage[(decodes + tokens) * self.groups if stage_rows < 0 else stage_rows]
        if decodes:
            total += _line(self.contexts, self.decoding[decodes], context)
        if tokens:
            total += _line(self.contexts, self.prefilling[tokens], seen)
            if decodes:
                total += self.both_s
            total = max(total, self.launch[rows])
        return total + self.step_host_s + self.sequence_host_s * samples


def slowest_stages(scenario: Scenario, plan: Plans) -> list[int]:
    """Stages of a plan of which one is the slowest: those that differ from all before them."""
    stages = Stages.of(scenario.model, plan.pp)
    seen: dict[bytes, int] = {}
    for s in range(int(plan.pp[0])):
        seen.setdefault(np.array([*stages.counts[s, :, 0], stages.first[s, 0], stages.last[s, 0]]).tobytes(), s)
    return list(seen.values())


def _spaced(most: int) -> list[int]:
    """Whole numbers from 0 to ``most``, one by one and then further and further apart."""
    found = list(range(min(most, EXACT) + 1))
    while found[-1] < most:
        found.append(min(max(round(found[-1] * SPACING), found[-1] + 1), most))
    return found


def _whole(counts: list[int], values: Array) -> list[list[float]]:
    """Rows of ``values`` (at ``counts``) at every whole number up to the last, in a straight line between two."""
    every = np.arange(counts[-1] + 1)
    low = np.minimum(np.searchsorted(counts, every, side="right") - 1, len(counts) - 2)
    first, last = np.array(counts)[low], np.array(counts)[low + 1]
    share = ((every - first) / (last - first))[:, None]
    return (values[low] + share * (values[low + 1] - values[low])).tolist()  # type: ignore[no-any-return]


def _line(xs: Sequence[float], values: list[float], x: float) -> float:
    """Between two entries of a table; beyond its last in a straight line."""
    i = min(max(bisect_right(xs, x) - 1, 0), len(xs) - 2)
    low, at = values[i], xs[i]
    return low + (x - at) / (xs[i + 1] - at) * (values[i + 1] - low)
