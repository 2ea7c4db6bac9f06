"""Score more plans than memory holds: piece by piece, keeping those that anything downstream can ask for.

Kept are the front; of each layout the plan that the policy would choose among those that keep every limit, or all but
one, by coverage and under the limits at unfavourable ends; plans that may be the best sure one; those nearest to the
best deciding column, which the sensitivity ranks again; of each layout the nearest miss; and a seeded sample. Pieces
hold whole layouts, so what is best of a layout in its piece is best of it in the space.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from costmodel.columns import column
from costmodel.evaluate import LIMIT_NAMES, TRAFFIC_LIMITS, evaluate
from costmodel.memory.device import usable_bytes
from costmodel.plans import Array, IntArray, Plans
from costmodel.scenario import Scenario
from costmodel.scores import Scores
from search.base import interrupt
from search.base.workers import LOCAL, Workers
from search.evidence.measured.intervals import UNCOVERED, coverage_of
from search.optimizer.front import Objectives, pareto_front
from search.optimizer.full.replicas import first_without
from search.optimizer.full.search import Ranges
from search.optimizer.hardened import hardened, likely
from search.optimizer.held import fit_in
from search.optimizer.legal import Legal
from search.optimizer.outcome import Tally
from search.optimizer.recommend import NEAR, Policy, keeping
from search.optimizer.settled import Settled, settled
from search.optimizer.settled import places as places_of
from search.optimizer.space import Space

PIECE = 1 << 15  # plans of a piece, and a layout's more
MOST_NEAR = 100_000  # as the sensitivity's corners take them


@dataclass(frozen=True)
class Wanted:
    """What the run asks of its plans; ``drawn``: how many may be the best sure one; ``most_bytes`` of an accelerator
    beyond which a plan fits in nothing that is asked; ``bounds``: whether plans that surely miss a limit may be left
    out."""

    scenario: Scenario
    objectives: Objectives
    policy: Policy
    drawn: int
    most_bytes: float = np.inf
    bounds: bool = False

    def spared(self, beyond: int, late: int) -> Tally:
        """So many plans that do not fit in the memory, and that are late."""
        names = LIMIT_NAMES if self.scenario.demand is None else TRAFFIC_LIMITS
        by_limit = {"memory": beyond, "ttft": late}
        return Tally(beyond + late, 0, tuple(by_limit.get(name, 0) for name in names), beyond, late)


class Piece(NamedTuple):
    """``points`` of the space, whole layouts of it, and a cost beyond which none of them is among the nearest."""

    points: IntArray
    most: float


class Kept(NamedTuple):
    """What is left of a piece: ``counts`` of its tally; ``rows`` to keep; its ``front`` and the ``near``est, rows too,
    with their costs."""

    counts: IntArray
    rows: IntArray
    front: IntArray
    front_costs: Array
    near: IntArray
    near_costs: Array


def stream(wanted: Wanted, legal: Legal, workers: Workers = LOCAL) -> tuple[IntArray, Tally]:
    """Places in ``legal`` of the plans to keep, ascending, and the tally of all; of those that were scored where
    somebody asked to end."""
    places, tally = _stream(wanted, legal, workers)
    if (
        tally.feasible == 0 and tally.spared and not interrupt.asked()
    ):  # the nearest misses may be among those that were not scored
        places, tally = _stream(replace(wanted, most_bytes=np.inf, bounds=False), legal, workers)
    return places, tally


def _stream(wanted: Wanted, legal: Legal, workers: Workers) -> tuple[IntArray, Tally]:
    front, near, kept = _Front(), _Nearest(), [np.zeros(0, dtype=np.int64)]
    tally = wanted.spared(0, 0)
    never, found = _settled(wanted, legal)
    edges = pieces(found.left, len(legal.starts))
    under_way: deque[tuple[Tally, IntArray]] = deque()  # of pieces that were handed out: what was spared, places

    def handed_out() -> Iterator[Piece]:
        for first, last in edges:  # layouts
            own = slice(*np.searchsorted(found.left.rows, [first, last]))
            places = places_of(legal, found.left.take(np.arange(len(found.left))[own]))
            beyond, memory, ttft = (int(each[first:last].sum()) for each in (never, found.memory, found.ttft))
            under_way.append((wanted.spared(beyond + memory, ttft), places))
            yield Piece(legal.index[places], near.most)

    for result in workers.kept(Scoring(wanted, legal.space), handed_out(), len(edges), "exact front"):
        one = Kept(*result)
        spared, places = under_way.popleft()
        tally += spared + Tally.counted(one.counts)
        front.add(places[one.front], one.front_costs)
        near.add(places[one.near], one.near_costs)
        kept.append(places[one.rows])
        interrupt.worthwhile()
    if tally.scored == tally.spared + tally.late and interrupt.asked():
        raise interrupt.Nothing
    return np.unique(np.concatenate([*kept, front.places, near.places])), tally


@dataclass(frozen=True)
class Scoring:
    """Scores a piece of the ``space``; a function without memory, which anybody may call anywhere."""

    wanted: Wanted
    space: Space

    def __call__(self, piece: Piece) -> Kept:
        wanted, index = self.wanted, piece.points
        if len(index) == 0:
            none = np.zeros(0, dtype=np.int64)
            no_costs = np.zeros((0, len(wanted.objectives.names)))
            return Kept(wanted.spared(0, 0).counts, none, none, no_costs, none, np.zeros(0))
        plans = self.space.plans(index)
        scores = evaluate(wanted.scenario, plans)
        known = coverage_of(wanted.scenario, plans, scores)
        hard = hardened(wanted.scenario, scores, known)
        costs = wanted.objectives.costs(plans, scores)
        front = pareto_front(costs, scores.feasible)
        name, direction = wanted.policy.first
        cost = column(name, plans, scores) * (-1.0 if direction == "max" else 1.0)
        near = np.flatnonzero(cost <= piece.most)
        layouts = index // len(self.space.axes["batch"])
        rows = [_best(wanted.policy, plans, scores, cost, layouts, among) for among in _masks(scores, hard, known)]
        rows += [likely(plans, hard, wanted.policy, wanted.drawn), _least(scores, layouts)]
        return Kept(Tally.of(scores).counts, np.unique(np.concatenate(rows)), front, costs[front], near, cost[near])


def fitting(wanted: Wanted, legal: Legal, most: float) -> IntArray:
    """For each layout how many of its plans, from the first on, hold ``most`` bytes or less: bytes never fall with the
    batch (weights stay, the cache, the pass and its graphs grow), so bisection finds it."""
    counts = np.diff(legal.starts, append=len(legal))
    if not np.isfinite(most):
        return counts

    def fits(rows: IntArray, places: IntArray) -> NDArray[np.bool_]:
        return fit_in(wanted.scenario, legal.at(legal.starts[rows] + places), most)

    return first_without(fits, counts)


def _settled(wanted: Wanted, legal: Legal) -> tuple[IntArray, Settled]:
    """By layout, plans beyond ``most_bytes``; and of the others those that a bound settles, and those that are left."""
    scenario, counts = wanted.scenario, np.diff(legal.starts, append=len(legal))
    stops = fitting(wanted, legal, wanted.most_bytes)
    if not wanted.bounds:
        rows = np.flatnonzero(stops)
        none = np.zeros_like(stops)
        return counts - stops, Settled(Ranges(rows, np.zeros_like(rows), stops[rows]), none, none)
    fit = fitting(wanted, legal, scenario.limits.memory_fraction * usable_bytes(scenario.accelerator))
    return counts - stops, settled(scenario, wanted.policy, MOST_NEAR, legal, stops, fit)


def pieces(left: Ranges, layouts: int) -> list[tuple[int, int]]:
    """Runs of whole layouts with ``PIECE`` plans and more that are left; each layout stands in one."""
    ends = np.cumsum(np.bincount(left.rows, weights=left.sizes, minlength=layouts).astype(np.int64))
    edges = [0]
    while edges[-1] < layouts:
        before = ends[edges[-1] - 1] if edges[-1] else 0
        edges.append(min(int(np.searchsorted(ends, before + PIECE)) + 1, layouts))
    return list(pairwise(edges))


class _Front:
    """The front so far, and fronts of pieces that wait to be compared with it: until they are as many, so that a long
    front is not gone through for every piece."""

    def __init__(self) -> None:
        self.places: IntArray = np.zeros(0, dtype=np.int64)
        self.costs: Array | None = None
        self._settled = 0

    def add(self, places: IntArray, costs: Array) -> None:
        self.costs = costs if self.costs is None else np.concatenate([self.costs, costs])
        self.places = np.concatenate([self.places, places])
        if len(self.places) > 2 * self._settled:
            on = pareto_front(self.costs, np.ones(len(self.costs), dtype=bool))
            self.places, self.costs = self.places[on], self.costs[on]
            self._settled = len(on)


class _Nearest:
    """``MOST_NEAR`` plans with the least cost, the first of equal ones."""

    def __init__(self) -> None:
        self.places: IntArray = np.zeros(0, dtype=np.int64)
        self.costs: Array = np.zeros(0)
        self.most = np.inf

    def add(self, places: IntArray, costs: Array) -> None:
        near = costs <= self.most
        self.places = np.concatenate([self.places, places[near]])
        self.costs = np.concatenate([self.costs, costs[near]])
        if len(self.places) > MOST_NEAR:
            order = np.sort(np.argsort(self.costs, kind="stable")[:MOST_NEAR])
            self.places, self.costs = self.places[order], self.costs[order]
            self.most = self.costs.max()


def _masks(scores: Scores, hard: Scores, known: IntArray) -> Iterator[NDArray[np.bool_]]:
    """Plans among which a best one may be asked for."""
    covered = known != UNCOVERED
    for judged in (scores, hard):
        for limit in (None, *range(len(scores.limits))):
            kept = judged.feasible if limit is None else keeping(judged, limit)
            yield kept & covered
            yield kept & ~covered


def _best(
    policy: Policy, plans: Plans, scores: Scores, cost: Array, layouts: IntArray, among: NDArray[np.bool_]
) -> IntArray:
    """Of each layout the row that the policy chooses among some; only rows near the best value need the whole order."""
    rows = np.flatnonzero(among)
    if len(rows) == 0:
        return rows
    new = np.diff(layouts[rows], prepend=-1) > 0
    least = np.minimum.reduceat(cost[rows], np.flatnonzero(new))[np.cumsum(new) - 1]
    rows = rows[cost[rows] <= least + NEAR * np.abs(least)]
    order = policy.order(plans.take(rows), scores.take(rows))
    _, first = np.unique(layouts[rows[order]], return_index=True)
    return rows[order[first]]


def _least(scores: Scores, layouts: IntArray) -> IntArray:
    """Of each layout the first row with the least excess over its limits."""
    excess = np.maximum(scores.violations, 0.0).sum(axis=0)
    order = np.lexsort([np.arange(len(excess)), excess, layouts])
    return order[np.diff(layouts[order], prepend=-1) > 0]
