"""The search space: the free product of the axes. It knows its size without listing its points; point ``i`` is found
by its index, with batch varying fastest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.plans import IntArray, Plans
from search.errors import InputError

ORDER = ("gpus", "dp", "pp", "sp", "tp", "ep", "batch")  # slowest first
LARGEST = 10_000_000  # of one axis value
MOST_VALUES = 100_000  # of one axis


@dataclass(frozen=True)
class Space:
    """``axes`` maps each name of ``ORDER`` to its ascending values."""

    axes: Mapping[str, tuple[int, ...]]

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Space:
        """Read every axis; ``InputError`` names the one that cannot be used."""
        return cls({name: axis_values(f"space.{name}", config[name]) for name in ORDER})

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(self.axes[name]) for name in ORDER)

    @property
    def size(self) -> int:
        size = 1
        for n in self.shape:
            size *= n
        return size

    def coordinates(self, index: IntArray) -> IntArray:
        """Positions on each axis of the points ``index``: shape (7, n)."""
        return np.stack(np.unravel_index(index, self.shape)).astype(np.int64)

    def index(self, coordinates: IntArray) -> IntArray:
        """The inverse of ``coordinates``."""
        return np.ravel_multi_index(tuple(coordinates), self.shape).astype(np.int64)

    def plans(self, index: IntArray) -> Plans:
        """The points ``index`` as plans."""
        places = self.coordinates(index)
        columns = {name: np.asarray(self.axes[name])[places[i]] for i, name in enumerate(ORDER)}
        return Plans.of(**columns)


def axis_values(key: str, value: Any) -> tuple[int, ...]:
    """The values of an axis given as a number, a list or a range."""
    if isinstance(value, Mapping):
        values = _range(key, value)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        values = [_whole(key, v) for v in value]
    else:
        values = [_whole(key, value)]
    if not values:
        raise InputError(f"{key}: [] is empty; give at least one whole number")
    if len(values) > MOST_VALUES:
        raise InputError(f"{key}: {len(values)} values; at most {MOST_VALUES} are allowed")
    if len(set(values)) != len(values):
        raise InputError(f"{key}: {value} repeats a value; each may stand once")
    return tuple(sorted(values))


def _whole(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LARGEST:
        raise InputError(
            f"{key}: {value!r} is not allowed; give whole numbers from 1 to {LARGEST}, "
            "a list of them, or a range {start: 8, stop: 1024, step: 8} or {start: 1, stop: 64, factor: 2}"
        )
    return value


def _range(key: str, value: Mapping[Any, Any]) -> list[int]:
    keys = set(value)
    if keys not in ({"start", "stop", "step"}, {"start", "stop", "factor"}):
        raise InputError(f"{key}: {dict(value)} is not a range; give start, stop and either step or factor")
    start, stop = _whole(f"{key}.start", value["start"]), _whole(f"{key}.stop", value["stop"])
    if stop < start:
        raise InputError(f"{key}: stop {stop} is below start {start}")
    if "step" in keys:
        step = _whole(f"{key}.step", value["step"])
        if (stop - start) // step >= MOST_VALUES:
            raise InputError(f"{key}: more than {MOST_VALUES} values; take a larger step")
        return list(range(start, stop + 1, step))
    factor = _whole(f"{key}.factor", value["factor"])
    if factor < 2:
        raise InputError(f"{key}.factor: {factor} is not allowed; give a whole number from 2")
    values = []
    while start <= stop:
        values.append(start)
        start *= factor
    return values
