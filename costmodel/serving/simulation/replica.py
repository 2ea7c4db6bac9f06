"""A replica: the passes of its attention groups, one after the other."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from costmodel.serving.simulation.prefix_cache import PrefixCache
from costmodel.serving.simulation.scheduler import NEVER, Group, Pass, Pool, Scheduler, Ticket
from costmodel.serving.step_table import StepTable

POINTS = 4096  # of a history: beyond so many every other one is dropped


@dataclass
class History:
    """Points (seconds, running, waiting, share of the cache taken), thinned as they grow in number."""

    points: list[tuple[float, int, int, float]] = field(default_factory=list)
    every: int = 1
    seen: int = 0

    def due(self) -> bool:
        """Whether the next point is to be kept."""
        self.seen += 1
        if self.seen % self.every:
            return False
        if len(self.points) >= POINTS:
            self.points = self.points[::2]
            self.every *= 2
        return True


def slowest(table: StepTable, passes: Sequence[Pass]) -> float:
    """Seconds of a pass of all groups: as long as the busiest one's, experts working for all."""
    total = 0
    for p in passes:
        total += p.decodes + p.tokens
    first, *others = passes
    longest = table.seconds(*first, total)
    for p in others:
        if p != first:
            longest = max(longest, table.seconds(*p, total))
    return longest


