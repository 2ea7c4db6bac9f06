"""Distributions by their cumulants: sums of independent parts, mixtures of such sums, percentiles.

Cumulants of independent parts add up. A sum is taken for a Pearson III (shifted gamma) variable of the same first three
cumulants, whose distribution function is that of a normal variable by Wilson and Hilferty (PNAS 17, 1931). A mixture's
percentiles are read off its distribution function on a grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from costmodel.plans import Array

PERCENTILES = (50, 90, 95, 99)
POINTS = 20  # of the grid on which a mixture is read
STRAIGHT = 1e-3  # a skewness below which a variable is normal


@dataclass(frozen=True)
class Part:
    """Mean, variance and third central moment."""

    mean: Any = 0.0
    variance: Any = 0.0
    third: Any = 0.0

    def __add__(self, other: Part) -> Part:
        return Part(self.mean + other.mean, self.variance + other.variance, self.third + other.third)

    def scaled(self, factor: Any) -> Part:
        return Part(self.mean * factor, self.variance * factor**2, self.third * factor**3)

    def below(self, t: Any) -> Any:
        """Chance of at most ``t``."""
        deviation = np.sqrt(np.maximum(self.variance, 1e-30))
        z = (t - self.mean) / deviation
        skew = np.clip(self.third / deviation**3, 0.0, 4.0)
        bent = np.maximum(skew, STRAIGHT)
        inside = np.maximum(1.0 + bent * z / 2.0, 0.0)
        curved = 6.0 / bent * (np.cbrt(inside) - 1.0) + bent / 6.0
        chance = ndtr(np.where(skew > STRAIGHT, curved, z))
        return np.where((skew > STRAIGHT) & (inside <= 0.0), 0.0, chance)


def of_moments(first: Any, second: Any, third: Any) -> Part:
    """From the means of a variable, its square and its cube."""
    return Part(first, np.maximum(second - first**2, 0.0), third - 3.0 * first * second + 2.0 * first**3)


def exponential(mean: Any) -> Part:
    return Part(mean, mean**2, 2.0 * mean**3)


@dataclass(frozen=True)
class Mixture:
    """Parts with their chances, arrays that broadcast to (parts, plans)."""

    chance: Any
    part: Part

    @property
    def mean(self) -> Array:
        return np.sum(self.chance * self.part.mean, axis=0)

    def below(self, t: Any) -> Array:
        return np.sum(self.chance * self.part.below(t), axis=0)

    def percentiles(self) -> dict[int, Array]:
        """Of shape (plans,), by percentage. Between the grid's points the normal quantile of the chance is a straight
        line in the logarithm of the value."""
        deviation = np.sqrt(np.maximum(self.part.variance, 0.0))
        low = np.maximum(np.min(self.part.mean - 2.0 * deviation, axis=0), np.min(self.part.mean, axis=0) * 0.2)
        high = np.max(self.part.mean + 4.5 * deviation, axis=0)
        low, high = np.maximum(low, 1e-9), np.maximum(high, low * (1.0 + 1e-9))
        grid = low * (high / low) ** np.linspace(0.0, 1.0, POINTS)[:, None]
        below = np.stack([self.below(t) for t in grid])
        z = ndtri(np.clip(below, 1e-9, 1.0 - 1e-9))
        found = {}
        for percent in PERCENTILES:
            wanted = float(ndtri(percent / 100.0))
            over = z >= wanted
            at = np.clip(np.argmax(over, axis=0), 1, POINTS - 1)
            z_low, z_high = (np.take_along_axis(z, (at - k)[None], axis=0)[0] for k in (1, 0))
            share = np.clip((wanted - z_low) / np.maximum(z_high - z_low, 1e-12), 0.0, 1.0)
            share = np.where(over.any(axis=0), share, 1.0)
            found[percent] = low * (high / low) ** ((at - 1.0 + share) / (POINTS - 1.0))
        return found
