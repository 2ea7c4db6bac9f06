"""Choose one plan, and say what holds it where it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from costmodel.columns import column
from costmodel.plans import READING_ORDER, Array, IntArray, Plans
from costmodel.scores import COSTS, PREDICTED, Scores
from search.base.errors import InputError
from search.evidence.measured.intervals import UNCOVERED, load_intervals
from search.optimizer.front import Objectives
from search.optimizer.ties import TIED, settled

LAYOUT = READING_ORDER[:-1]  # all but the batch
NEAR = 1e3 * TIED  # relative: all that can be tied to a value lies well within


@dataclass(frozen=True)
class Policy:
    """Columns with directions, the first decides, the others break ties in order; then the layout's degrees, smaller
    first. Values within rounding of each other are ties."""

    columns: Mapping[str, str]

    @classmethod
    def from_config(cls, recommend: Mapping[str, str], ties: Mapping[str, str]) -> Policy:
        if len(recommend) != 1:
            raise InputError(f"objective.recommend: {dict(recommend)} is not allowed; name one column with max or min")
        Objectives.from_config("objective.recommend", recommend)
        if ties:
            Objectives.from_config("objective.ties", ties)
        return cls({**recommend, **{c: d for c, d in ties.items() if c not in recommend}})

    @property
    def first(self) -> tuple[str, str]:
        """The deciding column and its direction."""
        return next(iter(self.columns.items()))

    def order(self, plans: Plans, scores: Scores) -> IntArray:
        """Indices from the best to the worst."""
        keys = [
            settled((-1.0 if direction == "max" else 1.0) * column(name, plans, scores))
            for name, direction in self.columns.items()
        ]
        keys += [column(name, plans, scores) for name in READING_ORDER]
        return np.lexsort(keys[::-1])


@dataclass(frozen=True)
class Relaxed:
    """What the recommendation would be without one limit, or ``row`` None where it would not change; ``gain`` is the
    relative improvement of the deciding column."""

    limit: str
    row: int | None
    gain: float


@dataclass(frozen=True)
class Choice:
    """Rows of the recommended plan and of the best one whose replicas are laid out otherwise; what each limit costs,
    and the axes at whose end the recommended plan stands. ``runner_up_apart``: the runner-up's interval does not reach
    the recommended plan's prediction. ``passed_over``: a plan predicted better whose layout no measurement covers."""

    recommended: int
    runner_up: int | None
    runner_up_apart: bool
    passed_over: int | None
    relaxed: tuple[Relaxed, ...]
    at_axis_end: tuple[str, ...]

    @property
    def pinned_by(self) -> tuple[str, ...]:
        """Limits without which another plan would be recommended."""
        return tuple(r.limit for r in self.relaxed if r.row is not None)


def recommend(
    plans: Plans, scores: Scores, policy: Policy, axes: Mapping[str, tuple[int, ...]], coverage: IntArray
) -> Choice | None:
    """The best feasible plan under the policy; ``None`` when none is feasible.

    A plan whose layout no measurement covers is not preferred to a covered one that lies inside its interval.
    """
    order = policy.order(plans, scores)
    feasible = scores.feasible
    ranked = order[feasible[order]]
    if len(ranked) == 0:
        return None
    name, direction = policy.first
    values = column(name, plans, scores)
    best = _covered(ranked, values, name, direction, coverage)
    same = np.all([shape[ranked] == shape[best] for shape in replica_layout(plans)], axis=0)
    others = ranked[~same & (ranked != ranked[0])] if best != int(ranked[0]) else ranked[~same]
    relaxed = []
    for i, limit in enumerate(scores.limits):
        row = _covered(order[keeping(scores, i)[order]], values, name, direction, coverage)
        gain = float(values[row] / values[best] - 1.0) * (1.0 if direction == "max" else -1.0)
        gain = 0.0 if abs(gain) <= TIED else gain
        relaxed.append(Relaxed(limit, None if row == best else row, gain))
    ends = tuple(axis for axis, _, _ in axis_ends(plans.row(best), axes))
    runner_up = int(others[0]) if len(others) else None
    apart = runner_up is None or not overlap(best, runner_up, values, name, direction, coverage)
    passed_over = int(ranked[0]) if int(ranked[0]) != best else None
    return Choice(best, runner_up, apart, passed_over, tuple(relaxed), ends)


