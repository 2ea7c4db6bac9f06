"""Layouts that exist, by construction: divisors of divisors instead of every point of the product.

The first rules of ``general`` say that one degree divides what another leaves. Whatever they remove is counted by how
many values of an axis do not divide, times the values of the axes that come later; nobody lists it. So time grows with
the layouts that are left, not with the product.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isqrt

import numpy as np

from costmodel.plans import IntArray, Plans
from search.base.progress import track
from search.optimizer.rules.facts import Facts
from search.optimizer.rules.registry import general_rules
from search.optimizer.space import ORDER, Space

AXES = ORDER[:-1]  # of a layout: all but the batch
TOGETHER = 32  # values of ``gpus`` whose layouts are held at once
# The rules that layouts are built by, in the order in which a point is counted as removed.
BUILT_BY = ("replicas_fill_gpus", "attention_fills_stage", "experts_fill_stage", "dense_has_one_group")
assert tuple(rule.name for rule in general_rules()[: len(BUILT_BY)]) == BUILT_BY


@dataclass(frozen=True)
class Layouts:
    """``places`` of some layouts in the product of ``AXES``, ascending, and their ``plans``, whose batch is 0;
    ``removed``: layouts of the same part of the product by the rule of ``BUILT_BY`` that keeps them out."""

    places: IntArray
    plans: Plans
    removed: dict[str, int]


class Divisors:
    """Which values of an axis, ascending, divide a number."""

    def __init__(self, axis: tuple[int, ...]) -> None:
        self.axis = np.array(axis, dtype=np.int64)
        self._known: dict[int, IntArray] = {}

    def of(self, number: int) -> IntArray:
        """Places on the axis."""
        if number not in self._known:
            self._known[number] = self._find(number)
        return self._known[number]

    def _find(self, number: int) -> IntArray:
        if len(self.axis) <= 2 * isqrt(number):
            return np.flatnonzero(number % self.axis == 0)
        small = np.arange(1, isqrt(number) + 1, dtype=np.int64)
        small = small[number % small == 0]
        dividing = np.union1d(small, number // small)
        place = np.searchsorted(self.axis, dividing)
        there = place < len(self.axis)
        place, dividing = place[there], dividing[there]
        return place[self.axis[place] == dividing]

    def counts(self, numbers: IntArray) -> IntArray:
        """How many divide each of the numbers."""
        different, which = np.unique(numbers, return_inverse=True)
        return np.array([len(self.of(int(n))) for n in different], dtype=np.int64)[which]

    def pairs(self, numbers: IntArray) -> tuple[IntArray, IntArray]:
        """Every (row of ``numbers``, place on the axis) whose value divides it, rows ascending, then places."""
        different, which = np.unique(numbers, return_inverse=True)
        found = [self.of(int(n)) for n in different]
        many = np.array([len(f) for f in found], dtype=np.int64)
        starts = np.cumsum(many) - many
        counts = many[which]
        rows = np.repeat(np.arange(len(numbers)), counts)
        inside = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        flat = np.concatenate(found) if found else np.zeros(0, dtype=np.int64)
        return rows, flat[starts[which][rows] + inside]


def layouts(space: Space, facts: Facts) -> Iterator[Layouts]:
    """All layouts of the space that keep the rules of ``BUILT_BY``, in ascending order, piece by piece."""
    axes = {name: Divisors(space.axes[name]) for name in AXES}
    sizes = {name: len(space.axes[name]) for name in AXES}
    for start in track(range(0, sizes["gpus"], TOGETHER), "legality"):
        gpus = np.arange(start, min(start + TOGETHER, sizes["gpus"]))
        yield _dense(axes, sizes, gpus) if not facts.moe else _moe(axes, sizes, gpus)


def _replicas(axes: dict[str, Divisors], gpus: IntArray) -> tuple[dict[str, IntArray], IntArray]:
    """Places of gpus, dp and pp whose product fits, and the GPUs of a stage."""
    left = axes["gpus"].axis[gpus]
    rows, dp = axes["dp"].pairs(left)
    left, places = left[rows] // axes["dp"].axis[dp], {"gpus": gpus[rows], "dp": dp}
    rows, pp = axes["pp"].pairs(left)
    places = {name: p[rows] for name, p in places.items()} | {"pp": pp}
    return places, left[rows] // axes["pp"].axis[pp]


def _moe(axes: dict[str, Divisors], sizes: dict[str, int], gpus: IntArray) -> Layouts:
    places, width = _replicas(axes, gpus)
    replicas, left = len(width), width
    for name in ("sp", "tp"):
        rows, place = axes[name].pairs(left)
        places = {n: p[rows] for n, p in places.items()} | {name: place}
        left, width = left[rows] // axes[name].axis[place], width[rows]
    attention = len(width)
    rows, ep = axes["ep"].pairs(width)
    places = {n: p[rows] for n, p in places.items()} | {"ep": ep}
    removed = _removed(sizes, len(gpus), replicas, attention, len(rows), len(rows))
    return _whole(axes, sizes, places, removed)


def _dense(axes: dict[str, Divisors], sizes: dict[str, int], gpus: IntArray) -> Layouts:
    """A dense model fills its stage with tp and sp, and has ep 1: the rest is counted, not listed."""
    places, width = _replicas(axes, gpus)
    replicas = len(width)
    rows, sp = axes["sp"].pairs(width)
    width, places = width[rows], {n: p[rows] for n, p in places.items()} | {"sp": sp}
    left = width // axes["sp"].axis[sp]
    attention, experts = axes["tp"].counts(left), axes["ep"].counts(width)
    tp = np.searchsorted(axes["tp"].axis, left)
    filled = axes["tp"].axis[np.minimum(tp, sizes["tp"] - 1)] == left
    filled &= axes["ep"].axis[0] == 1
    places = {n: p[filled] for n, p in places.items()} | {"tp": tp[filled]}
    places["ep"] = np.zeros_like(places["tp"])
    kept = int((attention * experts).sum())
    removed = _removed(sizes, len(gpus), replicas, int(attention.sum()), kept, int(filled.sum()))
    return _whole(axes, sizes, places, removed)


def _removed(
    sizes: dict[str, int], gpus: int, replicas: int, attention: int, experts: int, dense: int
) -> dict[str, int]:
    """Layouts that each rule keeps out, from how many (gpus, dp, pp), then with sp and tp, then with ep, are left."""
    every = gpus * sizes["dp"] * sizes["pp"]
    inner = sizes["sp"] * sizes["tp"]
    counts = (
        (every - replicas) * inner * sizes["ep"],
        (replicas * inner - attention) * sizes["ep"],
        attention * sizes["ep"] - experts,
        experts - dense,
    )
    return dict(zip(BUILT_BY, counts, strict=True))


def _whole(
    axes: dict[str, Divisors], sizes: dict[str, int], places: dict[str, IntArray], removed: dict[str, int]
) -> Layouts:
    number = np.zeros(len(places["ep"]), dtype=np.int64)
    for name in AXES:
        number = number * sizes[name] + places[name]
    values = {name: axes[name].axis[places[name]] for name in AXES}
    return Layouts(number, Plans.of(**values, batch=np.zeros_like(number)), removed)