class Replica:
    """``first_s[i]`` and ``last_s[i]``: when the first and the last token of request i were sent. ``clock`` is the end
    of the last pass, ``unsent`` seconds of work that the process that sends tokens had then."""

    def __init__(
        self, table: StepTable, scheduler: Scheduler, prefix_tokens: int | None, stream_token_s: float
    ) -> None:
        self.table, self.of, self.stream_token_s = table, scheduler, stream_token_s
        self.pools = [
            Pool(scheduler, None if prefix_tokens is None else PrefixCache(prefix_tokens)) for _ in range(table.groups)
        ]
        self.groups = [Group(scheduler, pool) for pool in self.pools]
        self.clock = self.unsent = 0.0
        self.load = self.passes = 0
        self.woken = -1  # the pass before which it was idle
        self.first_s: dict[int, float] = {}
        self.last_s: dict[int, float] = {}
        self.hits: dict[int, int] = {}
        self.preempted: dict[int, int] = {}
        self.history = History()
        self.leaving: deque[tuple[float, Group, Ticket]] = deque()  # clients that will give up, the next one first

    def push(
        self, at: float, index: int, prompt: int, answer: int, hit: int, blocks: tuple[int, ...],
        leaves: float = math.inf,
    ) -> bool:  # fmt: skip
        """A request arrives at ``at`` seconds, not before those that came already, and its client ``leaves``, not
        before theirs; False if it can never be served. It falls into the pass that runs and misses those that are
        scheduled already."""
        if prompt + answer > self.of.longest or prompt + answer + self.of.block_tokens > self.of.cache_tokens:
            return False
        if not self.load:
            self.clock, self.woken = max(self.clock, at), self.passes
        # Those that wake a server start together; who comes in its last pass waits for no more than that (``_skip``).
        ready = self.passes + (0 if self.woken == self.passes else self.of.steps_ahead)
        group = self.groups[0] if len(self.groups) == 1 else min(self.groups, key=lambda g: g.load)
        ticket = Ticket(index, prompt, answer, hit, blocks, ready)
        group.waiting.append(ticket)
        self.load += 1
        if leaves < math.inf:
            self.leaving.append((leaves, group, ticket))
        return True

    def advance(self, until: float) -> None:
        """Run passes until one ends at ``until`` or later, or nothing is left."""
        while self.clock < until and self.load:
            self.run(until)

    def run(self, until: float) -> list[tuple[int, float]]:
        """One pass with prompts, or as many as nothing happens in, up to the first that ends at ``until`` or later;
        requests that are through, and when."""
        gone = self._drop() if self.leaving else []
        if not self.load:
            return gone
        self._make_room(self.groups)
        for group in self.groups:
            if group.decoding or group.starts(self.passes):
                break
        else:
            self._skip()
        composed, begun, prompts = self._compose(self.groups)
        passes, seconds = (1, self._seconds(composed)) if prompts else self._jump(composed, until)
        self.clock += seconds
        self.passes += passes
        sent = self.clock + self._send(sum([p.samples for p in composed]), passes, seconds)
        through = self._passed(self.groups, composed, begun, passes, sent)
        return gone + through if gone else through

    def _make_room(self, groups: list[Group]) -> None:
        """Preempt until each of ``groups`` has a block for every sequence that decodes."""
        for group in groups:
            while group.room() < 1:
                ticket = group.preempt(self.passes)
                self.preempted[ticket.index] = self.preempted.get(ticket.index, 0) + 1

    def _compose(self, groups: list[Group]) -> tuple[list[Pass], list[tuple[Group, list[Ticket]]], bool]:
        """The next pass of each group, the prompts that it completes, and whether it has any."""
        composed, prompts = [], False
        begun: list[tuple[Group, list[Ticket]]] = []
        for group in groups:
            a_pass, complete = group.compose(self.passes)
            composed.append(a_pass)
            prompts = prompts or a_pass.tokens > 0
            if complete:
                begun.append((group, complete))
        return composed, begun, prompts

    def _passed(
        self, groups: list[Group], composed: list[Pass], begun: list[tuple[Group, list[Ticket]]], passes: int,
        sent: float,
    ) -> list[tuple[int, float]]:  # fmt: skip
        """What ``passes`` passes change, whose last tokens are ``sent`` then; the requests that are through."""
        through: list[tuple[int, float]] = []
        for group, a_pass in zip(groups, composed, strict=True):
            if a_pass.decodes:
                group.decoded(passes)
        for group, complete in begun:
            for ticket in complete:
                if ticket.index not in self.first_s:
                    self.first_s[ticket.index], self.hits[ticket.index] = sent, ticket.hit
                if group.begin(ticket):
                    through.append((ticket.index, sent))
        for group in groups:
            if group.next_end() <= 0:
                through += [(ticket.index, sent) for ticket in group.ended()]
        if through or begun:
            self.load -= len(through)
            for index, at in through:
                self.last_s[index] = at
            self._note()
        return through

    def _note(self) -> None:
        """The state for the history; looked at no more often than it keeps points."""
        if self.history.due():
            taken, running = 0.0, 0
            for group in self.groups:
                taken = max(taken, group.pool.taken)
                running += group.decoding + len(group.prefilling)
            self.history.points.append((self.clock, running, self.load - running, taken / self.of.cache_tokens))

    def _drop(self) -> list[tuple[int, float]]:
        """Requests whose clients have given up by now."""
        gone = []
        while self.leaving and (self.leaving[0][0] <= self.clock or not self.leaving[0][2].left):
            _, group, ticket = self.leaving.popleft()
            if ticket.left:
                group.drop(ticket)
                self.load -= 1
                gone.append((ticket.index, self.clock))
        return gone

    def _skip(self) -> None:
        """Nobody is left to wait for: the passes that were scheduled ahead are empty."""
        for group in self.groups:
            for ticket in group.waiting:
                ticket.ready = min(ticket.ready, self.passes)

    def _seconds(self, passes: list[Pass]) -> float:
        """Of a pass of all groups."""
        return self.table.seconds(*passes[0]) if len(passes) == 1 else slowest(self.table, passes)

    def _jump(self, now: list[Pass], until: float) -> tuple[int, float]:
        """Passes without prompts, ``now`` the first, until an answer ends, a block is lacking, one ends after ``until``
        or a waiting request may be prefilled; and their seconds. Contexts grow by one a pass, and so, in a straight
        line, do its seconds."""
        most, step = NEVER, self.passes
        for group in self.groups:
            if group.decoding:
                most = min(most, group.next_end(), group.room())
            if group.waiting and group.waiting[0].ready > step:
                most = min(most, group.waiting[0].ready - step)
        first = self._seconds(now)
        if most == 1:
            return 1, first
        slope = (self._seconds(self._decoding(most)) - first) / most
        wanted = min(until, self.leaving[0][0] if self.leaving else until) - self.clock
        if wanted < most * first + slope * most * (most - 1) / 2.0:
            # The least number of passes that take so long: first n + slope n (n - 1) / 2 >= wanted.
            half = first - slope / 2.0
            root = math.sqrt(max(half * half + 2.0 * slope * wanted, 0.0))
            passes = wanted / half if slope <= 0 else (root - half) / slope
            most = min(max(math.ceil(passes - 1e-9), 1), most)
        return most, most * first + slope * most * (most - 1) / 2.0

    def _decoding(self, later: int) -> list[Pass]:
        """The pass of those that decode, ``later`` passes from now."""
        return [Pass(g.decoding, g.context / max(g.decoding, 1) + later, 0, 0.0, g.decoding) for g in self.groups]

    def _send(self, samples: int, passes: int, seconds: float) -> float:
        """Seconds by which the sending of the last pass's tokens ends after the pass, in the mean of its tokens: one
        process writes those of all requests, one after the other."""
        work = samples * self.stream_token_s
        before = max(self.unsent - seconds / passes, 0.0) + (passes - 1) * (work - seconds / passes)
        before = max(before, 0.0)
        self.unsent = before + work
        return before + work / 2.0
