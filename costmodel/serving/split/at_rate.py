"""x instances that prefill and y that decode at a rate, together: distributions, and the most that they carry."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from costmodel.plans import Array, IntArray
from costmodel.scenario import Demand, Limits, Scenario
from costmodel.serving.rate.capacity import most
from costmodel.serving.rate.distribution import Mixture, Part
from costmodel.serving.rate.figures import bounded, kept_chance, latency_names
from costmodel.serving.split.journey import Cargo, Link, journey
from costmodel.serving.split.rate import MOST_USED, DecodeRate, Decoding, PrefillRate


@dataclass(frozen=True)
class Pair:
    """Deployments, one a row: ``x`` instances of rows of ``prefill`` whose groups are ``p_groups`` and caches ``sent``,
    ``y`` of rows of ``decode``."""

    scenario: Scenario
    link: Link
    prefill: PrefillRate
    x: Array
    sent: Cargo
    p_groups: Array
    decode: DecodeRate
    y: Array
    got: Cargo

    def take(self, i: IntArray) -> Pair:
        return Pair(
            self.scenario, self.link, self.prefill.take(i), self.x[i], _cargo(self.sent, i), self.p_groups[i],
            self.decode.take(i), self.y[i], _cargo(self.got, i),
        )  # fmt: skip

    @property
    def capacity_per_s(self) -> Array:
        """Requests a second of the deployment at which a pool or the link is full."""
        trip = journey(self.scenario, self.link, self.sent, self.got, 1.0 / self.x / self.p_groups,
                       1.0 / self.y / self.decode.groups)  # fmt: skip
        pools = np.minimum(self.x * self.prefill.mean.capacity_per_s, self.y * self.decode.capacity_per_s)
        return np.asarray(np.minimum(pools, 1.0 / np.maximum(trip.link_share, 1e-30)))

    def at(self, rate: Any, cv: float) -> Distributions:
        """At ``rate`` requests a second of the deployment, with gaps of coefficient of variation ``cv``."""
        rate = rate + 0.0 * self.x
        each, other = rate / self.x, rate / self.y
        waits = self.prefill.waits(each, cv**2 / self.x)
        held = self.decode.at(other, cv**2 / self.y)
        own = self.prefill.mean.own_s(each)
        trip = journey(
            self.scenario, self.link, self.sent, self.got, each / self.p_groups, other / self.decode.groups,
            self.prefill.mean.passes, own,
        )  # fmt: skip
        # The queue of caches is exponential for the share that waits.
        queue = np.where(np.isfinite(trip.queue_s), trip.queue_s, 0.0)
        share = np.clip(trip.link_share, 1e-12, 1.0)
        late = ~np.isfinite(trip.queue_s) | (rate >= MOST_USED * self.capacity_per_s)
        second, third = 2.0 * queue**2 / share, 6.0 * queue**3 / share**2
        link = Part(trip.travel_s + queue, second - queue**2, third - 3.0 * queue * second + 2.0 * queue**3)
        return Distributions(self.decode.mix, waits + link + held.first, held, late)


def _cargo(c: Cargo, i: IntArray) -> Cargo:
    return Cargo(c.bytes[i], c.ranks[i], c.total_bytes[i])


@dataclass(frozen=True)
class Distributions:
    """Of each row; ``late``: beyond its capacity, where nothing is finite."""

    mix: Any
    first: Part
    held: Decoding
    late: Array

    @property
    def mixtures(self) -> dict[str, Mixture]:
        """TTFT, TPOT and end-to-end time by the names of their figures."""
        mix, held = self.mix, self.held
        turns, share = mix.decodes.tokens[:, None], mix.decodes.share[:, None]
        apart = mix.decodes.variance[:, None] * held.tpot_s**2
        none = 0.0 * held.tpot_s
        e2e = Part(
            self.first.mean + turns * held.tpot_s, self.first.variance + turns**2 * held.swing + apart,
            self.first.third + 0.0 * turns,
        )  # fmt: skip
        return {
            "ttft_s": single(self.first),
            "tpot_s": single(Part(held.tpot_s, held.swing, none)),
            "e2e_s": Mixture(share, e2e),
        }


def single(part: Part) -> Mixture:
    """Of one kind of request, whatever the shape of its moments."""
    return Mixture(np.ones((1, 1)), Part(*(np.atleast_2d(getattr(part, n)) for n in ("mean", "variance", "third"))))


def figures(pair: Pair, demand: Demand, limits: Limits) -> dict[str, Array]:
    """By the names of ``costmodel.scores.TRAFFIC``, and the means ``ttft_s`` and ``tpot_s``; infinite beyond the
    capacity."""
    rate, n = demand.requests_per_s, len(pair.x)
    capacity = pair.capacity_per_s
    rows = np.flatnonzero(rate < MOST_USED * capacity)
    found = {name: np.full(n, np.inf) for name in latency_names()}
    some = pair.take(rows)
    now = some.at(rate, demand.gap_cv)
    good = np.zeros(n)
    if len(rows):
        mixtures = now.mixtures
        for name, mixture in mixtures.items():
            found[name][rows] = mixture.mean
            for percent, values in mixture.percentiles().items():
                found[f"{name}_p{percent}"][rows] = values
        good[rows] = kept_chance(mixtures, limits, np.ones(len(rows)))
    found["goodput"] = good
    found["capacity_requests_per_s"] = capacity
    found["requests_in_flight"] = rate * found["e2e_s"]
    chance = np.ones(n)
    chance[rows] = now.held.chance
    found["seat_wait_chance"] = chance
    found["max_requests_per_s"] = found["rate_headroom"] = np.full(n, np.nan)
    if not demand.headroom:
        return found
    free = not bounded(limits) and limits.goodput is None
    best = capacity if free else most(capacity, partial(_worst, pair, demand.gap_cv, limits))
    found["max_requests_per_s"], found["rate_headroom"] = best, best / rate - 1.0
    return found


def _worst(pair: Pair, cv: float, limits: Limits, rate: Array, rows: IntArray) -> Array:
    """How far the worst limit on latency is missed by ``rows`` at ``rate``: at most 0 where all are kept."""
    now = pair.take(rows).at(rate, cv)
    mixtures = now.mixtures
    worst = np.full(len(rows), -1.0)
    for name, statistic, bound in bounded(limits):
        if statistic == "mean":
            missed = mixtures[name].mean / bound - 1.0
        else:
            missed = float(statistic[1:]) / 100.0 - mixtures[name].below(bound)
        worst = np.maximum(worst, missed)
    if limits.goodput is not None:
        worst = np.maximum(worst, limits.goodput - kept_chance(mixtures, limits, np.ones(len(rows))))
    return np.where(now.late | np.isnan(worst), 1.0, np.clip(worst, -1.0, 1.0))
