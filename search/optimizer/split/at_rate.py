"""Split plans for requests that arrive at a rate.

The rate fixes what every instance does: R / x prompts a second in each of x, R / y answers in each of y. So a row of a
pool is an instance and how many of it there are, with the cumulants of what a first token waits for in it. A pool is
cut down to the rows that no other one of as many accelerators equals or beats in all of these, in the cache that it
sends or takes, and in what it can carry; then every row meets every row of the other pool that fills the deployment.
(The quantiles of a sum grow with each of its cumulants in the range that occurs: ``tests/search/optimizer/split`` sets
the result against the whole product.)
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from costmodel.plans import Array, IntArray, Plans
from costmodel.scenario import Demand, Limits, Scenario
from costmodel.serving.rate.distribution import Part
from costmodel.serving.rate.figures import bounded
from costmodel.serving.split.at_rate import Pair, figures, single
from costmodel.serving.split.decode import decode
from costmodel.serving.split.joint import DecodePoint, Joint, joint, prefill_point
from costmodel.serving.split.journey import cargo
from costmodel.serving.split.rate import MOST_USED, DecodeRate, PrefillRate
from search.optimizer.front import Objectives, pareto_front
from search.optimizer.recommend import Policy
from search.optimizer.space import Space
from search.optimizer.split.asked import AT_A_RATE, Asked
from search.optimizer.split.pools import (
    DecodePool,
    PrefillPool,
    decoding,
    fits,
    joined_decode,
    joined_prefill,
    own_front,
    prefilling,
    variants,
)
from search.optimizer.split.search import SplitFound, SplitPlans, costs_of, order_of, pairing_of, search_split

CHUNK = 1 << 15  # deployments that are scored at a time


@dataclass(frozen=True)
class Rows:
    """Of one pool: its ``pool``, instances' own model ``at`` a rate, how many there are (``count``), and ``costs`` as
    ``PrefillPool.costs`` has them, the better the smaller."""

    pool: Any
    at: Any
    count: IntArray
    costs: Array

    @property
    def sizes(self) -> IntArray:
        """Accelerators of all instances."""
        return np.asarray(self.pool.plans.gpus * self.count)

    def take(self, i: IntArray) -> Rows:
        return Rows(self.pool.take(i), self.at.take(i), self.count[i], self.costs[i])


def searched(scenario: Scenario, space: Space, asked: Asked, objectives: Objectives, policy: Policy) -> SplitFound:
    """In the closed loop, or at the scenario's rate."""
    find = search_split if scenario.demand is None else search_at_rate
    return find(scenario, space, asked, objectives, policy)


def search_at_rate(
    scenario: Scenario, space: Space, asked: Asked, objectives: Objectives, policy: Policy
) -> SplitFound:
    """The front of split plans at the scenario's demand."""
    start, demand = time.perf_counter(), scenario.demand
    assert demand is not None
    prefills = prefill_rows(scenario, space, asked, demand)
    decodes = decode_rows(scenario, space, asked, demand)
    match = pairing_of(scenario, prefills.pool, decodes.pool, asked)
    p = prefills.take(own_front(prefills.sizes, match.first, prefills.costs))
    d = decodes.take(own_front(decodes.sizes, match.second, decodes.costs))
    found = joined(scenario, p, d, asked, demand)
    front = found.take(pareto_front(costs_of(found, objectives), found.feasible))
    front = front.take(order_of(front, policy))
    best = front.take(np.zeros(1, dtype=np.int64)) if len(front) else None
    return SplitFound(
        front, best, (len(prefills.count), len(decodes.count)), (len(p.count), len(d.count)), len(found),
        time.perf_counter() - start,
    )  # fmt: skip


