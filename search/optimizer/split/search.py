"""The exact front of split plans, and the best of them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from costmodel.cost import joules_per_output_token, usd_per_million_output_tokens
from costmodel.drafts.drafter import Drafter
from costmodel.plans import Array, IntArray
from costmodel.scenario import Scenario
from costmodel.serving.rate.figures import excess
from costmodel.serving.split.joint import Joint, joint
from search.evidence.measured.intervals import load_intervals, pool_class
from search.optimizer.front import Objectives, pareto_front
from search.optimizer.recommend import Policy
from search.optimizer.space import Space
from search.optimizer.split.asked import FIGURES, Asked
from search.optimizer.split.merge import Keeping, pairs, ratios
from search.optimizer.split.pools import DecodePool, PrefillPool, decode_pool, own_front, prefill_pool
from search.optimizer.split.transfer import Pairing, pairing
from search.optimizer.ties import settled


@dataclass(frozen=True)
class SplitPlans:
    """Joint plans, arrays of shape (n,): rows ``p`` of ``prefill`` and ``d`` of ``decode``, ``x`` and ``y`` of them.
    ``served``: figures of ``costmodel.scores.TRAFFIC`` where requests arrive at a rate."""

    prefill: PrefillPool
    decode: DecodePool
    p: IntArray
    d: IntArray
    x: IntArray
    y: IntArray
    figures: Joint
    osl: int
    scenario: Scenario
    asked: Asked
    served: Mapping[str, Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.p)

    def take(self, i: IntArray) -> SplitPlans:
        f = self.figures
        names = Joint.__dataclass_fields__
        return SplitPlans(
            self.prefill, self.decode, self.p[i], self.d[i], self.x[i], self.y[i],
            Joint(**{name: getattr(f, name)[i] for name in names}), self.osl, self.scenario, self.asked,
            {name: values[i] for name, values in self.served.items()},
        )  # fmt: skip

    @property
    def drafters(self) -> tuple[Drafter, ...]:
        """That ``decode.drafter`` counts, from 1 on."""
        return self.asked.drafters

    @property
    def drafter(self) -> Drafter | None:
        """Of the instances of the first plan that decode."""
        which = int(self.decode.drafter[self.d[0]])
        return self.drafters[which - 1] if which else None

    @property
    def pools(self) -> tuple[Scenario, Scenario]:
        """What the instances of each pool are scored against."""
        return self.asked.pools(self.scenario)

    def interval(self, figure: str, values: Array) -> tuple[Array, Array]:
        """Low and high of such values of plans whose pools these are."""
        one, other = (pool_class(pool) for pool in self.pools)
        return load_intervals().of_pools(figure, (one, other), values)

    @property
    def gpus_of(self) -> tuple[IntArray, IntArray]:
        """Accelerators of each pool."""
        prefill, decode = self.prefill.plans.gpus[self.p], self.decode.plans.gpus[self.d]
        return np.asarray(self.x * prefill), np.asarray(self.y * decode)

    def column(self, name: str) -> Array:
        """One of ``FIGURES``, or of those at a rate, shape (n,)."""
        f = self.figures
        if name in self.served:
            return self.served[name]
        tokens = f.requests_per_s * self.osl
        match name:
            case "output_tokens_per_s":
                return np.asarray(tokens)
            case "output_tokens_per_s_per_gpu":
                return np.asarray(tokens / f.gpus)
            case "usd_per_million_output_tokens" | "joules_per_output_token":
                return self._spent(name, tokens / f.gpus)
        return np.asarray(getattr(f, name), dtype=float)

    def _spent(self, name: str, each: Array) -> Array:
        """What an output token costs where an accelerator puts out ``each`` a second: either pool's accelerators by
        their share of all."""
        of = usd_per_million_output_tokens if name.startswith("usd") else joules_per_output_token
        one, other = (of(pool.accelerator, each) for pool in self.pools)
        if one is None or other is None:
            return np.full(len(self), np.nan)
        share = self.gpus_of[0] / self.figures.gpus
        return one + (1.0 - share) * (other - one)

    @property
    def feasible(self) -> NDArray[np.bool_]:
        """True where every limit is kept; memory is kept by every instance that there is."""
        limits, f = self.scenario.limits, self.figures
        kept = np.isfinite(f.ttft_s)
        if self.served:
            for missed in excess(self.served, limits).values():
                kept &= missed <= 0.0
            kept &= self.served["goodput"] >= (limits.goodput or 0.0)
            return kept & (f.requests_per_s >= (limits.min_requests_per_s or 0.0))
        for value, most in ((f.ttft_s, limits.ttft_s), (f.tpot_s, limits.tpot_s)):
            kept &= True if most is None else value <= most
        if limits.min_requests_per_s is not None:
            kept &= f.requests_per_s >= limits.min_requests_per_s
        return kept


@dataclass(frozen=True)
class SplitFound:
    """``front``: the exact front of split plans, best first by the policy; ``best`` its first, ``None`` without a
    feasible one. ``instances`` of each pool that fit, ``kept`` of their own fronts, ``pairs`` that were scored.
    ``simulated``: what the best comes to at a rate, request by request."""

    front: SplitPlans
    best: SplitPlans | None
    instances: tuple[int, int]
    kept: tuple[int, int]
    pairs: int
    seconds: float
    simulated: Mapping[str, float] | None = None


def search_split(scenario: Scenario, space: Space, asked: Asked, objectives: Objectives, policy: Policy) -> SplitFound:
    """Pools, their own fronts, the merge over every ratio that fills the accelerators, the front of all."""
    start = time.perf_counter()
    prefill, decode = prefill_pool(scenario, space, asked), decode_pool(scenario, space, asked)
    p, d = prefill.take(_bounded(prefill, scenario)), decode.take(_bounded(decode, scenario))
    p, d = own_fronts(scenario, p, d, asked)
    joined = merged(scenario, p, d, asked)
    kept = pareto_front(costs_of(joined, objectives), joined.feasible)
    front = joined.take(kept)
    front = front.take(order_of(front, policy))
    best = front.take(np.zeros(1, dtype=np.int64)) if len(front) else None
    spent = time.perf_counter() - start
    return SplitFound(front, best, (len(prefill), len(decode)), (len(p), len(d)), len(joined), spent)


def _bounded(pool: PrefillPool | DecodePool, scenario: Scenario) -> IntArray:
    """Rows that keep the limits on latency by themselves: none that does not can be part of a plan that does."""
    limits = scenario.limits
    if isinstance(pool, PrefillPool):
        return np.flatnonzero(pool.point.ttft_s <= (limits.ttft_s or np.inf))
    slow = pool.point.tpot_s > (limits.tpot_s or np.inf)
    return np.flatnonzero(~slow & (pool.point.join_s <= (limits.ttft_s or np.inf)))


def own_fronts(scenario: Scenario, p: PrefillPool, d: DecodePool, asked: Asked) -> tuple[PrefillPool, DecodePool]:
    """Both pools, each cut down to the front of its own figures among what goes together with the same others."""
    match = pairing_of(scenario, p, d, asked)
    return (
        p.take(own_front(p.plans.gpus, match.first, p.costs)),
        d.take(own_front(d.plans.gpus, match.second, d.costs)),
    )


def merged(scenario: Scenario, p: PrefillPool, d: DecodePool, asked: Asked) -> SplitPlans:
    """Every pair of ``merge.pairs`` over every ratio, scored."""
    match = pairing_of(scenario, p, d, asked)
    firsts, seconds = _groups(p.plans.gpus, match.first), _groups(d.plans.gpus, match.second)
    keep_p = {n: Keeping(p.costs[rows]) for n, rows in firsts.items()}
    keep_d = {n: Keeping(d.costs[rows]) for n, rows in seconds.items()}
    parts = []
    for total in asked.totals:
        found = [
            (firsts[n][a], seconds[m][b], np.full(len(a), x), np.full(len(a), y))
            for n in firsts
            for m in seconds
            if match.together[n[1], m[1]]
            for x, y in ratios(total, n[0], m[0])
            if asked.may(x * n[0], y * m[0])
            for a, b in [pairs(keep_p[n], x, keep_d[m], y)]
        ]
        if found:
            parts.append(scored(scenario, p, d, asked, total, *(np.concatenate(c) for c in zip(*found, strict=True))))
    return _joined(scenario, p, d, parts, asked)


def pairing_of(scenario: Scenario, p: PrefillPool, d: DecodePool, asked: Asked) -> Pairing:
    return pairing(scenario, asked.drafters, p.plans, d.plans, d.drafter, d.ranks)


def _groups(gpus: IntArray, classes: IntArray) -> dict[tuple[int, int], IntArray]:
    """Rows by accelerators and class."""
    return {
        (int(n), int(c)): rows
        for n in np.unique(gpus)
        for c in np.unique(classes)
        if len(rows := np.flatnonzero((gpus == n) & (classes == c)))
    }


def scored(
    scenario: Scenario, p: PrefillPool, d: DecodePool, asked: Asked, total: int,
    a: IntArray, b: IntArray, x: IntArray, y: IntArray,
) -> SplitPlans:  # fmt: skip
    """Given pairs of rows, on ``total`` accelerators."""
    link = asked.link(scenario, total)
    figures = joint(scenario, link, p.point.take(a), x.astype(float), d.point.take(b), y.astype(float))
    return SplitPlans(p, d, a, b, x, y, figures, scenario.lengths.osl, scenario, asked)


def _joined(scenario: Scenario, p: PrefillPool, d: DecodePool, parts: list[SplitPlans], asked: Asked) -> SplitPlans:
    names = list(Joint.__dataclass_fields__)
    none = np.zeros(0)
    figures = {n: np.concatenate([none, *(getattr(part.figures, n) for part in parts)]) for n in names}
    whole: dict[str, Any] = {
        n: np.concatenate([none.astype(np.int64), *(getattr(part, n) for part in parts)]) for n in ("p", "d", "x", "y")
    }
    osl = scenario.lengths.osl
    return SplitPlans(p, d, **whole, figures=Joint(**figures), osl=osl, scenario=scenario, asked=asked)


def costs_of(plans: SplitPlans, objectives: Objectives) -> Array:
    """Shape (n, objectives), every column to be minimised."""
    signs = {"max": -1.0, "min": 1.0}
    return np.stack([signs[way] * plans.column(name) for name, way in objectives.directions.items()], axis=1)


def order_of(plans: SplitPlans, policy: Policy) -> IntArray:
    """Indices from the best to the worst: the policy's columns that a split plan has, then fewer instances, then the
    shorter time to first token."""
    keys = [
        settled((-1.0 if way == "max" else 1.0) * plans.column(name))
        for name, way in policy.columns.items()
        if name in FIGURES or name in plans.served
    ]
    keys += [plans.figures.gpus, (plans.x + plans.y).astype(float), plans.figures.ttft_s]
    return np.lexsort(keys[::-1])
