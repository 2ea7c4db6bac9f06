"""The closed loop of a split deployment: a client that always has C requests in it.

A request's life is the sum of its waits, C = R life(R) by Little's law, and life grows with the rate R, so there is one
rate. Where a pool cannot follow, requests queue before it: prompts before the prefill instances, and requests whose
cache has no place in the decode instances. All begin at once, so in the first of ``waves`` they queue for the prefill,
and the next ones remember it (``_Waves``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from costmodel.memory import memory
from costmodel.plans import Array, Plans
from costmodel.scenario import Scenario
from costmodel.serving.split.decode import decode
from costmodel.serving.split.journey import Link, cargo, journey
from costmodel.serving.split.prefill import Prefill, prefill
from costmodel.stages import Stages

HALVINGS = 45  # of the interval in which the rate is looked for
POINTS = 128  # numbers of sequences at which a decode instance is timed


@dataclass(frozen=True)
class Pool:
    """Instances of one pool: what serves them, one plan (``dp`` 1) and how many."""

    scenario: Scenario
    plan: Plans
    workers: int


@dataclass(frozen=True)
class SplitLoop:
    """Of a whole deployment, arrays of shape (n,): one entry for each number in flight. ``queue_s`` before the prefill,
    ``own_s`` of it, ``transfer_s`` of the cache, ``admission_s`` outside full decode instances, ``join_s`` to the first
    token, ``first_wave_s`` that the burst at the start adds to the mean or takes from it; ``decoding`` sequences of an
    instance."""

    requests_per_s: Array
    ttft_s: Array
    tpot_s: Array
    queue_s: Array
    own_s: Array
    transfer_s: Array
    admission_s: Array
    join_s: Array
    first_wave_s: Array
    decoding: Array


def split_loop(
    p: Pool, d: Pool, link: Link, in_flight: Array, most: float = math.inf, spread: float = 0.0
) -> SplitLoop:
    """``in_flight`` requests, shape (n,); ``most`` sequences that one decode instance runs at once by its settings;
    ``spread`` of the answers' lengths, longest less shortest over the mean (0: not known)."""
    total = np.asarray(in_flight, dtype=float)
    n = len(total)
    one, many = p.plan.take(np.zeros(n, dtype=int)), d.plan.take(np.zeros(n, dtype=int))
    pool = prefill(p.scenario, one)
    seen = (total - 1.0) / total
    seats = min(_seats(d, float(total.max())), most)
    steps = _Steps.of(d, seats)
    decodes = d.scenario.lengths.decodes
    sent, got = cargo(p.scenario, one), cargo(d.scenario, many)

    def regular(rate: Array) -> _Waves:
        apart = spread * decodes * np.interp(steps.at_rate(rate / d.workers), steps.decoding, steps.tpot_s)
        return _Waves.of(total / p.workers, pool.capacity_per_s, apart, p.scenario.waves)

    def before(rate: Array) -> tuple[Array, Array, Array]:
        """Waiting for the prefill, being prefilled, travelling."""
        each, random = rate / p.workers, regular(rate).share
        trip = journey(
            p.scenario, link, sent, got, each / one.attn_dp * seen, rate / d.workers / many.attn_dp * seen,
            pool.passes, pool.own_s(each),
        ).seconds  # fmt: skip
        return random * pool.wait_s(each, seen), pool.own_s(each) + random * pool.beside_s(each, seen), trip

    def life(rate: Array) -> Array:
        stay = np.interp(steps.at_rate(rate / d.workers), steps.decoding, steps.stay_s)
        return sum(before(rate), stay)

    ceiling = np.full(n, d.workers * steps.rate_per_s[-1])
    low, high = np.zeros(n), np.minimum(p.workers * pool.capacity_per_s / np.maximum(seen, 1e-9), ceiling)
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        room = life(middle) * middle < total
        low, high = np.where(room, middle, low), np.where(room, high, middle)
    wait, own, trip = before(low)
    dec = decode(d.scenario, many, steps.at_rate(low / d.workers))
    # At the ceiling of the decode pool the rest waits outside it.
    full = low > ceiling * (1.0 - 1e-9)
    outside = np.where(full, np.maximum(total / low - wait - own - trip - dec.stay_s, 0.0), 0.0)
    first = np.zeros(n)
    if math.isfinite(p.scenario.waves):
        prefills = p.workers * pool.capacity_per_s
        burst = total / prefills / 2.0 + own + _seated_late(total, d.workers * seats, dec.stay_s, prefills)
        first = (burst - wait - own - outside) / p.scenario.waves + regular(low).excess(pool, low / p.workers, seen)
    ttft = wait + own + trip + outside + dec.join_s + first
    return SplitLoop(
        total / (ttft + decodes * dec.tpot_s), ttft, dec.tpot_s, wait, own, trip, outside, dec.join_s, first,
        dec.decoding,
    )  # fmt: skip


