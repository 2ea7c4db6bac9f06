"""The exact front by a dynamic programme over integer numbers of accelerators.

``best[n1, n2, ...]`` is the largest weighted share that the first members can be served with at most that many
accelerators of each pool. A member more is one step over its choices. What a fleet costs follows from its numbers of
accelerators, so that the front is read off the last table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from costmodel.plans import Array, IntArray
from search.base.progress import track
from search.optimizer.fleet.problem import SAME, Front, Problem

MOST_STEPS = 2 * 10**10  # cells times choices that are tried: a minute
MOST_CELLS = 20_000_000
ROUNDING = 1e-12  # of sums of shares


@dataclass(frozen=True)
class _Grid:
    """Pools in steps of ``unit`` accelerators, ``size`` of them and none."""

    unit: IntArray
    size: IntArray

    @classmethod
    def of(cls, problem: Problem) -> _Grid:
        unit = np.array([max(np.gcd.reduce(_column(problem, k)), 1) for k in range(len(problem.counts))])
        needed = np.sum([m.gpus.max(axis=0) for m in problem.members], axis=0)
        return cls(unit, np.minimum(problem.counts, needed) // unit + 1)


def _column(problem: Problem, pool: int) -> IntArray:
    return np.concatenate([m.gpus[:, pool] for m in problem.members])


def steps(problem: Problem) -> tuple[int, int]:
    """Cells of the table, and cells times choices."""
    cells = int(np.prod(_Grid.of(problem).size.astype(float)))
    return cells, cells * sum(len(m) for m in problem.members)


def fits(problem: Problem) -> bool:
    """Whether the table is small enough."""
    cells, tried = steps(problem)
    return cells <= MOST_CELLS and tried <= MOST_STEPS


def solve(problem: Problem) -> Front:
    """The whole front of cost against served share, within pools and budgets. Of fleets that cost and serve the same
    the one with the fewest accelerators stands there."""
    grid = _Grid.of(problem)
    best = np.zeros((1,) * len(grid.size))
    chosen = []
    for number in track(range(len(problem.members)), "fleets"):
        member = problem.members[number]
        steps = member.gpus // grid.unit
        size = np.minimum(np.array(best.shape) + steps.max(axis=0), grid.size)
        best, pick = _added(best, steps, float(problem.weights[number]) * member.share, size)
        chosen.append(pick)
    cells = _front(problem, grid, best)
    return Front(_picks(problem, grid, chosen, cells), "dynamic programme", True)


def _added(best: Array, steps: IntArray, worth: Array, size: IntArray) -> tuple[Array, IntArray]:
    """The table with one member more, of ``size``, and which of its choices it takes in each cell."""
    before = best[np.ix_(*(np.minimum(np.arange(n), have - 1) for n, have in zip(size, best.shape, strict=True)))]
    after, pick = before.copy(), np.zeros(before.shape, dtype=np.uint16 if len(worth) < 1 << 16 else np.int64)
    for choice in range(1, len(worth)):
        move = steps[choice]
        if np.any(move >= size):
            continue
        target = tuple(slice(m, None) for m in move)
        source = tuple(slice(0, n - m) for n, m in zip(size, move, strict=True))
        reached = before[source] + worth[choice]
        better = reached > after[target]
        np.copyto(after[target], reached, where=better)
        np.copyto(pick[target], choice, where=better)
    return after, pick


def _front(problem: Problem, grid: _Grid, best: Array) -> IntArray:
    """Cells of the front, ascending in cost, shape (n, pools): the first of each served share."""
    at = np.stack(np.unravel_index(np.arange(best.size), best.shape), axis=1)
    gpus = at * grid.unit
    kept = np.ones(best.size, dtype=bool)
    for budget in problem.budgets:
        kept &= gpus @ budget.each <= budget.most * (1.0 + SAME)
    rows = np.flatnonzero(kept)
    order = rows[np.lexsort((-best.ravel()[rows], gpus[rows].sum(axis=1), gpus[rows] @ problem.charges))]
    served = best.ravel()[order]
    so_far = np.concatenate([[0.0], np.maximum.accumulate(served)[:-1]])
    return at[order[served > so_far + ROUNDING * problem.whole]]


def _picks(problem: Problem, grid: _Grid, chosen: list[IntArray], cells: IntArray) -> IntArray:
    """Walk back from each cell."""
    left, picks = cells.copy(), np.zeros((len(cells), len(chosen)), dtype=np.int64)
    for i in range(len(chosen) - 1, -1, -1):
        left = np.minimum(left, np.array(chosen[i].shape) - 1)
        picks[:, i] = chosen[i][tuple(left.T)]
        left = left - problem.members[i].gpus[picks[:, i]] // grid.unit
    return picks