def _counted(plans: Plans, capacity: Array, demand: Demand, most: int) -> tuple[IntArray, IntArray]:
    """Places of ``plans`` and numbers of instances that can follow and leave an accelerator to the other pool."""
    places, counts = [], []
    for i, (each, able) in enumerate(zip(plans.gpus.tolist(), capacity.tolist(), strict=True)):
        least = int(np.floor(demand.requests_per_s / (able * MOST_USED))) + 1
        numbers = np.arange(least, (most - 1) // each + 1)
        places.append(np.full(len(numbers), i))
        counts.append(numbers)
    none = np.zeros(0, dtype=np.int64)
    return np.concatenate([none, *places]), np.concatenate([none, *counts])


def prefill_rows(scenario: Scenario, space: Space, asked: Asked, demand: Demand) -> Rows:
    """Every legal instance that fits, at every token budget, in every number that can follow."""
    scenario, _ = asked.pools(scenario)
    plans = prefilling(scenario, space, asked)
    pools, models, counts = [], [], []
    for tokens in asked.tokens:
        there = replace(scenario, engine=replace(scenario.engine, max_batched_tokens=tokens))
        held = 2.0 * max(np.ceil(tokens / max(scenario.lengths.new, 1.0)), 1.0)
        kept, bytes_each = fits(there, plans, np.full(len(plans), held))
        able = plans.take(kept)
        model = PrefillRate.of(there, able)
        i, x = _counted(able, model.mean.capacity_per_s, demand, max(asked.totals))
        used = demand.requests_per_s / x / model.mean.capacity_per_s[i]
        one = able.take(i)
        point = prefill_point(there, one, used)
        pools.append(PrefillPool(one, np.full(len(i), tokens), used, bytes_each[kept][i], point))
        models.append(model.take(i))
        counts.append(x)
    pool, at, count = joined_prefill(pools), _joined(models), np.concatenate(counts)
    part = at.waits(demand.requests_per_s / count, demand.gap_cv**2 / count)
    own = pool.costs
    costs = np.stack(
        [part.mean, part.variance, part.third, own[:, 2], own[:, 3], own[:, 4], -count * at.mean.capacity_per_s], axis=1
    )
    rows = Rows(pool, at, count, costs)
    return rows.take(_may_keep(part, scenario.limits, "ttft_s"))


def _joined(models: list[PrefillRate]) -> PrefillRate:
    def together(parts: list[Any]) -> Any:
        names = [f.name for f in fields(parts[0]) if isinstance(getattr(parts[0], f.name), np.ndarray)]
        return replace(parts[0], **{n: np.concatenate([getattr(p, n) for p in parts]) for n in names})

    classes = tuple(together([m.classes[k] for m in models]) for k in range(len(models[0].classes)))
    return replace(models[0], mean=together([m.mean for m in models]), classes=classes)


def decode_rows(scenario: Scenario, space: Space, asked: Asked, demand: Demand) -> Rows:
    """Every legal instance whose seats fit, in every number that can follow."""
    _, scenario = asked.pools(scenario)
    plans = decoding(scenario, space, asked)
    pools, models, counts = [], [], []
    for place, ranks, there, able in variants(scenario, plans, asked):
        kept, bytes_each = fits(there, able, np.ceil(able.batch / able.attn_dp))
        fitting = able.take(kept)
        model = DecodeRate.of_plans(there, fitting)
        i, y = _counted(fitting, model.capacity_per_s, demand, max(asked.totals))
        at, one = model.take(i), fitting.take(i)
        each = demand.requests_per_s / y
        found = decode(there, one, np.maximum(at.inside(each, demand.gap_cv**2 / y), 1e-6))
        point = DecodePoint(
            one.gpus.astype(float), each, found.tpot_s, found.join_s, found.stay_s, one.attn_dp.astype(float),
            cargo(there, one),
        )  # fmt: skip
        n = len(i)
        pools.append(DecodePool(one, bytes_each[kept][i], np.full(n, place), np.full(n, ranks), point))
        models.append(at)
        counts.append(y)
    pool, at, count = joined_decode(pools), _joined_tables(models), np.concatenate(counts)
    now = at.at(demand.requests_per_s / count, demand.gap_cv**2 / count)
    own = pool.costs
    costs = np.stack(
        [
            now.tpot_s, now.swing, now.first.mean, now.first.variance, now.first.third, own[:, 3], own[:, 4], own[:, 5],
            -count * at.capacity_per_s,
        ],
        axis=1,
    )  # fmt: skip
    rows = Rows(pool, at, count, costs)
    slow = _may_keep(Part(now.tpot_s, now.swing, 0.0 * now.swing), scenario.limits, "tpot_s")
    return rows.take(np.intersect1d(slow, _may_keep(now.first, scenario.limits, "ttft_s")))


def _joined_tables(models: list[DecodeRate]) -> DecodeRate:
    """Tables side by side."""
    before = np.cumsum([0, *(m.tpot_s.shape[1] for m in models)])
    tables = {n: np.concatenate([getattr(m, n) for m in models], axis=1) for n in ("tpot_s", "join_s", "stay_s")}
    return DecodeRate(
        mix=models[0].mix,
        **tables,
        of=np.concatenate([m.of + k for m, k in zip(models, before.tolist(), strict=False)]),
        count=np.concatenate([m.count for m in models]),
        groups=np.concatenate([m.groups for m in models]),
        queue=models[0].queue,
    )


def _may_keep(part: Part, limits: Limits, figure: str) -> IntArray:
    """Rows whose own part of a latency keeps its limit: what comes on top makes it no shorter."""
    kept = np.ones(len(part.mean), dtype=bool)
    for name, statistic, bound in bounded(limits):
        if name != figure:
            continue
        if statistic == "mean":
            kept &= part.mean <= bound
        else:
            kept &= single(part).below(bound) >= float(statistic[1:]) / 100.0 - 0.01
    return np.flatnonzero(kept)


def joined(scenario: Scenario, p: Rows, d: Rows, asked: Asked, demand: Demand) -> SplitPlans:
    """Every pair of rows that fills a deployment, scored; the most that one carries where it keeps its limits."""
    p, d = (rows.take(np.flatnonzero(own.has(rows.sizes))) for rows, own in zip((p, d), asked.own, strict=True))
    match, parts = pairing_of(scenario, p.pool, d.pool, asked), []
    for total in asked.totals:
        for a, b in _pairs(p.sizes, d.sizes, total):
            kept = match.rows(a, b)
            parts.append(_scored(scenario, p, d, a[kept], b[kept], asked, demand, total))
    return _together(scenario, p, d, parts, asked)


def _pairs(first: IntArray, second: IntArray, total: int) -> Iterator[tuple[IntArray, IntArray]]:
    """Rows of both pools that fill ``total`` accelerators, at most ``CHUNK`` pairs or one row's at a time."""
    for size in np.unique(first):
        mine, other = np.flatnonzero(first == size), np.flatnonzero(second == total - size)
        step = max(CHUNK // max(len(other), 1), 1)
        for start in range(0, len(mine) if len(other) else 0, step):
            some = mine[start : start + step]
            yield np.repeat(some, len(other)), np.tile(other, len(some))


def _scored(
    scenario: Scenario, p: Rows, d: Rows, a: IntArray, b: IntArray, asked: Asked, demand: Demand, total: int
) -> SplitPlans:
    link = asked.link(scenario, total)
    x, y = p.count[a], d.count[b]
    one, other = p.pool.point.take(a), d.pool.point.take(b)
    pair = Pair(
        scenario, link, p.at.take(a), x.astype(float), one.cargo, one.groups, d.at.take(b), y.astype(float), other.cargo
    )  # fmt: skip
    means = joint(scenario, link, one, x.astype(float), other, y.astype(float))
    served = figures(pair, replace(demand, headroom=False), scenario.limits)
    n = len(a)
    means = replace(
        means, ttft_s=served["ttft_s"], tpot_s=served["tpot_s"], in_flight=served["requests_in_flight"],
        requests_per_s=np.full(n, demand.requests_per_s),
    )  # fmt: skip
    plans = SplitPlans(
        p.pool, d.pool, a, b, x, y, means, scenario.lengths.osl, scenario, asked, served
    )  # fmt: skip
    kept = np.flatnonzero(plans.feasible)
    plans = plans.take(kept)
    if demand.headroom and len(kept):
        full = figures(pair.take(kept), demand, scenario.limits)
        plans = replace(plans, served={**plans.served, **{n: full[n] for n in ("max_requests_per_s", "rate_headroom")}})
    return plans


def _together(scenario: Scenario, p: Rows, d: Rows, parts: list[SplitPlans], asked: Asked) -> SplitPlans:
    def column(values: list[Any], kind: type) -> Any:
        return np.concatenate([np.zeros(0, dtype=kind), *values])

    means = {f: column([getattr(part.figures, f) for part in parts], float) for f in Joint.__dataclass_fields__}
    whole = {n: column([getattr(part, n) for part in parts], np.int64) for n in ("p", "d", "x", "y")}
    served = {n: column([part.served[n] for part in parts], float) for n in ("ttft_s", "tpot_s", *AT_A_RATE)}
    return SplitPlans(
        p.pool, d.pool, **whole, figures=Joint(**means), osl=scenario.lengths.osl, scenario=scenario,
        asked=asked, served=served,
    )  # fmt: skip