def _seated_late(total: Array, seats: float, stay_s: Array, prefills_per_s: Array) -> Array:
    """Mean wait for a seat of those that all began at once: whole groups of as many as there are ``seats``, which
    follow each other by a stay, but come from the prefill as much later as it takes for the seats' number."""
    turns = np.floor(total / seats)
    mean = turns * (total - seats * (turns + 1.0) / 2.0) / total
    return np.asarray(mean * np.maximum(stay_s - seats / prefills_per_s, 0.0))


@dataclass(frozen=True)
class _Waves:
    """How prompts of the waves after the first come to an instance. The burst at the start leaves the prefill one after
    the other, evenly over the time that it takes (``each`` / capacity); answers' lengths move a request by up to
    ``apart`` from there in each wave, independently, so that variances add: n waves later they come within
    ``window_s``. ``shares`` of that variance are the lengths'; the rest keeps the even distances of the prefill, in
    which nobody waits: waits go with the variance of arrivals (Kingman 1961). Shapes (waves, n), or (1, n) where
    nothing is known of the lengths: all at random then."""

    each: Array
    capacity_per_s: Array
    window_s: Array
    shares: Array
    waves: float

    @classmethod
    def of(cls, each: Array, capacity_per_s: Array, apart_s: Array, waves: float) -> _Waves:
        if not np.any(apart_s) or not math.isfinite(waves):
            return cls(each, capacity_per_s, np.full((1, len(each)), np.inf), np.ones((1, len(each))), waves)
        later = np.arange(1.0, max(round(waves), 2))[:, None]
        moved, even = np.sqrt(later) * apart_s, each / capacity_per_s
        window = np.hypot(moved, even)
        return cls(each, capacity_per_s, window, (moved / window) ** 2, waves)

    @property
    def share(self) -> Array:
        """In the mean over the waves."""
        return np.asarray(np.mean(self.shares, axis=0))

    def excess(self, pool: Prefill, rate: Array, seen: Array) -> Array:
        """Seconds by which these waves add to the mean over a stream at ``rate``: within their window they come at
        a higher one, and queue no longer than behind n at random places of a window that they just fill (a Brownian
        bridge's mean maximum, sqrt(pi / 8) of sqrt(n) prompts)."""
        local = np.maximum(self.each / self.window_s, rate)
        most = np.sqrt(math.pi / 8.0 * self.each) / self.capacity_per_s

        def taken(rate: Array, wait: Array) -> Array:
            return np.asarray(wait + self.shares * pool.beside_s(rate, seen) + pool.own_s(rate))

        locally = np.minimum(self.shares * pool.wait_s(local, seen), np.sqrt(self.shares) * most)
        longer = taken(local, locally) - taken(rate, self.shares * pool.wait_s(rate, seen))
        return np.asarray(np.sum(np.maximum(longer, 0.0), axis=0) / self.waves)


def _seats(d: Pool, total: float) -> float:
    """Sequences that the cache of one decode instance holds."""
    layout, stages = d.scenario.layout(d.plan), Stages.of(d.scenario.model, d.plan.pp)
    held = memory(d.scenario, layout, stages, np.ceil(np.array([total]) / d.workers / d.plan.attn_dp))
    return float(np.maximum(held.seats, 1.0)[0] * d.plan.attn_dp[0])


@dataclass(frozen=True)
class _Steps:
    """One decode instance by its sequences, points of shape (POINTS,), straight lines between them."""

    decoding: Array
    tpot_s: Array
    join_s: Array
    stay_s: Array
    rate_per_s: Array

    @classmethod
    def of(cls, d: Pool, seats: float) -> _Steps:
        at = np.unique(np.concatenate([np.geomspace(1e-3, 1.0, 4), np.geomspace(1.0, max(seats, 1.0), POINTS)]))
        dec = decode(d.scenario, d.plan.take(np.zeros(len(at), dtype=int)), at)
        # More sequences never serve fewer requests; rounding to whole groups may seem to.
        return cls(at, dec.tpot_s, dec.join_s, dec.stay_s, np.maximum.accumulate(dec.rate_per_s))

    def at_rate(self, rate: Array) -> Array:
        """Sequences at which an instance serves ``rate`` requests a second: b = rate stay(b)."""
        return np.interp(rate, self.rate_per_s, self.decoding)
