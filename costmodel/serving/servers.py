"""Plans as the servers that they run, laid out so that what a layout decides is worked out once for all its batches.

Replicas do not know of each other. In the closed loop plans that differ in ``dp`` alone run the same server, as long as
equally many tiers of the cluster hold the whole deployment (``Cluster.members``): it is timed once. At a rate each
replica gets its share of the requests, so that ``dp`` counts. Servers of one layout stand below each other in a column,
a batch a row: arrays over layouts meet arrays over (rows, columns) by broadcasting.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from costmodel.plans import IntArray, Plans, grouped, packed
from costmodel.scenario import Scenario

CELLS = 32768  # plans timed together: fewer calls of NumPy, and arrays that stay in the cache
ROWS = (64, 32, 16, 8, 4, 2)  # of a column, the most that pay
FILLED = 0.85  # the least share of cells that are no repetition of their column's last batch


@dataclass(frozen=True)
class Servers:
    """``first``: a plan of each cell, shape (rows, columns), whose columns have one layout each; ``of``: the cell of
    each plan, counted through ``parts`` of the columns one after the other."""

    plans: Plans
    first: IntArray
    of: IntArray

    @classmethod
    def of_plans(cls, scenario: Scenario, plans: Plans) -> Servers:
        layouts = packed(_layout(scenario, plans))
        first, which = grouped(packed([layouts, plans.batch]))
        starts = np.flatnonzero(np.diff(layouts[first], prepend=-1))
        counts = np.diff(starts, append=len(first))
        rows = next((n for n in ROWS if n * np.sum(-(-counts // n)) * FILLED <= len(first)), 1)
        columns = -(-counts // rows)
        run = np.repeat(np.arange(len(counts)), columns)
        before = np.cumsum(columns) - columns
        top = starts[run] + rows * (np.arange(len(run)) - before[run])
        cells = np.minimum(top + np.arange(rows)[:, None], (starts + counts - 1)[run])
        place = np.arange(len(first)) - np.repeat(starts, counts)
        column = np.repeat(before, counts) + place // rows
        width = _width(rows)
        piece = column // width
        wide = np.minimum(width, len(run) - piece * width)
        of = piece * (width * rows) + place % rows * wide + column % width
        return cls(plans, first[cells], of[which])

    def parts(self) -> Iterator[Plans]:
        """Plans whose degrees have shape (columns,) and whose batch has (rows, columns)."""
        rows, columns = self.first.shape
        width = _width(rows)
        for start in range(0, max(columns, 1), width):
            some = self.first[:, start : start + width]
            yield replace(self.plans.take(some[0]), batch=self.plans.batch[some])


def _width(rows: int) -> int:
    return max(CELLS // rows, 1)


def _layout(scenario: Scenario, plans: Plans) -> list[IntArray]:
    """Numbers that are equal where a replica's layout and what surrounds it are."""
    degrees = [plans.tp, plans.ep, plans.pp, plans.sp]
    if scenario.demand is not None:
        return [*degrees, plans.dp, plans.gpus]
    inside = np.searchsorted([tier.size for tier in scenario.cluster.tiers], plans.gpus)
    return [*degrees, plans.gpus // plans.dp, inside]


def flat(record: Any, shape: tuple[int, ...]) -> Any:
    """A dataclass of arrays over (rows, columns) or columns as one of arrays over cells."""
    return replace(record, **{f.name: np.broadcast_to(getattr(record, f.name), shape).ravel() for f in fields(record)})
