"""Instances of a simulated split deployment: one that prefills, one that decodes.

An instance that prefills takes prompts in the order in which they came, up to the budget of all groups a pass; the time
of a pass is that of its new tokens (``Passes``). In one that decodes a request waits for a seat, in order, joins at the
end of the step that runs (and those scheduled ahead) and leaves with its last token. Where it waits is the engine's
(``costmodel.serving.split.decode.QUEUES``): before the instance, or before the attention group that it was given to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from math import ceil, inf

import numpy as np

from costmodel.lengths import FixedLengths
from costmodel.plans import Array, Plans
from costmodel.scenario import Scenario
from costmodel.serving.simulation.prefix_cache import PrefixCache
from costmodel.serving.split.decode import FIRST_STEPS, QUEUES, decode
from costmodel.serving.split.prefill import Prefill, prefill
from costmodel.serving.split.rate import KNOTS

SHORT = tuple(16 * 4**i for i in range(8))  # tokens of prompts that are timed alone
SOON = 1e-9  # steps, by which sums of them may be off


def fewest(loads: Sequence[int], turn: int) -> int:
    """The place of the smallest load; of equal ones the next from ``turn`` on."""
    return min(range(len(loads)), key=lambda k: (loads[k], (k - turn) % len(loads)))


@dataclass(frozen=True)
class Passes:
    """Seconds of a pass by its new tokens, and until the next one begins: of prompts shorter than the mean one, each
    alone; from the mean one to all groups full a straight line."""

    tokens: Array
    latency_s: Array
    next_s: Array
    most: float
    request_s: float

    @classmethod
    def of(cls, pool: Prefill, scenario: Scenario, plan: Plans) -> Passes:
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


@dataclass
class Caches:
    """Of one instance that prefills: its groups' prefix caches, which take its requests in turn; ``room``: blocks of a
    group. Instances that decode keep none (SGLang: pd_disaggregation_hook.py, 0.5.23)."""

    groups: tuple[PrefixCache, ...]
    room: int
    came: int = 0
    place: dict[int, PrefixCache] = field(default_factory=dict)

    def begin(self, i: int, blocks: tuple[int, ...], tokens: int) -> int:
        """Of the ``tokens`` of request ``i``, of which one at least is computed, those that are found."""
        cache = self.place[i] = self.groups[self.came % len(self.groups)]
        self.came += 1
        found = min(cache.found(blocks) * cache.block_tokens, tokens - 1)
        cache.pin(blocks)
        return found

    def end(self, i: int, blocks: tuple[int, ...]) -> None:
        cache = self.place.pop(i)
        cache.release(blocks)
        cache.shrink(self.room - len(cache.pinned))


class Prefilling:
    """One instance; ``load`` prompts that wait or are computed, ``free_s`` when the next pass may begin, ``hits`` by
    request."""

    def __init__(self, passes: Passes, caches: Caches | None = None, blocks: Sequence[Sequence[int]] = ()) -> None:
        self.passes, self.caches, self.blocks = passes, caches, blocks
        self.waiting: deque[list[float]] = deque()  # request, tokens left of it
        self.free_s = 0.0
        self.load = 0
        self.hits: dict[int, int] = {}

    def push(self, i: int, tokens: int) -> None:
        self.waiting.append([i, tokens])
        self.load += 1

    def run(self, clock: float) -> list[tuple[float, int]]:
        """The pass that begins at ``clock``: who is through and when."""
        passes, room, through = self.passes, self.passes.most, []
        while self.waiting and room > 0.0:
            prompt = self.waiting[0]
            i = int(prompt[0])
            if self.caches is not None and i not in self.hits:
                self.hits[i] = self.caches.begin(i, tuple(self.blocks[i]), int(prompt[1]))
                prompt[1] -= self.hits[i]
            taken = min(prompt[1], room)
            prompt[1] -= taken
            room -= taken
            if prompt[1] > 0.0:
                break
            through.append(i)
            self.waiting.popleft()
        if self.caches is not None:
            for i in through:
                self.caches.end(i, tuple(self.blocks[i]))
        tokens = passes.most - room
        done = clock + float(np.interp(tokens, passes.tokens, passes.latency_s)) + passes.request_s
        self.free_s = clock + float(np.interp(tokens, passes.tokens, passes.next_s))
        self.load -= len(through)
        return [(done, i) for i in through]


@dataclass(frozen=True)
class Steps:
    """An instance that decodes: seconds of a step by the sequences inside, seats of each queue, steps until a
    newcomer's own first one begins and until it has its first token, tokens a step."""

    step_s: list[float]
    seats: tuple[int, ...]
    ahead: float
    late: float
    gained: float
    request_s: float

    @classmethod
    def of(cls, scenario: Scenario, plan: Plans) -> Steps:
        engine, seats, groups = scenario.engine, int(plan.batch[0]), int(plan.attn_dp[0])
        knots = KNOTS[: int(np.searchsorted(KNOTS, seats)) + 2]
        table = decode(scenario, plan.take(np.zeros(len(knots), dtype=int)), knots).step_s
        queues = min(groups, seats) if QUEUES.get(engine.name) else 1
        return cls(
            np.interp(np.arange(seats + 1), knots, table).tolist(),
            tuple((seats + k) // queues for k in range(queues)), float(engine.steps_ahead),
            FIRST_STEPS.get(engine.name, 0.0), float(engine.tokens_a_step), engine.request_overhead_s,
        )  # fmt: skip


class Decoding:
    """One instance of ``steps``. ``load`` requests that were sent to it and are not through; ``first_s`` and ``last_s``
    by request; ``turn`` of the queue that is next."""

    def __init__(self, steps: Steps, by_load: bool) -> None:
        self.of, self.by_load = steps, by_load
        self.waiting: list[deque[tuple[int, int]]] = [deque() for _ in steps.seats]
        self.free = list(steps.seats)
        self.loads = [0 for _ in steps.seats]
        self.ends: list[tuple[float, int, int]] = []  # a heap: steps at whose end a sequence leaves, itself, its queue
        self.clock = self.done = 0.0
        self.turn = 0
        self.first_s: dict[int, float] = {}
        self.last_s: dict[int, float] = {}

    @property
    def load(self) -> int:
        return sum(self.loads)

    def queue(self) -> int:
        """Where the next request will wait: given out when it is sent here, before its cache travels."""
        count = len(self.loads)
        found = self.turn
        if self.by_load:
            found = fewest(self.loads, self.turn)
        self.turn = (self.turn + 1) % count
        self.loads[found] += 1
        return found

    def push(self, i: int, queue: int, answer: int) -> None:
        """A cache has arrived, up to which the steps were ``settle``d."""
        self.waiting[queue].append((i, answer))
        self._admit(queue)

    def settle(self, at: float) -> list[float]:
        """Steps up to the end of the one that runs at ``at``, which is no later than ``next_s``: when those that leave
        then have their last tokens."""
        if not self.ends:
            self.clock = max(self.clock, at)
            return []
        seconds = self.of.step_s[len(self.ends)]
        whole = min(max(ceil((at - self.clock) / seconds - SOON), 0), self._whole())
        self.clock += whole * seconds
        self.done += whole
        left = []
        while self.ends and self.ends[0][0] <= self.done + SOON:
            _, i, queue = heappop(self.ends)
            self.last_s[i] = max(self.clock + self.of.request_s, self.first_s[i])
            left.append(self.last_s[i])
            self.free[queue] += 1
            self.loads[queue] -= 1
        for queue in range(len(self.free)):
            self._admit(queue)
        return left

    def next_s(self) -> float:
        """When the next sequence leaves if nobody joins."""
        return self.clock + self._whole() * self.of.step_s[len(self.ends)] if self.ends else inf

    def _whole(self) -> int:
        return max(ceil(self.ends[0][0] - self.done - SOON), 1)

    def _admit(self, queue: int) -> None:
        of, waiting = self.of, self.waiting[queue]
        while waiting and self.free[queue]:
            i, answer = waiting.popleft()
            self.free[queue] -= 1
            wait = of.ahead if self.ends else 0.0
            self.first_s[i] = self.clock + (wait + of.late) * of.step_s[len(self.ends)] + of.request_s
            heappush(self.ends, (self.done + wait + of.late + max(answer - 1, 0) / of.gained, i, queue))
