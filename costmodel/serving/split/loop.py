"""The closed loop of a split deployment: a client that always has C requests in it.

A request's life is the sum of its waits, C = R life(R) by Little's law, and life grows with the rate R, so there is one
rate. Where a pool cannot follow, requests queue before it: prompts before the prefill instances, and requests whose
cache has no place in the decode instances. All begin at once, so in the first of ``waves`` they queue for the prefill.
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
    token, ``first_wave_s`` that a burst at the start adds to the mean; ``decoding`` sequences of an instance."""

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

    def before(rate: Array) -> tuple[Array, Array, Array]:
        """Waiting for the prefill, being prefilled, travelling."""
        each = rate / p.workers
        trip = journey(
            p.scenario, link, sent, got, each / one.attn_dp * seen, rate / d.workers / many.attn_dp * seen,
            pool.passes, pool.own_s(each),
        ).seconds  # fmt: skip
        return pool.wait_s(each, seen), pool.own_s(each) + pool.beside_s(each, seen), trip

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
        first = (burst - wait - own - outside) / p.scenario.waves
        if spread:
            stay = spread * decodes * dec.tpot_s
            first = first + _bunched(pool, p, total, low, stay, seen, wait + own + outside)
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


def _bunched(pool: Prefill, p: Pool, total: Array, rate: Array, apart_s: Array, seen: Array, alone: Array) -> Array:
    """Seconds that the waves after the first add to the mean over ``alone``, what an even stream takes. Requests that
    begin together end within ``apart_s`` of each other, and the next ones after them, n waves later within sqrt(n) of
    it (lengths are independent). At that rate they queue, no longer than behind n at random places of a window
    that they just fill (a Brownian bridge's mean maximum, sqrt(pi / 8) of sqrt(n) prompts). A window that is too short
    for them is not theirs: the first burst has spaced them as they were prefilled."""
    later = np.arange(1.0, max(round(p.scenario.waves), 2))[:, None]
    window, each = np.sqrt(later) * apart_s, total / p.workers
    local = np.maximum(each / np.maximum(window, 1e-12), rate / p.workers)
    wait = np.minimum(pool.wait_s(local, seen), np.sqrt(math.pi / 8.0 * each) / pool.capacity_per_s)
    taken = wait + pool.own_s(local) + pool.beside_s(local, seen)
    longer = np.where(window > each / pool.capacity_per_s, np.maximum(taken - alone, 0.0), 0.0)
    return np.sum(longer, axis=0) / p.scenario.waves


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
