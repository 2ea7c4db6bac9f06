"""Distributions by their cumulants: sums of independent parts, mixtures of such sums, percentiles.

Cumulants of independent parts add up. A sum is taken for a Pearson III (shifted gamma) variable of the same first
three, whose distribution function is that of a normal variable by Wilson and Hilferty (PNAS 17, 1931). A mixture's
percentiles are read off its distribution function on a grid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.plans import Array

PERCENTILES = (50, 90, 95, 99)
POINTS, REFINED = 7, 3  # of the grid on which a mixture is read, and further ones for each percentile
FEW = 5, 2  # of a mixture whose parts lie close to each other
EDGE = 0.3  # share of an interval that a further point leaves on either side of it, at the least
STRAIGHT = 1e-3  # a skewness below which a variable is normal
TOGETHER = 4096  # plans whose grid is read at a time: it stays in the cache
RARE = 1e-4  # a chance below which a part does not stretch the grid
PAGE = (math.sqrt(2.0 / math.pi), 0.044715 * math.sqrt(2.0 / math.pi))
MOST_SKEWED = 4.0  # beyond it the approximation has no left side


@dataclass(frozen=True)
class Part:
    """Mean, variance and third central moment, arrays of one shape."""

    mean: Any = 0.0
    variance: Any = 0.0
    third: Any = 0.0

    def __add__(self, other: Part) -> Part:
        return Part(self.mean + other.mean, self.variance + other.variance, self.third + other.third)

    @property
    def deviation(self) -> Any:
        return np.sqrt(np.maximum(self.variance, 1e-30))


def of_moments(first: Any, second: Any, third: Any) -> Part:
    """From the means of a variable, its square and its cube."""
    return Part(first, np.maximum(second - first**2, 0.0), third - first * (3.0 * second - 2.0 * first * first))


def exponential(mean: Any) -> Part:
    return Part(mean, mean * mean, 2.0 * mean * mean * mean)


def sometimes(part: Part, chance: Any) -> Part:
    """``part`` with a chance, else nothing."""
    second = part.variance + part.mean**2
    third = part.third + part.mean * (3.0 * part.variance + part.mean * part.mean)
    return of_moments(chance * part.mean, chance * second, chance * third)


def collapsed(chance: Any, part: Part) -> Part:
    """One part of the cumulants of a mixture of parts along the first axis."""
    first = np.sum(chance * part.mean, axis=0)
    away = part.mean - first
    square = away * away
    second = np.sum(chance * (part.variance + square), axis=0)
    square += 3.0 * part.variance
    square *= away
    square += part.third
    return Part(first, second, np.sum(chance * square, axis=0))


@dataclass(frozen=True)
class Mixture:
    """Parts with their chances, arrays that broadcast to (parts, plans); ``close`` to each other or far apart."""

    chance: Any
    part: Part
    close: bool = False

    @property
    def anyone(self) -> bool:
        """Whether a request has it: answers of one token have no time per output token."""
        return bool(np.any(self.chance))

    @property
    def mean(self) -> Array:
        return np.sum(self.chance * self.part.mean, axis=0)

    def below(self, t: Any) -> Array:
        """Chance of at most ``t``, shape (plans,)."""
        return _Bent.of(self.part, self.part.deviation, self.chance, np.ones(1), np.float64).below(t)

    def percentiles(self) -> dict[int, Array]:
        """Of shape (plans,), by percentage: on a grid, then at some points between two of them. Between points the
        normal quantile of the chance is a straight line in the logarithm of the value."""
        parts = [np.atleast_2d(a) for a in (self.part.mean, self.part.variance, self.part.third, self.chance)]
        size = parts[0].shape[1]
        found = np.empty((len(PERCENTILES), size))
        for start in range(0, size, TOGETHER):
            rows = slice(start, start + TOGETHER)
            mean, variance, third, chance = (a if a.shape[1] == 1 else a[:, rows] for a in parts)
            found[:, rows] = _percentiles(
                Part(mean, variance, third), chance, *(FEW if self.close else (POINTS, REFINED))
            )
        return dict(zip(PERCENTILES, found, strict=True))


def _percentiles(part: Part, chance: Array, points: int, refined: int) -> Array:
    mean, deviation = part.mean, part.deviation
    low = np.maximum(np.min(mean - 2.0 * deviation, axis=0), 0.3 * np.min(mean, axis=0))
    high = np.max(np.where(chance > RARE, mean + 4.0 * deviation, 0.0), axis=0)
    ratio = np.log(np.maximum(high / low, 1.0 + 1e-6)).astype(np.float32)
    bent = _Bent.of(part, deviation, chance, low, np.float32)
    below = np.stack([bent.below(np.exp(ratio * (k / (points - 1)))) for k in range(points)])
    wanted, columns = np.array(PERCENTILES, dtype=np.float32)[:, None] / 100.0, np.arange(len(low))
    at = np.stack([np.clip(np.sum(below < share, axis=0), 1, points - 1) for share in wanted[:, 0]])
    start, end = ((k / (points - 1.0)).astype(np.float32) for k in (at - 1, at))
    z_start, z_end, aim = _normal(below[at - 1, columns]), _normal(below[at, columns]), _normal(wanted)
    several = bent.many()
    for left in range(refined, -1, -1):
        share = np.clip((aim - z_start) / np.maximum(z_end - z_start, 1e-9), 0.0, 1.0)
        if not left:
            break
        # Not close to an end: where the distribution has a step, that would leave the interval as long as it was.
        middle = start + np.clip(share, EDGE, 1.0 - EDGE) * (end - start)
        found = _normal(several.below(np.exp(ratio * middle)))
        beyond = found > aim
        start, end = np.where(beyond, start, middle), np.where(beyond, middle, end)
        z_start, z_end = np.where(beyond, z_start, found), np.where(beyond, found, z_end)
    return low * np.exp(ratio * (start + share * (end - start)))  # type: ignore[no-any-return]


def _normal(chance: Any) -> Any:
    """Near enough to the normal quantile to read between two of them: half the logarithm of the odds (Page's
    approximation, of which it is the main term, is odds of a cubic)."""
    odds = np.clip(chance, 1e-6, 1.0 - 1e-6)
    return np.log(odds / (1.0 - odds))


@dataclass(frozen=True, eq=False)
class _Bent:
    """Parts as normal variables of the cube root of t, which is in units of its own: 1 + half (t - mean) is ``half`` t
    + ``offset``; the normal variable ``scale`` times its root, and ``shift``. ``even``: half the chances."""

    half: Array
    offset: Array
    scale: Array
    shift: Array
    even: Array

    @classmethod
    def of(cls, part: Part, deviation: Any, chance: Any, unit: Array, kind: type) -> _Bent:
        skew = np.clip(part.third / (deviation * deviation * deviation), STRAIGHT, MOST_SKEWED)
        half = skew / deviation
        half *= 0.5
        offset = 1.0 - half * part.mean
        scale = 6.0 / skew
        parts = half * unit, offset, scale, skew / 6.0 - scale, 0.5 * chance
        return cls(*(np.asarray(value, dtype=kind) for value in parts))

    def many(self) -> _Bent:
        """For several ``t`` of a plan at a time."""
        return _Bent(*(value[:, None] for value in (self.half, self.offset, self.scale, self.shift, self.even)))

    def below(self, t: Any) -> Array:
        """Chance of at most ``t``. The normal distribution function is Page's (Applied Statistics 26, 1977), within
        2e-4."""
        z = np.asarray(self.half * t)
        z += self.offset
        np.maximum(z, 1e-9, out=z)
        np.log(z, out=z)
        z /= 3.0
        np.exp(z, out=z)
        z *= self.scale
        z += self.shift
        bend = z * z
        bend *= PAGE[1]
        bend += PAGE[0]
        z *= bend
        np.tanh(z, out=z)
        z += 1.0
        z *= self.even
        return z.sum(axis=0)


def together(*branches: tuple[Any, Part]) -> Mixture:
    """A mixture of branches, each of one part of shape (plans,) or of parts of shape (parts, plans)."""
    rows = [np.atleast_2d(part.mean) for _, part in branches]
    plans = np.broadcast_shapes(*(row.shape[1:] for row in rows))
    shapes = [(len(row), *plans) for row in rows]

    def stacked(values: list[Any]) -> Array:
        return np.concatenate([np.broadcast_to(v, s) for v, s in zip(values, shapes, strict=True)])

    parts = [part for _, part in branches]
    return Mixture(
        stacked([chance for chance, _ in branches]),
        Part(*(stacked([getattr(p, f) for p in parts]) for f in ("mean", "variance", "third"))),
    )
