"""A split deployment request by request: the reference that its percentiles at a rate and its closed loop are held
against.

Requests go to the instances of each pool in turn, or to the one with the fewest. A cache travels over the link of one
group of the instance that decodes, first come first served. What happens in the instances is in ``instances``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Any

import numpy as np

from costmodel.memory import memory
from costmodel.plans import Array, IntArray, Plans
from costmodel.scenario import Scenario
from costmodel.serving.simulation.balancer import Policy
from costmodel.serving.simulation.prefix_cache import PrefixCache
from costmodel.serving.split.decode import QUEUES
from costmodel.serving.split.instances import Caches, Decoding, Passes, Prefilling, Steps, fewest
from costmodel.serving.split.journey import Link, cargo, journey
from costmodel.serving.split.prefill import prefill, prefill_only
from costmodel.stages import Stages

# What happens, in the order in which it does at one moment.
COMES, PREFILLED, ARRIVED, LEAVES, PASS = range(5)
NEXT = -1  # of the requests that a client has still to send


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
    in_flight: int | None = None, policy: Policy = "round_robin",
) -> SplitServed:  # fmt: skip
    """Requests with so many ``new`` prompt tokens and answers, in the order of arrival. ``prompts``: all of their
    tokens, whose cache travels, where some are not new. ``blocks``: hashes of each prompt's whole blocks, of which the
    groups' own caches find some. With ``in_flight`` the loop is closed: so many are sent at once, arrival times do not
    count, and the next one is sent when one is through."""
    n = len(arrival_s)
    lengths = (new if prompts is None else prompts) / float(d.scenario.lengths.isl)  # over the mean one
    run = _Run(d, new, answers, lengths, blocks, block_tokens, policy)
    if in_flight is None:
        for i, at in enumerate(arrival_s.tolist()):
            run.at(at, COMES, i)
    else:
        run.rest = iter(range(n))
        for _ in range(in_flight):
            run.at(0.0, COMES, NEXT)
    run.all()
    return run.served(answers)


class _Run:
    """What is to happen in the order of time, and what became of each request."""

    def __init__(
        self, d: Deployment, new: IntArray, answers: IntArray, lengths: Array, blocks: Sequence[Sequence[int]] | None,
        block_tokens: int, policy: Policy,
    ) -> None:  # fmt: skip
        pool = prefill(d.scenario, d.prefill)
        passes, steps = Passes.of(pool, d.scenario, d.prefill), Steps.of(d.decoding, d.decode)
        caches = [None if blocks is None else _caches(d, block_tokens) for _ in range(d.x)]
        by_load = QUEUES.get(d.decoding.engine.name) == "least_loaded"
        self.policy, self.new, self.answers = policy, new.tolist(), answers.tolist()
        self.first = [Prefilling(passes, cache, blocks or ()) for cache in caches]
        self.second = [Decoding(steps, by_load) for _ in range(d.y)]
        trip = journey(
            d.scenario, d.link, cargo(d.scenario, d.prefill), cargo(d.decoding, d.decode), 0.0, 0.0, pool.passes,
            pool.own_s(np.zeros(1)),
        )  # fmt: skip
        latency = d.link.latency_s * d.scenario.model.layer_count
        self.travel = (latency + (float(trip.travel_s[0]) - latency) * lengths).tolist()
        self.busy = (_carried_s(d) * lengths).tolist()
        self.links = [[0.0] * int(d.decode.attn_dp[0]) for _ in range(d.y)]
        self.sent = [0] * d.y
        self.turn = {COMES: 0, PREFILLED: 0}
        n = len(self.new)
        self.times = np.full((3, n), np.inf)  # of coming, being prefilled, arriving
        self.places = np.full((2, n), -1, dtype=np.int64)
        self.due: list[tuple[float, int, int, int]] = []
        self.waking = [False] * d.x  # whether its next pass is due
        self.leaves = [np.inf] * d.y
        self.rest: Iterator[int] | None = None  # of a closed loop: requests that are not sent yet

    def at(self, seconds: float, what: int, i: int, more: int = 0) -> None:
        heappush(self.due, (seconds, what, i, more))

    def all(self) -> None:
        """Until nothing is due."""
        while self.due:
            at, what, i, more = heappop(self.due)
            if what == COMES:
                self._comes(at, i)
            elif what == PASS:
                self._pass(at, i)
            elif what == PREFILLED:
                self._travels(at, i)
            else:
                self._decodes(at, what, i, more)

    def _place(self, pool: list[Any], what: int) -> int:
        turn, count = self.turn[what], len(pool)
        self.turn[what] = (turn + 1) % count
        if self.policy == "round_robin":
            return turn
        return fewest([instance.load for instance in pool], turn)

    def _comes(self, at: float, i: int) -> None:
        if self.rest is not None and (i := next(self.rest, NEXT)) == NEXT:
            return
        k = self._place(self.first, COMES)
        self.times[0, i], self.places[0, i] = at, k
        self.first[k].push(i, self.new[i])
        self._wake(at, k)

    def _wake(self, at: float, k: int) -> None:
        if not self.waking[k]:
            self.waking[k] = True
            self.at(max(at, self.first[k].free_s), PASS, k)

    def _pass(self, at: float, k: int) -> None:
        self.waking[k] = False
        for done, i in self.first[k].run(at):
            self.at(done, PREFILLED, i)
        if self.first[k].waiting:
            self._wake(at, k)

    def _travels(self, at: float, i: int) -> None:
        """Over the links of the groups in turn."""
        k = self._place(self.second, PREFILLED)
        links, group = self.links[k], self.sent[k] % len(self.links[k])
        self.sent[k] += 1
        start = max(at, links[group])
        links[group] = start + self.busy[i]
        self.times[1, i], self.times[2, i], self.places[1, i] = at, start + self.travel[i], k
        self.at(start + self.travel[i], ARRIVED, i, self.second[k].queue())

    def _decodes(self, at: float, what: int, i: int, more: int) -> None:
        """Request ``i`` arrived for queue ``more``, or somebody leaves instance ``i``."""
        k = int(self.places[1, i]) if what == ARRIVED else i
        instance = self.second[k]
        if what == LEAVES and at != self.leaves[k]:
            return  # somebody joined since, and steps are longer
        for end in instance.settle(at):
            if self.rest is not None:
                self.at(end, COMES, NEXT)
        if what == ARRIVED:
            instance.push(i, more, self.answers[i])
        told, self.leaves[k] = self.leaves[k], instance.next_s()
        if self.leaves[k] < np.inf and (what == LEAVES or self.leaves[k] != told):
            self.at(self.leaves[k], LEAVES, k)

    def served(self, answers: IntArray) -> SplitServed:
        n = len(self.new)
        first, last, hits = np.full(n, np.inf), np.full(n, np.inf), np.zeros(n, dtype=np.int64)
        for decoding in self.second:
            for target, seconds in ((first, decoding.first_s), (last, decoding.last_s)):
                target[list(seconds)] = list(seconds.values())
        for prefilling in self.first:
            hits[list(prefilling.hits)] = list(prefilling.hits.values())
        came, ready, arrived = self.times
        return SplitServed(came, answers, ready, arrived, first, last, self.places[0], self.places[1], hits)


def _caches(d: Deployment, block_tokens: int) -> Caches:
    plan, asked = d.prefill, replace(d.scenario, lengths=prefill_only(d.scenario.lengths))
    held = memory(asked, asked.layout(plan), Stages.of(asked.model, plan.pp), np.ones(1))
    caches = tuple(PrefixCache(block_tokens) for _ in range(int(plan.attn_dp[0])))
    return Caches(caches, int(held.kv_capacity_tokens[0]) // block_tokens)


def _carried_s(d: Deployment) -> float:
    """Seconds that the cache of a mean prompt keeps the link of the busier end's rank."""
    sent, got = cargo(d.scenario, d.prefill), cargo(d.decoding, d.decode)
    outgoing = got.copies * sent.total_bytes / sent.ranks
    return float(np.maximum(outgoing, got.bytes)[0]) / d.link.bytes_per_s
