"""One attention group: who is admitted, what a pass holds, who has to go."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import NamedTuple

from costmodel.serving.simulation.prefix_cache import PrefixCache

NEVER = 1 << 60


@dataclass(frozen=True)
class Scheduler:
    """How an engine schedules. ``seats`` sequences at most and ``cache_tokens`` of cache a group, in blocks of
    ``block_tokens``; ``budget`` new tokens a pass. ``mixed``: decodes first, prompts in what the budget leaves (vLLM's
    chunked prefill, vllm/v1/core/sched/scheduler.py, 0.33; TensorRT-LLM's in-flight batching); else waiting prompts
    have a pass of their own, and decodes wait (SGLang without ``--enable-mixed-chunk``,
    sglang/srt/managers/scheduler.py get_next_batch_to_run, 0.5.23). ``reserves``: an answer's cache is taken when its
    request is admitted, so nobody is ever preempted; else blocks are taken as tokens come. ``steps_ahead`` passes are
    scheduled while one runs. A request of more than ``longest`` tokens, prompt and answer, is refused."""

    seats: int
    cache_tokens: int
    budget: int
    block_tokens: int = 16
    mixed: bool = True
    reserves: bool = False
    steps_ahead: int = 0
    longest: int = 1 << 60


class Pass(NamedTuple):
    """What a group does in a pass: ``decodes`` with ``context`` in the mean, ``tokens`` of prompts that see ``seen`` in
    the mean, ``samples``."""

    decodes: int
    context: float
    tokens: int
    seen: float
    samples: int


class Ticket:
    """A request with its replica: ``asked`` tokens of prompt; ``prompt`` tokens to prefill (of a preempted one also
    those that it gave) of which
    ``done`` are, the first ``hit`` of them found; ``left`` tokens to give and ``given`` ones; ``own`` tokens of cache
    that are nobody else's; ``ready`` from this pass on; ``began`` decoding after so many decode passes, or -1."""

    __slots__ = ("asked", "began", "blocks", "done", "given", "hit", "index", "left", "own", "prompt", "ready")

    def __init__(self, index: int, prompt: int, answer: int, hit: int, blocks: Sequence[int], ready: int) -> None:
        self.index, self.prompt, self.left, self.hit, self.blocks, self.ready = (
            index, prompt, answer, hit, blocks, ready,
        )  # fmt: skip
        self.asked = prompt
        self.done = self.given = self.own = 0
        self.began = -1


class Pool:
    """The cache of an attention group, which all its micro-batches share. ``used`` tokens in no block of ``prefixes``,
    ``shared`` pinned blocks of it, ``running`` sequences, of which ``decoding`` decode; ``full`` tokens in all."""

    __slots__ = ("decoding", "full", "half", "prefixes", "running", "shared", "used")

    def __init__(self, scheduler: Scheduler, prefixes: PrefixCache | None) -> None:
        self.full, self.prefixes = scheduler.cache_tokens, prefixes
        self.half = (scheduler.block_tokens - 1) / 2.0  # each sequence's last block is half full
        self.used = self.shared = self.running = self.decoding = 0

    @property
    def taken(self) -> float:
        """Tokens of cache in use."""
        if self.prefixes is None:
            return self.used + self.half * self.running
        return self.used + self.shared * self.prefixes.block_tokens + self.half * self.running

    def shrink(self) -> None:
        """Evict what the others leave no room for."""
        if self.prefixes is not None:
            self.prefixes.shrink(int((self.full - self.taken) // self.prefixes.block_tokens))


class Group:
    """The state of a group between passes. ``decoding`` sequences with ``context`` cached tokens in all after ``steps``
    decode passes; ``prefilling`` in the order of admission; ``waiting`` outside."""

    def __init__(self, scheduler: Scheduler, pool: Pool) -> None:
        self.of, self.pool, self.prefixes = scheduler, pool, pool.prefixes
        self.decoding = self.context = self.steps = 0
        self.ends: list[
            tuple[int, int, int, Ticket]
        ] = []  # the decode pass after which it is through, index, ``began``
        self.inside: dict[Ticket, None] = {}  # that decode, in the order in which they began
        self.prefilling: deque[Ticket] = deque()
        self.waiting: deque[Ticket] = deque()

    @property
    def load(self) -> int:
        """Requests inside and waiting."""
        return self.decoding + len(self.prefilling) + len(self.waiting)

    def starts(self, step: int) -> bool:
        """Whether some prompt can be prefilled in pass ``step``."""
        return bool(self.prefilling) or self._next_fits(step)

    def _next_fits(self, step: int) -> bool:
        if not self.waiting or self.decoding + len(self.prefilling) >= self.of.seats:
            return False
        ticket = self.waiting[0]
        if ticket.ready > step:
            return False
        new = ticket.prompt - ticket.hit + (ticket.left if self.of.reserves else 0)
        if self.prefixes is not None and ticket.blocks:
            new += ticket.hit - self.prefixes.in_use(ticket.blocks) * self.prefixes.block_tokens
        return self.pool.taken + new + self.of.block_tokens <= self.of.cache_tokens

    def _found(self, ticket: Ticket) -> int:
        """Tokens of its prompt that need not be prefilled; the last one always is."""
        if self.prefixes is None or not ticket.blocks:
            return min(ticket.hit, ticket.prompt - 1)
        return min(self.prefixes.found(ticket.blocks) * self.prefixes.block_tokens, ticket.prompt - 1)

    def _admit(self) -> Ticket:
        ticket = self.waiting.popleft()
        ticket.hit = ticket.done = self._found(ticket)
        ticket.own = ticket.prompt - ticket.hit + (ticket.left if self.of.reserves else 0)
        if self.prefixes is not None and ticket.blocks:
            ticket.own += ticket.hit - len(ticket.blocks) * self.prefixes.block_tokens
            self.pool.shared += self.prefixes.pin(ticket.blocks)
        self.pool.used += ticket.own
        self.pool.running += 1
        self.prefilling.append(ticket)
        self.pool.shrink()
        return ticket

    def compose(self, step: int) -> tuple[Pass, list[Ticket]]:
        """The next pass, and the requests whose prompts it completes."""
        starts = self.starts(step)
        decodes = self.decoding if self.of.mixed or not starts else 0
        context = self.context / decodes if decodes else 0.0
        if not starts:
            return Pass(decodes, context, 0, 0.0, decodes), []
        room = max(self.of.budget - decodes, self.of.block_tokens)
        tokens, pairs = 0, 0.0
        complete: list[Ticket] = []
        queue = iter(tuple(self.prefilling))
        while tokens < room:
            ticket = next(queue, None)
            if ticket is None:
                if not self._next_fits(step):
                    break
                ticket = self._admit()
            size = min(ticket.prompt - ticket.done, room - tokens)
            pairs += size * (ticket.done + (size + 1) / 2.0)
            tokens += size
            ticket.done += size
            if ticket.done == ticket.prompt:
                complete.append(ticket)
        return Pass(decodes, context, tokens, pairs / tokens, decodes + len(complete)), complete

    def decoded(self, passes: int) -> None:
        """Everybody that decodes gave ``passes`` tokens."""
        self.steps += passes
        self.context += passes * self.decoding
        if not self.of.reserves:
            self.pool.used += passes * self.decoding
        if self.prefixes is not None:
            self.pool.shrink()

    def begin(self, ticket: Ticket) -> bool:
        """Its prompt is prefilled and a token given; True where that was the last."""
        self.prefilling.remove(ticket)
        ticket.left -= 1
        ticket.given += 1
        if ticket.left <= 0:
            self._free(ticket, 0)
            return True
        ticket.began = self.steps
        self.decoding += 1
        self.pool.decoding += 1
        self.context += ticket.prompt
        heappush(self.ends, (self.steps + ticket.left, ticket.index, ticket.began, ticket))
        self.inside[ticket] = None
        return False

    def next_end(self) -> int:
        """Decode passes until the next answer is complete."""
        while self.ends and self.ends[0][3].began != self.ends[0][2]:
            heappop(self.ends)  # it was preempted
        return self.ends[0][0] - self.steps if self.ends else NEVER

    def ended(self) -> list[Ticket]:
        """Those whose last token was given in the pass before."""
        found = []
        while self.next_end() <= 0:
            ticket = heappop(self.ends)[3]
            self._out(ticket)
            found.append(ticket)
        return found

    def _out(self, ticket: Ticket) -> None:
        """It decodes no longer."""
        written = self.steps - ticket.began
        del self.inside[ticket]
        self.decoding -= 1
        self.pool.decoding -= 1
        self.context -= ticket.prompt + written
        ticket.given += written
        ticket.left -= written
        ticket.began = -1
        self._free(ticket, written)

    def _free(self, ticket: Ticket, written: int) -> None:
        self.pool.used -= ticket.own + (0 if self.of.reserves else written)
        self.pool.running -= 1
        if self.prefixes is not None and ticket.blocks:
            self.pool.shared -= self.prefixes.release(ticket.blocks)

    def room(self) -> int:
        """Decode passes until a block is lacking."""
        if self.of.reserves or not self.decoding:
            return NEVER
        return int((self.of.cache_tokens - self.pool.taken) // self.pool.decoding)

    def drop(self, ticket: Ticket) -> None:
        """Its client gave up: wherever it is, it is no longer."""
        if ticket in self.inside:
            self._out(ticket)
        elif ticket in self.prefilling:
            self.prefilling.remove(ticket)
            self._free(ticket, 0)
        else:
            self.waiting.remove(ticket)
        ticket.left = 0

    def preempt(self, step: int) -> Ticket:
        """The last to come goes back to the head of the queue; what it had is computed again (vLLM's default)."""
        ticket = next(reversed(self.inside))
        self._out(ticket)
        ticket.prompt = ticket.asked + ticket.given
        ticket.ready = step
        self.waiting.appendleft(ticket)
        return ticket
