"""A split deployment request by request: the reference that its percentiles at a rate are held against.

Requests go to the instances of each pool in turn, so one pool can be run after the other. An instance that prefills
takes prompts in the order in which they came, up to the budget of all groups a pass; the time of a pass is a straight
line in its tokens. A cache travels over the link of one group of the instance that decodes, first come first served.
There it waits for a seat, in order, joins at the end of the step that runs (and those scheduled ahead) and leaves with
its last token.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from math import ceil

import numpy as np

from costmodel.plans import Array, IntArray, Plans
from costmodel.scenario import Scenario
from costmodel.serving.split.decode import FIRST_STEPS, decode
from costmodel.serving.split.journey import Link, cargo, journey
from costmodel.serving.split.prefill import Prefill, prefill
from costmodel.serving.split.rate import KNOTS


@dataclass(frozen=True)
class Deployment:
    """``x`` instances of one plan that prefill and ``y`` of one that decode with ``plan.batch`` seats (``dp`` 1)."""

    scenario: Scenario
    link: Link
    prefill: Plans
    x: int
    decode: Plans
    y: int
    decoding: Scenario  # with the drafter of the instances that decode


@dataclass(frozen=True)
class SplitServed:
    """What became of each request, arrays of shape (n,) by arrival: when its prompt was through, its cache had
    travelled, its first and last token were there (infinite where nobody takes it), and which instances had it."""

    arrival_s: Array
    answers: IntArray
    prefilled_s: Array
    arrived_s: Array
    first_s: Array
    last_s: Array
    prefill: IntArray
    decode: IntArray

    @property
    def ttft_s(self) -> Array:
        return self.first_s - self.arrival_s

    @property
    def tpot_s(self) -> Array:
        """Seconds a token after the first; not a number for answers of one token."""
        with np.errstate(invalid="ignore"):
            tokens = (self.last_s - self.first_s) / np.maximum(self.answers - 1, 1)
        return np.where(self.answers > 1, tokens, np.nan)

    @property
    def e2e_s(self) -> Array:
        return self.last_s - self.arrival_s


def simulate(d: Deployment, arrival_s: Array, new: IntArray, answers: IntArray) -> SplitServed:
    """Requests with so many ``new`` prompt tokens and answers, in the order of arrival."""
    n = len(arrival_s)
    places = np.arange(n) % d.x
    pool = prefill(d.scenario, d.prefill)
    ready = np.empty(n)
    for k in range(d.x):
        mine = np.flatnonzero(places == k)
        ready[mine] = _prefilled(pool, float(d.scenario.lengths.new), arrival_s[mine], new[mine])
    order = np.argsort(ready, kind="stable")
    arrived = np.empty(n)
    first, last, decoders = np.empty(n), np.empty(n), np.empty(n, dtype=np.int64)
    own = pool.own_s(np.zeros(1))
    trip = journey(
        d.scenario, d.link, cargo(d.scenario, d.prefill), cargo(d.decoding, d.decode), 0.0, 0.0, pool.passes, own
    )
    travel, busy = float(trip.travel_s[0]), _carried_s(d)
    for k in range(d.y):
        mine = order[k :: d.y]
        arrived[mine] = _travelled(ready[mine], travel, busy, int(d.decode.attn_dp[0]))
        first[mine], last[mine] = _decoded(d, arrived[mine], answers[mine])
        decoders[mine] = k
    return SplitServed(arrival_s, answers, ready, arrived, first, last, places, decoders)


def _prefilled(pool: Prefill, mean: float, arrival: Array, new: IntArray) -> Array:
    """When each prompt of one instance is through."""
    most, least = float(pool.prompts[0]) * mean, float(pool.least[0]) * mean
    one, full = float(pool.one_s[0]), float(pool.full_s[0])
    slope = (full - one) / max(most - least, 1e-9)
    one_next, full_next = float(pool.one_slowest_s[0]), float(pool.slowest_s[0])
    slope_next = (full_next - one_next) / max(most - least, 1e-9)
    done = np.empty(len(arrival))
    left = new.astype(float)
    clock, at = 0.0, 0
    while at < len(arrival):
        clock = max(clock, float(arrival[at]))
        room, here, through = most, at, []
        while here < len(arrival) and arrival[here] <= clock and room > 0.0:
            taken = min(float(left[here]), room)
            left[here] -= taken
            room -= taken
            if left[here] > 0.0:
                break
            through.append(here)
            here += 1
        tokens = most - room
        seconds = one + slope * max(tokens - least, 0.0)
        done[through] = clock + seconds + pool.request_s
        clock += one_next + slope_next * max(tokens - least, 0.0)
        at = here
    return done


def _carried_s(d: Deployment) -> float:
    """Seconds that a cache keeps the link of the busier end's rank."""
    sent, got = cargo(d.scenario, d.prefill), cargo(d.decoding, d.decode)
    outgoing = got.copies * sent.total_bytes / sent.ranks
    return float(np.maximum(outgoing, got.bytes)[0]) / d.link.bytes_per_s


def _travelled(ready: Array, travel: float, busy: float, groups: int) -> Array:
    """Arrival at one instance, whose groups take requests in turn over a link each."""
    arrived = np.empty(len(ready))
    free = np.zeros(groups)
    for i, at in enumerate(ready.tolist()):
        start = max(at, free[i % groups])
        free[i % groups] = start + busy
        arrived[i] = start + travel
    return arrived


def _decoded(d: Deployment, arrived: Array, answers: IntArray) -> tuple[Array, Array]:
    """First and last token of each request of one instance."""
    engine, seats = d.decoding.engine, int(d.decode.batch[0])
    knots = KNOTS[: int(np.searchsorted(KNOTS, seats)) + 2]
    table = decode(d.decoding, d.decode.take(np.zeros(len(knots), dtype=int)), knots).step_s
    step_s = np.interp(np.arange(seats + 1), knots, table).tolist()
    ahead, gained = float(engine.steps_ahead), float(engine.tokens_a_step)
    late = FIRST_STEPS.get(engine.name, 0.0)
    order = np.argsort(arrived, kind="stable")
    first, last = np.empty(len(arrived)), np.empty(len(arrived))
    queue, came = order.tolist(), arrived[order].tolist()
    ends: list[tuple[float, int]] = []  # a heap: steps at whose end a sequence leaves
    clock, steps, at = 0.0, 0.0, 0
    while at < len(queue) or ends:
        if not ends and at < len(queue):
            clock = max(clock, came[at])
        while at < len(queue) and came[at] <= clock and len(ends) < seats:
            i = queue[at]
            wait = ahead if ends else 0.0
            begun = clock + (wait + late) * step_s[len(ends)]
            first[i] = begun + engine.request_overhead_s
            heappush(ends, (steps + wait + late + max(int(answers[i]) - 1, 0) / gained, i))
            at += 1
        seconds = step_s[len(ends)]
        whole = max(ceil(ends[0][0] - steps - 1e-9), 1)
        if at < len(queue) and len(ends) < seats:  # somebody may join before
            whole = min(whole, max(ceil((came[at] - clock) / seconds - 1e-9), 1))
        clock += whole * seconds
        steps += whole
        while ends and ends[0][0] <= steps + 1e-9:
            last[heappop(ends)[1]] = clock + engine.request_overhead_s
    return first, np.maximum(last, first)
