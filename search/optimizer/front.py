"""Pareto fronts and hypervolumes, through moocore."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import moocore
import numpy as np
from numpy.typing import NDArray

from costmodel.columns import AT_A_RATE, column
from costmodel.plans import Array, IntArray, Plans
from costmodel.scores import Scores
from search.base.errors import InputError
from search.optimizer.ties import settled

REFERENCE = 1.1  # of every objective, scaled to the exact front's range


@dataclass(frozen=True)
class Objectives:
    """Column names with directions, in order."""

    directions: Mapping[str, str]

    @classmethod
    def from_config(cls, key: str, columns: Mapping[str, str]) -> Objectives:
        if not columns:
            raise InputError(f"{key}: {{}} is empty; name at least one column with max or min")
        for name, direction in columns.items():
            if name not in AT_A_RATE:
                raise InputError(f"{key}: unknown column {name!r}; known: {', '.join(AT_A_RATE)}")
            if direction not in ("max", "min"):
                raise InputError(f"{key}.{name}: {direction!r} is not allowed; give max or min")
        return cls(dict(columns))

    @property
    def names(self) -> list[str]:
        return list(self.directions)

    def costs(self, plans: Plans, scores: Scores) -> Array:
        """Shape (n, objectives), every column to be minimised."""
        signs = [-1.0 if d == "max" else 1.0 for d in self.directions.values()]
        return np.stack([s * column(n, plans, scores) for s, n in zip(signs, self.names, strict=True)], axis=1)


def non_dominated(costs: Array) -> NDArray[np.bool_]:
    """True for the rows that no other row dominates; equal rows keep each other company."""
    if len(costs) == 0:
        return np.zeros(0, dtype=bool)
    return np.asarray(moocore.is_nondominated(costs, keep_weakly=True))


def pareto_front(costs: Array, feasible: NDArray[np.bool_]) -> IntArray:
    """Indices of the front among the feasible rows, ascending. Costs within rounding of each other are equal: a plan
    that another one beats in nothing but rounding has no place on it."""
    index = np.flatnonzero(feasible)
    return index[non_dominated(np.apply_along_axis(settled, 0, costs[index]))]


def hypervolume_share(costs: Array, exact: Array) -> float:
    """Hypervolume of ``costs`` over that of the ``exact`` front, both scaled so that the exact front spans [0, 1] in
    every objective; reference ``REFERENCE``. An objective that does not vary on the exact front is scaled by its size.
    """
    low, high = exact.min(axis=0), exact.max(axis=0)
    span = np.where(high > low, high - low, np.maximum(np.abs(high), 1.0))
    reference = np.full(exact.shape[1], REFERENCE)
    whole = moocore.hypervolume(np.unique((exact - low) / span, axis=0), ref=reference)
    if len(costs) == 0:
        return 0.0
    scaled = np.unique((costs - low) / span, axis=0)
    return float(moocore.hypervolume(scaled[non_dominated(scaled)], ref=reference) / whole)