def best_feasible(plans: Plans, scores: Scores, policy: Policy, coverage: IntArray) -> int | None:
    """The row that ``recommend`` chooses, without the reasons: cheap enough to ask in every of many situations."""
    rows = np.flatnonzero(scores.feasible)
    if len(rows) == 0:
        return None
    name, direction = policy.first
    values = column(name, plans, scores)

    def first(among: IntArray) -> int:
        # Only plans near the best value need the whole order.
        costs = values[among] * (-1.0 if direction == "max" else 1.0)
        tied = among[costs <= costs.min() + NEAR * np.abs(costs.min())]
        return int(tied[policy.order(plans.take(tied), scores.take(tied))[0]])

    ranked = [first(rows)]
    covered = rows[coverage[rows] != UNCOVERED]
    ranked += [first(covered)] if len(covered) else []
    return _covered(np.array(ranked), values, name, direction, coverage)


def replica_layout(plans: Plans) -> list[IntArray]:
    """What makes the layout of one replica; plans that differ in dp or batch alone agree in all of them."""
    return [plans.gpus // plans.dp, plans.pp, plans.sp, plans.tp, plans.ep]


def _interval(row: int, values: Array, name: str, coverage: IntArray) -> tuple[float, float]:
    """The 80 % interval of a deciding figure; the value itself where the figure has none."""
    if name not in (*PREDICTED, *COSTS):
        return float(values[row]), float(values[row])
    low, high = load_intervals().of(name, coverage[[row]], values[[row]])
    return float(low[0]), float(high[0])


def _covered(ranked: IntArray, values: Array, name: str, direction: str, coverage: IntArray) -> int:
    best = int(ranked[0])
    covered = ranked[coverage[ranked] != UNCOVERED]
    if coverage[best] != UNCOVERED or len(covered) == 0:
        return best
    low, high = _interval(best, values, name, coverage)
    other = int(covered[0])
    inside = values[other] >= low if direction == "max" else values[other] <= high
    return other if inside else best


def overlap(best: int, other: int, values: Array, name: str, direction: str, coverage: IntArray) -> bool:
    low, high = _interval(other, values, name, coverage)
    return bool(high >= values[best] if direction == "max" else low <= values[best])


def keeping(scores: Scores, limit: int) -> NDArray[np.bool_]:
    """Rows that keep every limit but one. Without the limit on memory a plan must still fit the accelerator's."""
    kept = np.all(np.delete(scores.violations, limit, axis=0) <= 0.0, axis=0)
    return kept & (scores.memory_utilization <= 1.0) if scores.limits[limit] == "memory" else kept


def axis_ends(plan: Mapping[str, int], axes: Mapping[str, tuple[int, ...]]) -> list[tuple[str, int, str]]:
    """Axes on whose ``smallest``, ``largest`` or ``only`` value a plan stands, with the value. At 1 an axis ends by
    nature; elsewhere the space may have been cut too short."""
    ends = []
    for axis, allowed in axes.items():
        value = plan[axis]
        if value in {allowed[0], allowed[-1]} - {1}:
            side = "only" if len(allowed) == 1 else "smallest" if value == allowed[0] else "largest"
            ends.append((axis, value, side))
    return ends


def nearest(plans: Plans, scores: Scores) -> list[int]:
    """Rows of infeasible plans by their summed excess over all limits, one (the nearest) of each layout."""
    excess = np.maximum(scores.violations, 0.0).sum(axis=0)
    layouts = np.stack([getattr(plans, a) for a in LAYOUT])
    order = np.argsort(excess, kind="stable")
    _, first = np.unique(layouts[:, order], axis=1, return_index=True)
    return [int(order[i]) for i in sorted(first)]
