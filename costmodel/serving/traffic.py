"""Requests by distribution: lengths that vary and times at which they arrive.

Lengths are drawn as real numbers and rounded. A log-normal one is cut at its bounds, and its median chosen so that the
mean between them is the one that is asked for (the mean of a truncated log-normal: Johnson, Kotz and Balakrishnan,
Continuous Univariate Distributions I, 1994, ch. 14.2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from costmodel.plans import Array, IntArray
from costmodel.serving.brent import root

ARRIVALS = ("closed", "constant", "poisson", "gamma", "replay")
LENGTHS = ("fixed", "uniform", "lognormal", "histogram", "trace")


@dataclass(frozen=True)
class Length:
    """Tokens of a prompt or of an answer: ``mean`` of them, between ``low`` and ``high``; ``spread`` is the standard
    deviation of the logarithm before the bounds cut it. Of a histogram: ``shares`` of the requests have so many tokens
    as an edge and less than the next one of ``edges``."""

    kind: Literal["fixed", "uniform", "lognormal", "histogram"]
    mean: float
    low: float = 1.0
    high: float = math.inf
    spread: float = 0.0
    edges: tuple[int, ...] = ()
    shares: tuple[float, ...] = ()

    def draw(self, size: int, rng: np.random.Generator) -> IntArray:
        """Shape (size,)."""
        match self.kind:
            case "fixed":
                return np.full(size, round(self.mean), dtype=np.int64)
            case "uniform":
                return rng.integers(math.ceil(self.low), math.floor(self.high) + 1, size)
            case "lognormal":
                return self._lognormal(rng.random(size))
            case "histogram":
                return self._histogram(rng.random(size))

    def quantiles(self, size: int) -> IntArray:
        """Shape (size,), ascending: equally likely values, each in the middle of its share of the requests."""
        chance = (np.arange(size) + 0.5) / size
        match self.kind:
            case "fixed":
                return np.full(size, round(self.mean), dtype=np.int64)
            case "uniform":
                low, high = math.ceil(self.low), math.floor(self.high)
                return np.floor(low + chance * (high + 1 - low)).astype(np.int64)
            case "lognormal":
                return self._lognormal(chance)
            case "histogram":
                return self._histogram(chance)

    def _histogram(self, chance: Array) -> IntArray:
        edges, ends = np.array(self.edges, dtype=float), np.concatenate([[0.0], np.cumsum(self.shares)])
        place = np.clip(np.searchsorted(ends, chance * ends[-1], side="right") - 1, 0, len(self.shares) - 1)
        inside = (chance * ends[-1] - ends[place]) / np.diff(ends)[place]
        tokens = np.floor(edges[place] + inside * np.diff(edges)[place])
        return np.minimum(tokens, edges[place + 1] - 1.0).astype(np.int64)

    def _lognormal(self, chance: Array) -> IntArray:
        from scipy.special import ndtr, ndtri  # a quarter of a second, which no search of fixed lengths needs

        location = self.location()
        low, high = self._edges(location)
        sign = -1.0 if low > 0.0 else 1.0  # the tail in which small chances stay apart
        first, last = sorted((float(ndtr(sign * low)), float(ndtr(sign * high))))
        tokens = np.exp(location + self.spread * sign * ndtri(first + chance * (last - first)))
        return np.maximum(tokens.round(), 1).astype(np.int64)

    @lru_cache(maxsize=64)  # noqa: B019 - lengths are values, and few
    def location(self) -> float:
        """The logarithm's mean, before the bounds cut it. Looked for once: a search reads its workload many times."""

        def excess(location: float) -> float:
            low, high = self._edges(location)
            inside = _inside(low, high)
            if not inside:  # all of it is beyond one of the bounds
                return (self.low if low > 0.0 else self.high) - self.mean
            moved = _inside(low - self.spread, high - self.spread)
            return math.exp(location + self.spread**2 / 2.0) * moved / inside - self.mean

        middle, reach = math.log(self.mean), 6.0 * self.spread + self.spread**2
        return root(excess, middle - reach, middle + reach, 1e-10)

    def _edges(self, location: float) -> tuple[float, float]:
        """The bounds in standard deviations from ``location``."""
        return tuple(
            (math.log(b) - location) / self.spread if b < math.inf else math.inf for b in (self.low, self.high)
        )  # type: ignore[return-value]


def _inside(low: float, high: float) -> float:
    """Chance of a standard normal between two bounds, from the tail in which it does not cancel."""
    from scipy.special import ndtr

    return float(ndtr(-low) - ndtr(-high) if low > 0.0 else ndtr(high) - ndtr(low))


def arrivals(kind: str, rate: float, cv: float, size: int, rng: np.random.Generator) -> Array:
    """Seconds at which ``size`` requests arrive, ``rate`` of them a second in the mean, the first at 0: equally spaced
    (``constant``), at random (``poisson``), or with gaps of a gamma distribution of coefficient of variation ``cv``."""
    match kind:
        case "constant":
            gaps = np.full(size, 1.0 / rate)
        case "poisson":
            gaps = rng.exponential(1.0 / rate, size)
        case "gamma":
            gaps = rng.gamma(1.0 / cv**2, cv**2 / rate, size)
        case _:
            raise ValueError(f"{kind!r} is no process that can be drawn")
    return np.concatenate([[0.0], np.cumsum(gaps)[:-1]])
