"""Two pools' own fronts, joined over every ratio.

Take x instances of a and y of b whose accelerators are given. Where a's pool is the lesser (x A <= y B), the plan's
throughput is x A whatever b is, so b matters by its other figures alone: of all b' with y B' >= x A only those that no
other one of these equals or beats in the rest can be part of a best plan. Likewise where b's pool is the lesser. So
each a meets the front of what can keep up with it and each b the front of what can keep up with it: as many pairs as
there are points, times the few that are left of a front without its throughput, and no best plan is missing. Every
other pair is equalled or beaten by one of these: exchange its greater pool for the one that stands in that front, and
throughput and accelerators are the same, every time is as short or shorter.
(``tests/search/optimizer/split`` sets it against the product of the pools.)
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from costmodel.plans import Array, IntArray


def suffix_fronts(costs: Array) -> list[IntArray]:
    """Rows in order of throughput, greatest first: entry k holds those of the first k rows that no other of them
    equals or beats in ``costs`` (shape (n, figures), throughput left out)."""
    front: IntArray = np.zeros(0, dtype=np.int64)
    found = [front]
    for row in range(len(costs)):
        beaten = len(front) > 0 and bool(np.any(np.all(costs[front] <= costs[row], axis=1)))
        if not beaten:
            worse = np.all(costs[front] >= costs[row], axis=1) if len(front) else np.zeros(0, dtype=bool)
            front = np.append(front[~worse], row)
        found.append(front)
    return found


def ordered(costs: Array) -> IntArray:
    """Rows by throughput (the first column, negated), greatest first."""
    return np.lexsort((*costs[:, ::-1].T[:-1], costs[:, 0])) if len(costs) else np.zeros(0, dtype=np.int64)


class Keeping:
    """A pool's rows by throughput, and for each number of the fastest the front of their other figures."""

    def __init__(self, costs: Array) -> None:
        self.rows = ordered(costs)
        self.rate = -costs[self.rows, 0]
        self.fronts = suffix_fronts(costs[self.rows, 1:])
        self.lengths = np.array([len(f) for f in self.fronts])
        self.flat = np.concatenate(self.fronts) if len(self.fronts) > 1 else np.zeros(0, dtype=np.int64)
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])

    def meeting(self, rates: Array) -> tuple[IntArray, IntArray]:
        """Pairs (place in ``rates``, row of the pool) of the fronts of what reaches each rate."""
        # Rates descend: the first k reach it.
        k = np.searchsorted(-self.rate, -rates, side="right")
        count = self.lengths[k]
        place = np.repeat(np.arange(len(rates)), count)
        within = np.arange(len(place)) - np.repeat(np.cumsum(count) - count, count)
        return place, self.rows[self.flat[np.repeat(self.starts[k], count) + within]]


def pairs(first: Keeping, x: int, second: Keeping, y: int) -> tuple[IntArray, IntArray]:
    """Rows of the first and of the second pool that may make a best plan of ``x`` and ``y`` instances."""
    place, b = second.meeting(first.rate * x / y)
    other, a = first.meeting(second.rate * y / x)
    return np.concatenate([first.rows[place], a]), np.concatenate([b, second.rows[other]])


def ratios(total: int, first: int, second: int) -> Iterator[tuple[int, int]]:
    """Whole numbers of instances of ``first`` and ``second`` accelerators that fill ``total``, one of each at least."""
    for x in range(1, (total - second) // first + 1):
        if (total - x * first) % second == 0:
            yield x, (total - x * first) // second
