"""Where the number of accelerators decides between split and aggregated: what each side carries on the fewer of them.

Numbers of accelerators have no interval of their own; how sure the answer is follows from the rates: the winner's has
to reach what is wanted, and the other side's must not, on as many accelerators.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from costmodel.plans import Array, IntArray, Plans
from costmodel.scores import Scores
from search.evidence.measured.intervals import load_intervals
from search.optimizer.split.search import SplitFound, SplitPlans


@dataclass(frozen=True)
class Carried:
    """Requests a second within the limits, with the 80 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, *figures: Array) -> Carried:
        """Of arrays of one."""
        return cls(*(float(figure[0]) for figure in figures))


@dataclass(frozen=True)
class Fewer:
    """On ``gpus`` accelerators, where the other side needs ``more`` for the ``wanted`` requests a second: the most that
    each side carries, ``None`` where that is not known."""

    gpus: int
    more: int
    wanted: float
    aggregated: Carried | None
    split: Carried | None

    def sure(self, winner: str) -> bool:
        best, other = (self.split, self.aggregated) if winner == "split" else (self.aggregated, self.split)
        return best is not None and other is not None and other.high < self.wanted <= best.low


def fewer(plans: Plans, scores: Scores, coverage: IntArray, row: int, found: SplitFound) -> Fewer | None:
    """``row`` of the best aggregated plan. ``None`` where both need as many, or no rate is wanted."""
    best = found.best
    assert best is not None
    limits, demand = best.scenario.limits, best.scenario.demand
    wanted = limits.min_requests_per_s if demand is None else demand.requests_per_s
    needs = int(plans.gpus[row]), int(best.figures.gpus[0])
    if wanted is None or needs[0] == needs[1]:
        return None
    most = min(needs)
    return Fewer(most, max(needs), wanted, _aggregated(plans, scores, coverage, most), _split([found.front], most))


def with_lower_rates(known: Fewer | None, fronts: Iterable[SplitPlans]) -> Fewer | None:
    """With what split plans carry in ``fronts`` at lower rates, where none on so few carries what is wanted."""
    if known is None or known.split is not None:
        return known
    return replace(known, split=_split(fronts, known.gpus))


def _aggregated(plans: Plans, scores: Scores, coverage: IntArray, most: int) -> Carried | None:
    """Of all plans that fit: within the limits on latency."""
    carried = scores.max_requests_per_s
    if carried is None:  # in the closed loop: of those that keep every other limit
        others = [i for i, name in enumerate(scores.limits) if name != "requests"]
        kept = np.all(scores.violations[others] <= 0.0, axis=0) if others else np.ones(len(plans), dtype=bool)
        carried = np.where(kept, scores.requests_per_s, 0.0)
    fits = scores.violations[scores.limits.index("memory")] <= 0.0
    rows = np.flatnonzero(fits & (plans.gpus <= most) & np.isfinite(carried))
    if not len(rows):
        return None
    row = rows[int(np.argmax(carried[rows]))]
    value = carried[[row]]
    return Carried.of(value, *load_intervals().of("max_requests_per_s", coverage[[row]], value))


def _split(fronts: Iterable[SplitPlans], most: int) -> Carried | None:
    found = []
    for front in fronts:
        carried = front.served.get("max_requests_per_s", front.figures.requests_per_s)
        value = carried[front.figures.gpus <= most].max(initial=-np.inf, keepdims=True)
        if value[0] >= 0.0:
            found.append(Carried.of(value, *front.interval("max_requests_per_s", value)))
    return max(found, key=lambda c: c.value, default=None)
