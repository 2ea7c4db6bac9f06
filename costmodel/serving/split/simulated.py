"""A split deployment request by request: the reference that its percentiles at a rate are held against.

Requests go to the instances of each pool in turn, so one pool can be run after the other. An instance that prefills
takes prompts in the order in which they came, up to the budget of all groups a pass; the time of a pass is that of its
new tokens (``_Passes``). A cache travels over the link of one group of the instance that decodes, first come first
served. There it waits for a seat, in order, joins at the end of the step that runs (and those scheduled ahead) and
leaves with its last token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from math import ceil

import numpy as np

from costmodel.lengths import FixedLengths
from costmodel.memory import memory
from costmodel.plans import Array, IntArray, Plans
from costmodel.scenario import Scenario
from costmodel.serving.simulation.prefix_cache import PrefixCache
from costmodel.serving.split.decode import FIRST_STEPS, decode
from costmodel.serving.split.journey import Link, cargo, journey
from costmodel.serving.split.prefill import Prefill, prefill, prefill_only
from costmodel.serving.split.rate import KNOTS
from costmodel.stages import Stages

SHORT = tuple(16 * 4**i for i in range(8))  # tokens of prompts that are timed alone


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
    travelled, its first and last token were there (infinite where nobody takes it), which instances had it, and prompt
    tokens found in the cache of the one that prefilled."""

    arrival_s: Array
    answers: IntArray
    prefilled_s: Array
    arrived_s: Array
    first_s: Array
    last_s: Array
    prefill: IntArray
    decode: IntArray
    hits: IntArray

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


def simulate(
    d: Deployment, arrival_s: Array, new: IntArray, answers: IntArray,
    prompts: IntArray | None = None, blocks: Sequence[Sequence[int]] | None = None, block_tokens: int = 16,
) -> SplitServed:  # fmt: skip
    """Requests with so many ``new`` prompt tokens and answers, in the order of arrival. ``prompts``: all of their
    tokens, whose cache travels, where some are not new. ``blocks``: hashes of each prompt's whole blocks, of which the
    groups' own caches find some."""
    n = len(arrival_s)
    lengths = (new if prompts is None else prompts) / float(d.scenario.lengths.isl)  # over the mean one
    hits = np.zeros(n, dtype=np.int64)
    places = np.arange(n) % d.x
    pool = prefill(d.scenario, d.prefill)
    passes = _Passes.of(pool, d.scenario, d.prefill)
    ready = np.empty(n)
    for k in range(d.x):
        mine = np.flatnonzero(places == k)
        caches = None if blocks is None else _Caches.of(d, [blocks[i] for i in mine.tolist()], block_tokens)
        ready[mine], hits[mine] = _prefilled(passes, arrival_s[mine], new[mine], caches)
    order = np.argsort(ready, kind="stable")
    arrived = np.empty(n)
    first, last, decoders = np.empty(n), np.empty(n), np.empty(n, dtype=np.int64)
    own = pool.own_s(np.zeros(1))
    trip = journey(
        d.scenario, d.link, cargo(d.scenario, d.prefill), cargo(d.decoding, d.decode), 0.0, 0.0, pool.passes, own
    )
    latency = d.link.latency_s * d.scenario.model.layer_count
    travel, busy = latency + (float(trip.travel_s[0]) - latency) * lengths, _carried_s(d) * lengths
    for k in range(d.y):
        mine = order[k :: d.y]
        arrived[mine] = _travelled(ready[mine], travel[mine], busy[mine], int(d.decode.attn_dp[0]))
        first[mine], last[mine] = _decoded(d, arrived[mine], answers[mine])
        decoders[mine] = k
    return SplitServed(arrival_s, answers, ready, arrived, first, last, places, decoders, hits)


