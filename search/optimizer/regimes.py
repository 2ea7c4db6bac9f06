"""Which plan wins over the rate and the limit: the map of regimes.

At each rate and each bound on one latency the plan with the fewest accelerators that keeps it, and every other limit
of the run, wins; of those with as many, the one whose latency is lowest. The latency is the one whose limit the plan
comes nearest to. Of each layout the batch stands that carries the most requests within the run's limits. Where the
winner changes along the run's own bound, the rate at which it does is found by halving. Split plans compete where they
were asked for.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from costmodel.columns import column
from costmodel.plans import Array, IntArray, Plans
from costmodel.scenario import Limits, Scenario
from costmodel.scores import Scores
from costmodel.serving.own_hits import curves
from costmodel.serving.rate.curves import Curves
from costmodel.serving.rate.figures import at_statistic, bounded
from search.optimizer.recommend import LAYOUT
from search.optimizer.split.rivals import Find, SplitCurves
from search.optimizer.split.search import SplitPlans

RATES, BOUNDS = 15, 13
WIDEST = 3.0  # times the run's own bound that are looked at
NEAREST = 1.05  # times the lowest latency of all: the first bound
FIRST, MOST = 0.15, 30.0  # times the rate that is wanted
LAYOUTS = 200  # at most
HALVINGS = 7
Part = tuple[IntArray, Curves | SplitCurves]


@dataclass(frozen=True)
class Crossing:
    """Up to ``rate`` requests a second ``winner`` wins, as in ``Regimes.winner``, at the run's own limits."""

    rate: float
    winner: int


@dataclass(frozen=True, eq=False)
class Regimes:
    """``winner[i, j]``: row of the plan that wins at ``bounds[i]`` on ``figure`` and ``rates[j]``, -1 where none keeps
    its limits; the number of all rows more than its place in ``rivals`` where a split plan does. ``crossings`` along
    ``own``, the run's bound on it, by rate; empty where the run sets none."""

    figure: str
    rates: Array
    bounds: Array
    winner: IntArray
    own: float | None
    crossings: tuple[Crossing, ...]
    rivals: tuple[SplitPlans, ...] = ()


def regimes(
    scenario: Scenario, plans: Plans, scores: Scores, row: int, find: Find | None = None, carried_split: float = 0.0
) -> Regimes | None:
    """``row``: the plan about which the map is drawn. ``None`` in the closed loop, or where it has no latency.
    ``find``: split plans that compete, of which some carry ``carried_split`` requests a second."""
    if scenario.demand is None or scores.max_requests_per_s is None or not np.isfinite(scores.ttft_s[row]):
        return None
    name, statistic, own = _tightest(scenario.limits, scores, row)
    figure = at_statistic(name, statistic)
    rows = _candidates(plans, scores, row)
    carried = max(float(np.max(scores.capacity_requests_per_s[rows])), carried_split)  # type: ignore[index]
    wanted = scenario.demand.requests_per_s
    rates = np.geomspace(FIRST * wanted, max(min(1.1 * carried, MOST * wanted), 1.5 * wanted), RATES)
    some = plans.take(rows)
    highest = WIDEST * (own if own is not None else float(getattr(scores, figure)[row]))
    gpus, rivals = some.gpus, tuple[SplitPlans, ...]()
    parts: list[Part] = list(curves(scenario, some))
    if find is not None:
        split = find(figure, name, rates, highest)
        parts += [(len(gpus) + at, part) for at, part in split.parts]
        rows = np.concatenate([rows, len(plans) + np.arange(len(split.gpus))])
        gpus, rivals = np.concatenate([gpus, split.gpus]), split.plans
    contest = _Contest(gpus, figure, name.removesuffix("_s"), parts)
    least = contest.lowest(float(rates[0]))
    if not NEAREST * least < highest:
        return None
    bounds = np.geomspace(NEAREST * least, highest, BOUNDS)
    found = np.stack([contest.winners(float(rate), bounds) for rate in rates], axis=1)
    crossings = () if own is None else tuple(contest.crossings(rates, own))
    named = tuple(Crossing(c.rate, int(rows[c.winner])) for c in crossings)
    return Regimes(figure, rates, bounds, np.where(found >= 0, rows[np.maximum(found, 0)], -1), own, named, rivals)


