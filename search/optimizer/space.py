"""The search space: the free product of the axes. It knows its size without listing its points; point ``i`` is found
by its index, with batch varying fastest."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.plans import IntArray, Plans
from search.base.errors import InputError

ORDER = ("gpus", "dp", "pp", "sp", "tp", "ep", "batch")  # slowest first
LARGEST = 10_000_000  # of one axis value
MOST_VALUES = 100_000  # of one axis
MOST_POINTS = 10**18  # an index has 64 bits
MOST_LAYOUTS = 2**62


@dataclass(frozen=True)
class Space:
    """``axes`` maps each name of ``ORDER`` to its ascending values."""

    axes: Mapping[str, tuple[int, ...]]

    @classmethod
    def from_config(cls, config: Mapping[str, Any], *, listed: bool = True) -> Space:
        """Read every axis; ``InputError`` names the one that cannot be used. Points have an index where they are
        ``listed``, else their layouts alone."""
        found = cls({name: axis_values(f"space.{name}", config[name]) for name in ORDER})
        size, most, what = found.size, MOST_POINTS, "points"
        if not listed:
            size, most, what = size // len(found.axes["batch"]), MOST_LAYOUTS, "layouts"
        if size > most:
            shape = " x ".join(map(str, found.shape))
            raise InputError(f"space: {shape} = {size:.3g} {what}; at most {most:.3g} are allowed")
        return found

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
    """The values of an axis: a number, a range, or a list of both. A range is ``"8:512:8"`` (first, last included,
    step), ``"1:64:x2"`` (factor), or the mapping {start, stop, step} or {start, stop, factor}."""
    items = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    values: list[int] = []
    for item in items:
        values += _range(key, item) if isinstance(item, str | Mapping) else [_whole(key, item)]
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
            "ranges such as '8:512:8' or '1:64:x2', or a list of them"
        )
    return value


def _range(key: str, value: str | Mapping[Any, Any]) -> list[int]:
    written = re.fullmatch(r"(\d+):(\d+):(x?)(\d+)", value) if isinstance(value, str) else None
    if written:
        first, last, times, by = written.groups()
        parts = {"start": int(first), "stop": int(last), "factor" if times else "step": int(by)}
    elif isinstance(value, Mapping) and set(value) in ({"start", "stop", "step"}, {"start", "stop", "factor"}):
        parts = dict(value)
    else:
        shown = dict(value) if isinstance(value, Mapping) else value
        raise InputError(f"{key}: {shown!r} is not a range; give '8:512:8' (first, last, step) or '1:64:x2' (factor)")
    start, stop = _whole(f"{key}.start", parts["start"]), _whole(f"{key}.stop", parts["stop"])
    if stop < start:
        raise InputError(f"{key}: stop {stop} is below start {start}")
    if "step" in parts:
        step = _whole(f"{key}.step", parts["step"])
        if (stop - start) // step >= MOST_VALUES:
            raise InputError(f"{key}: more than {MOST_VALUES} values; take a larger step")
        return list(range(start, stop + 1, step))
    factor = _whole(f"{key}.factor", parts["factor"])
    if factor < 2:
        raise InputError(f"{key}.factor: {factor} is not allowed; give a whole number from 2")
    values = []
    while start <= stop:
        values.append(start)
        start *= factor
    return values