@dataclass(frozen=True)
class _Passes:
    """Seconds of a pass by its new tokens, and until the next one begins: of prompts shorter than the mean one, each
    alone; from the mean one to all groups full a straight line."""

    tokens: Array
    latency_s: Array
    next_s: Array
    most: float
    request_s: float

    @classmethod
    def of(cls, pool: Prefill, scenario: Scenario, plan: Plans) -> _Passes:
        mean = float(scenario.lengths.new)
        ends = [float(pool.least[0]) * mean, float(pool.prompts[0]) * mean]
        short = [n for n in SHORT if n < 0.9 * ends[0]]
        alone = [prefill(replace(scenario, lengths=FixedLengths(n, 1)), plan) for n in short]
        ends[1] = max(ends[1], ends[0] + 1e-6)

        def column(name: str, whole: str) -> Array:
            return np.array([float(p[0]) for p in (*(getattr(a, name) for a in alone), getattr(pool, name),
                                                   getattr(pool, whole))])  # fmt: skip

        return cls(
            np.array([*map(float, short), *ends]), column("one_s", "full_s"), column("one_slowest_s", "slowest_s"),
            ends[1], pool.request_s,
        )  # fmt: skip


@dataclass(frozen=True)
class _Caches:
    """Of one instance that prefills: its groups' prefix caches, which take its requests in turn; ``blocks`` by request
    and how many a group has room for. Instances that decode keep none (SGLang: pd_disaggregation_hook.py, 0.5.23)."""

    groups: tuple[PrefixCache, ...]
    blocks: Sequence[Sequence[int]]
    room: int

    @classmethod
    def of(cls, d: Deployment, blocks: Sequence[Sequence[int]], block_tokens: int) -> _Caches:
        plan, asked = d.prefill, replace(d.scenario, lengths=prefill_only(d.scenario.lengths))
        held = memory(asked, asked.layout(plan), Stages.of(asked.model, plan.pp), np.ones(1))
        caches = tuple(PrefixCache(block_tokens) for _ in range(int(plan.attn_dp[0])))
        return cls(caches, blocks, int(held.kv_capacity_tokens[0]) // block_tokens)

    def begin(self, i: int, tokens: int) -> int:
        """Of the ``tokens`` of request ``i``, of which one at least is computed, those that are found."""
        cache, taken = self.groups[i % len(self.groups)], tuple(self.blocks[i])
        found = min(cache.found(taken) * cache.block_tokens, tokens - 1)
        cache.pin(taken)
        return found

    def end(self, i: int) -> None:
        cache = self.groups[i % len(self.groups)]
        cache.release(tuple(self.blocks[i]))
        cache.shrink(self.room - len(cache.pinned))


def _prefilled(passes: _Passes, arrival: Array, new: IntArray, caches: _Caches | None) -> tuple[Array, IntArray]:
    """When each prompt of one instance is through, and what the cache had of it."""
    done, hits = np.empty(len(arrival)), np.zeros(len(arrival), dtype=np.int64)
    left = new.astype(float)
    clock, at = 0.0, 0
    while at < len(arrival):
        clock = max(clock, float(arrival[at]))
        room, here, through = passes.most, at, []
        while here < len(arrival) and arrival[here] <= clock and room > 0.0:
            if caches is not None and left[here] == new[here]:
                hits[here] = caches.begin(here, int(new[here]))
                left[here] -= hits[here]
            taken = min(float(left[here]), room)
            left[here] -= taken
            room -= taken
            if left[here] > 0.0:
                break
            through.append(here)
            here += 1
        if caches is not None:
            for i in through:
                caches.end(i)
        tokens = passes.most - room
        done[through] = clock + np.interp(tokens, passes.tokens, passes.latency_s) + passes.request_s
        clock += float(np.interp(tokens, passes.tokens, passes.next_s))
        at = here
    return done, hits


def _carried_s(d: Deployment) -> float:
    """Seconds that the cache of a mean prompt keeps the link of the busier end's rank."""
    sent, got = cargo(d.scenario, d.prefill), cargo(d.decoding, d.decode)
    outgoing = got.copies * sent.total_bytes / sent.ranks
    return float(np.maximum(outgoing, got.bytes)[0]) / d.link.bytes_per_s


def _travelled(ready: Array, travel: Array, busy: Array, groups: int) -> Array:
    """Arrival at one instance, whose groups take requests in turn over a link each."""
    arrived = np.empty(len(ready))
    free = np.zeros(groups)
    for i, at in enumerate(ready.tolist()):
        start = max(at, free[i % groups])
        free[i % groups] = start + busy[i]
        arrived[i] = start + travel[i]
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