def _tightest(limits: Limits, scores: Scores, row: int) -> tuple[str, str, float | None]:
    """Figure, statistic and bound of the limit on a latency that the plan comes nearest to."""
    nearest: tuple[str, str, float | None] = ("ttft_s", "p99", None)
    share = -1.0
    for name, statistic, bound in bounded(limits):
        value = float(getattr(scores, at_statistic(name, statistic))[row])
        if value / bound > share:
            nearest, share = (name, statistic, bound), value / bound
    return nearest


def _candidates(plans: Plans, scores: Scores, row: int) -> IntArray:
    """One plan of each layout, those that carry most for their accelerators first where there are too many; and
    ``row``."""
    most = column("max_requests_per_s", plans, scores)
    fits = scores.violations[scores.limits.index("memory")] <= 0.0
    rows = np.flatnonzero(fits & (most > 0.0))
    rows = rows[np.lexsort((plans.batch[rows], -most[rows]))]
    layouts = np.stack([getattr(plans, axis)[rows] for axis in LAYOUT])
    rows = rows[np.sort(np.unique(layouts, axis=1, return_index=True)[1])]
    if len(rows) > LAYOUTS:
        sizes, of = np.unique(plans.gpus[rows], return_inverse=True)
        each = max(LAYOUTS // len(sizes), 1)
        rows = np.concatenate([rows[of == i][:each] for i in range(len(sizes))])
    return np.unique(np.append(rows, row))


@dataclass(frozen=True, eq=False)
class _Contest:
    """Plans of so many ``gpus`` that compete for the lowest ``figure``, which ``limit`` bounds."""

    gpus: IntArray
    figure: str
    limit: str
    parts: list[Part]
    known: dict[float, tuple[Array, NDArray[np.bool_]]] = field(default_factory=dict)

    def winners(self, rate: float, bounds: Array, among: IntArray | None = None) -> IntArray:
        """By bound, -1 for nobody."""
        values, kept = self._at(rate) if among is None else self._asked(rate, among)
        order = np.lexsort((values, self.gpus))
        keeps = (values[order] <= bounds[:, None]) & kept[order]
        return np.where(keeps.any(axis=1), order[keeps.argmax(axis=1)], -1)

    def lowest(self, rate: float) -> float:
        """The figure of the plan for which it is lowest."""
        return float(np.min(self._at(rate)[0]))

    def _at(self, rate: float) -> tuple[Array, NDArray[np.bool_]]:
        """Of all plans, kept: the crossings ask for the map's rates again."""
        if rate not in self.known:
            self.known[rate] = self._asked(rate, np.arange(len(self.gpus)))
        return self.known[rate]

    def _asked(self, rate: float, among: IntArray) -> tuple[Array, NDArray[np.bool_]]:
        """The figure, and who keeps all other limits; of those that are not ``among`` the plans nobody does."""
        values, kept = np.full(len(self.gpus), np.inf), np.zeros(len(self.gpus), dtype=bool)
        for rows, part in self.parts:
            asked = np.flatnonzero(np.isin(rows, among))
            if len(asked):
                found = part.at(rate, asked)
                values[rows[asked]], kept[rows[asked]] = found.figures[self.figure], found.kept(self.limit)
        return values, kept

    def crossings(self, rates: Array, own: float) -> list[Crossing]:
        """By rate, from the lowest on; the last one is where nobody is left, or the last of ``rates``."""
        bound, found = np.array([own]), []
        winners = [int(self.winners(rate, bound)[0]) for rate in rates.tolist()]
        for i, (first, last) in enumerate(itertools.pairwise(winners)):
            low, high = float(rates[i]), float(rates[i + 1])
            if first == last or first < 0:
                continue
            pair = np.array([w for w in (first, last) if w >= 0])
            for _ in range(HALVINGS):
                middle = (low * high) ** 0.5
                wins = int(self.winners(middle, bound, pair)[0]) == first
                low, high = (middle, high) if wins else (low, middle)
            found.append(Crossing(low, first))
        return [*found, Crossing(float(rates[-1]), winners[-1])] if winners[-1] >= 0 else found
