"""An axis as Optuna sees it.

Optuna compares a parameter's distribution with the one recorded before at every value that it stores, choice by choice,
and copies all of a trial's distributions when it tells it: half the time of a study. Nobody changes a distribution, so
the same object is equal to itself, and its own copy.
"""

from __future__ import annotations

import itertools
from typing import Any

import optuna.distributions as base


class _Shared:
    """A distribution that is not looked into where it meets itself."""

    def __eq__(self, other: Any) -> bool:
        return self is other or bool(super().__eq__(other))

    def __hash__(self) -> int:
        return super().__hash__()

    def __deepcopy__(self, memo: dict[int, Any]) -> _Shared:
        return self


class IntDistribution(_Shared, base.IntDistribution):
    """Optuna's, by the same name: it is in the records of a study."""


class CategoricalDistribution(_Shared, base.CategoricalDistribution):
    """Likewise."""


def distribution(values: tuple[int, ...]) -> base.BaseDistribution:
    """An integer range where the values of an axis are evenly spaced, else a choice."""
    steps = {b - a for a, b in itertools.pairwise(values)}
    if len(values) > 2 and len(steps) == 1:
        return IntDistribution(values[0], values[-1], step=steps.pop())
    return CategoricalDistribution(values)
