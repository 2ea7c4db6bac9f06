"""Split plans that compete on the map of regimes with the aggregated ones.

They are those of the fronts at some of the map's rates, with the map's latency allowed as far as the map goes, in
accelerators, that latency and the rate that a plan can carry at most; neither side drafts or deals caches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from costmodel.plans import Array, IntArray, concatenate
from costmodel.scenario import Demand, Scenario
from costmodel.serving.rate.curves import Point
from costmodel.serving.rate.figures import excess
from costmodel.serving.split.at_rate import Pair, figures
from costmodel.serving.split.journey import cargo
from costmodel.serving.split.rate import MOST_USED, DecodeRate, PrefillRate
from search.inputs.schema import Config
from search.optimizer.front import Objectives
from search.optimizer.recommend import Policy
from search.optimizer.space import Space
from search.optimizer.split.asked import Asked, asked_of
from search.optimizer.split.at_rate import search_at_rate
from search.optimizer.split.search import SplitPlans

SEARCHED = 5  # of the map's rates
FEW = 40  # of the plans of each of these fronts, for every number of accelerators


@dataclass(frozen=True, eq=False)
class SplitCurves:
    """As ``costmodel.serving.rate.curves.Curves``, of split plans."""

    pair: Pair
    demand: Demand

    def at(self, requests_per_s: float, rows: Any) -> Point:
        """The plans in ``rows`` at a rate of the whole deployment."""
        some = self.pair.take(np.asarray(rows, dtype=np.int64))
        limits, demand = some.scenario.limits, replace(self.demand, requests_per_s=requests_per_s, headroom=False)
        whole = figures(some, demand, limits)
        late = requests_per_s >= MOST_USED * some.capacity_per_s
        missed = {"stable": np.where(late, 1.0, -1.0)} | excess(whole, limits)
        if limits.goodput is not None:
            missed["goodput"] = 1.0 - whole["goodput"] / limits.goodput
        return Point(whole, missed)


@dataclass(frozen=True, eq=False)
class Rivals:
    """Split ``plans`` of length one and their accelerators; ``parts``: which of them, and how they fare at a rate."""

    plans: tuple[SplitPlans, ...]
    gpus: IntArray
    parts: tuple[tuple[IntArray, SplitCurves], ...]


Find = Callable[[str, str, Array, float], Rivals]


def rivals_of(config: Config, scenario: Scenario, space: Space) -> Find | None:
    """Finds rivals by figure, the latency that it is of, rates, and how much of it is allowed; ``None`` where split
    plans were not asked for."""
    asked, demand = asked_of(config, space), scenario.demand
    if asked is None or demand is None:
        return None

    def find(figure: str, latency: str, rates: Array, highest: float) -> Rivals:
        allowed: dict[str, Any] = {latency: highest}
        limits = replace(scenario.limits, **allowed)
        columns = {"gpus": "min", figure: "min", "capacity_requests_per_s": "max"}
        objectives, policy = Objectives(columns), Policy(columns)
        found: dict[tuple[Any, ...], SplitPlans] = {}
        for rate in rates[:: max(len(rates) // SEARCHED, 1)].tolist():
            there = replace(demand, requests_per_s=rate, headroom=False)
            asking = replace(scenario, demand=there, limits=limits)
            front = search_at_rate(asking, space, asked, objectives, policy).front
            for plan in _few(front, figure):
                found.setdefault(_key(plan), plan)
        return _rivals(scenario, demand, asked, tuple(found.values()))

    return find


def _few(front: SplitPlans, figure: str) -> Iterator[SplitPlans]:
    """Of as many accelerators those with the lowest figure, and those that carry most."""
    gpus = front.figures.gpus
    for size in np.unique(gpus):
        rows = np.flatnonzero(gpus == size)
        for order in (front.column(figure)[rows], -front.column("capacity_requests_per_s")[rows]):
            for i in rows[np.argsort(order, kind="stable")[:FEW]].tolist():
                yield front.take(np.array([i]))


def _key(plan: SplitPlans) -> tuple[Any, ...]:
    p, d = int(plan.p[0]), int(plan.d[0])
    layouts = (*plan.prefill.plans.row(p).values(), *plan.decode.plans.row(d).values())
    return (int(plan.x[0]), int(plan.y[0]), int(plan.prefill.budget[p]), *layouts)


def _rivals(scenario: Scenario, demand: Demand, asked: Asked, plans: tuple[SplitPlans, ...]) -> Rivals:
    """Plans of one size and token budget are timed together."""
    prefilling, decoding = asked.pools(scenario)
    gpus = np.array([int(one.figures.gpus[0]) for one in plans], dtype=np.int64)
    budgets = np.array([int(one.prefill.budget[one.p[0]]) for one in plans], dtype=np.int64)
    parts = []
    for size, budget in sorted(set(zip(gpus.tolist(), budgets.tolist(), strict=True))):
        rows = np.flatnonzero((gpus == size) & (budgets == budget))
        some = [plans[i] for i in rows.tolist()]
        p = concatenate([one.prefill.plans.take(one.p) for one in some])
        d = concatenate([one.decode.plans.take(one.d) for one in some])
        x, y = (np.array([float(getattr(one, name)[0]) for one in some]) for name in ("x", "y"))
        passes = replace(prefilling, engine=replace(prefilling.engine, max_batched_tokens=budget))
        pair = Pair(
            scenario, asked.link(scenario, size), PrefillRate.of(passes, p), x, cargo(prefilling, p),
            p.attn_dp.astype(float), DecodeRate.of_plans(decoding, d), y, cargo(decoding, d),
        )  # fmt: skip
        parts.append((rows, SplitCurves(pair, demand)))
    return Rivals(plans, gpus, tuple(parts))
