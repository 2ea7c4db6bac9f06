"""What comes to a replica: a rate, gaps, lengths; and what gaps that are not at random mean."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from costmodel.plans import Array, IntArray
from costmodel.serving.mix import Mix
from costmodel.serving.rate.knots import Knots, Lines

# Requests that come in the mean, at which the chance that none does is tabulated: 16 points an octave.
EXPECTED = Knots.of([0.0, *np.outer(2.0 ** np.arange(-7, 5), 1.0 + np.arange(16) / 16.0).ravel(), 32.0], 4)

# And at which those that come in the time after one of them are: four points an octave.
SOON = Knots.of([0.0, *np.outer(2.0 ** np.arange(-10, 3), 1.0 + np.arange(4) / 4.0).ravel(), 8.0], 2)
LAST = 48  # of a row of gaps that may all come in such a time


@dataclass(frozen=True, eq=False)
class Load:
    """``rate`` requests a second of a replica, shape (plans,), with gaps of squared coefficient of variation ``gap``;
    lengths by ``mix``. ``quiet``: the chance that nobody comes, by kind of gaps, and ``kind`` of each plan; ``None``
    where all come at random."""

    rate: Array
    gap: Array
    mix: Mix
    quiet: Lines | None = None
    soon: Lines | None = None
    kind: IntArray | None = None

    @classmethod
    def of(cls, rate: Array, gap: Array, mix: Mix) -> Load:
        if np.all(gap == 1.0):
            return cls(rate, gap, mix)
        gaps, kind = np.unique(gap, return_inverse=True)
        quiet, soon = nobody(EXPECTED.at[:, None], gaps), renewals(SOON.at[:, None], gaps)
        return cls(rate, gap, mix, Lines.of(EXPECTED, quiet), Lines.of(SOON, soon), kind)

    @property
    def random(self) -> bool:
        """Whether all come at random."""
        return self.quiet is None

    def nobody(self, expected: Any) -> Any:
        """Chance that in a time in which ``expected`` requests come in the mean none does, from a moment that has
        nothing to do with them."""
        if self.quiet is None:
            return np.exp(-np.maximum(expected, 0.0))
        assert self.kind is not None
        return np.maximum(self.quiet.at(np.clip(expected, 0.0, EXPECTED.at[-1]), self.kind)[0], 0.0)

    def take(self, index: Any) -> Load:
        """The plans at ``index`` alone."""
        kind = None if self.kind is None else self.kind[index]
        return replace(self, rate=self.rate[index], gap=self.gap[index], kind=kind)

    def at(self, rate: Array) -> Load:
        """The same gaps and lengths at another rate."""
        return replace(self, rate=rate)

    def bunching(self, inside: Any) -> Any:
        """Arrivals in the time of one stay, counted from an arrival, over those counted from any moment, where
        ``inside`` are there in the mean."""
        if self.soon is None:
            return 1.0
        assert self.kind is not None
        far = SOON.at[-1]
        inside = np.maximum(inside, SOON.at[1])
        return (self.soon.at(np.minimum(inside, far), self.kind)[0] + np.maximum(inside - far, 0.0)) / inside


def nobody(expected: Any, gap: Any) -> Any:
    """Chance that in a time in which ``expected`` requests come in the mean none does, from a moment that has nothing
    to do with them: the equilibrium excess of gaps of a gamma distribution (Cox, Renewal Theory, 1962, ch. 5)."""
    from scipy.special import gammaincc

    shape = 1.0 / np.maximum(gap, 1e-2)
    scaled = expected * shape
    return np.clip(gammaincc(shape + 1.0, scaled) - expected * gammaincc(shape, scaled), 0.0, 1.0)


def renewals(expected: Any, gap: Any) -> Any:
    """Arrivals after one of them in a time in which ``expected`` come in the mean: the renewal function of gaps of a
    gamma distribution, of which so many together are one of a larger shape (Cox, Renewal Theory, 1962, ch. 4)."""
    from scipy.special import gammainc

    shape = 1.0 / np.maximum(gap, 1e-2)
    return sum(gammainc(count * shape, expected * shape) for count in range(1, LAST))


def bunching(inside: Any, gap: Any) -> Any:
    """Arrivals in the time of one stay, counted from an arrival, over those counted from any moment, where ``inside``
    are there in the mean: the renewal function is L t + (ca^2 - 1) / 2 in the long run (Cox, Renewal Theory, 1962, ch.
    4) and starts as ca^2 L t."""
    inside = np.maximum(inside, 1e-6)
    return 1.0 + (gap - 1.0) * -np.expm1(-2.0 * inside) / (2.0 * inside)


def peakedness(gap: Any, rest: Any) -> Any:
    """Variance over mean of the number inside, if seats are no matter: z = 1 + (ca^2 - 1) E(min(S, S')) / E(S) with the
    last factor ``rest`` (Eckberg, Teletraffic Congress 10, 1983)."""
    return np.maximum(1.0 + (gap - 1.0) * rest, 0.0)
