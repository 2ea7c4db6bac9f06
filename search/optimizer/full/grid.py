"""Is a point dominated by a front? Answered from a table, on the safe side.

All columns but one are cut into levels. The table holds, for each combination of levels, the least value of the last
column among members of the front that are at or below all of them. A point is looked up at the levels that it is at or
above, so that what the table says of it is true; near a level's edge it may not know.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from costmodel.plans import Array
from search.optimizer.recommend import NEAR

CELLS = 1_500_000


class Grid:
    """``costs`` of a front, shape (n, columns), all to be minimised."""

    def __init__(self, costs: Array) -> None:
        different = [len(np.unique(column)) for column in costs.T]
        self._value = int(np.argmax(different)) if different else 0
        self._others = [i for i in range(costs.shape[1]) if i != self._value]
        self._levels: list[Array] = []
        left = CELLS
        # Columns with few values first: what they do not need is left to the others.
        for n, i in enumerate(sorted(self._others, key=lambda i: different[i])):
            most = max(int(left ** (1.0 / (len(self._others) - n))), 1)
            self._levels.append(_levels(costs[:, i], most))
            left //= max(len(self._levels[-1]), 1)
        self._others.sort(key=lambda i: different[i])
        places = tuple(np.searchsorted(lv, costs[:, i]) for lv, i in zip(self._levels, self._others, strict=True))
        self._table = np.full([len(lv) for lv in self._levels], np.inf)
        if places:
            np.minimum.at(self._table, places, costs[:, self._value])
        else:
            self._table = np.array(costs[:, 0].min(initial=np.inf))
        for axis in range(self._table.ndim):
            np.minimum.accumulate(self._table, axis=axis, out=self._table)

    def dominates(self, costs: Array) -> NDArray[np.bool_]:
        """True for points that some member is not above in any column, and below in one by more than what may be
        tied to it."""
        if self._table.size == 0:
            return np.zeros(len(costs), dtype=bool)
        places = [
            np.searchsorted(lv, costs[:, i], side="right") - 1 for lv, i in zip(self._levels, self._others, strict=True)
        ]
        known = np.all([p >= 0 for p in places], axis=0) if places else np.ones(len(costs), dtype=bool)
        least = self._table[tuple(np.maximum(p, 0) for p in places)]
        value = costs[:, self._value]
        return np.asarray(known & (least < value - NEAR * np.abs(value)))


def _levels(column: Array, most: int) -> Array:
    """The values of a column, or so many of them, its largest among them."""
    values = np.unique(column)
    if len(values) <= most:
        return values
    return values[np.unique(np.linspace(0, len(values) - 1, most).round().astype(np.int64))]
