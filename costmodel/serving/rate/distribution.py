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
POINTS = 15  # of the grid on which a mixture is read
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
    """Parts with their chances, arrays that broadcast to (parts, plans)."""

    chance: Any
    part: Part

    @property
    def mean(self) -> Array:
        return np.sum(self.chance * self.part.mean, axis=0)

    def below(self, t: Any) -> Array:
        """Chance of at most ``t``, shape (plans,)."""
        return _Bent.of(self.part, self.part.deviation, self.chance, np.ones(1), np.float64).below(t)

    def percentiles(self) -> dict[int, Array]:
        """Of shape (plans,), by percentage. Between the grid's points the normal quantile of the chance is a straight
        line in the logarithm of the value."""
        parts = [np.atleast_2d(a) for a in (self.part.mean, self.part.variance, self.part.third, self.chance)]
        size = parts[0].shape[1]
        found = np.empty((len(PERCENTILES), size))
        for start in range(0, size, TOGETHER):
            rows = slice(start, start + TOGETHER)
            mean, variance, third, chance = (a if a.shape[1] == 1 else a[:, rows] for a in parts)
            found[:, rows] = _percentiles(Part(mean, variance, third), chance)
        return dict(zip(PERCENTILES, found, strict=True))


def _percentiles(part: Part, chance: Array) -> Array:
    from scipy.special import ndtri

    mean, deviation = part.mean, part.deviation
    low = np.maximum(np.min(mean - 2.0 * deviation, axis=0), 0.3 * np.min(mean, axis=0))
    high = np.max(np.where(chance > RARE, mean + 4.0 * deviation, 0.0), axis=0)
    ratio = np.log(np.maximum(high / low, 1.0 + 1e-6))
    bent = _Bent.of(part, deviation, chance, low, np.float32)
    t, further = np.ones_like(low, dtype=np.float32), np.exp(ratio / (POINTS - 1)).astype(np.float32)
    below = np.empty((POINTS, len(low)), dtype=np.float32)
    for point in below:
        point[:] = bent.below(t)
        t *= further
    found, columns = [], np.arange(len(low))
    for percent in PERCENTILES:
        at = np.clip(np.sum(below < percent / 100.0, axis=0), 1, POINTS - 1)
        ends = below[np.stack([at - 1, at]), columns]
        z_low, z_high = ndtri(np.clip(ends, 1e-6, 1.0 - 1e-6).astype(float))
        share = np.clip((float(ndtri(percent / 100.0)) - z_low) / np.maximum(z_high - z_low, 1e-12), 0.0, 1.0)
        found.append(low * np.exp(ratio * ((at - 1.0 + share) / (POINTS - 1.0))))
    return np.stack(found)


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
