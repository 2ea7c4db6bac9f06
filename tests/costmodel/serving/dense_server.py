"""A server pass by pass in simpy: what ``costmodel.serving.simulation`` must agree with, written without its code.

No jumps, no heaps, no counters carried along: every pass looks at every request. One attention group, one replica.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import simpy


@dataclass
class Request:  # what a client asks for, and what has become of it
    at: float
    prompt: int
    answer: int
    done: int = 0
    given: int = 0
    redo: int = 0  # tokens given before it was preempted
    first: float = 0.0
    last: float = 0.0
    seen_in: int = 0  # the pass in which it arrived

    @property
    def todo(self) -> int:
        return self.prompt + self.redo

    @property
    def cached(self) -> int:
        """Tokens that it holds: what is prefilled, and every token given since but the newest."""
        return self.todo + max(self.given - self.redo - 1, 0)


def dense(table: Any, of: Any, requests: list[Request]) -> list[Request]:
    """Serve ``requests`` (in the order of arrival) with the passes of ``table`` under the rules of ``of``."""
    env = simpy.Environment()
    waiting: list[Request] = []
    inside: list[Request] = []
    wake = [env.event()]
    count = [0]

    def arrivals() -> Generator[Any, Any, None]:
        for request in requests:
            yield env.timeout(max(request.at - env.now, 0.0))
            idle = not waiting and not inside
            request.seen_in = count[0] if idle else count[0] + 1 + of.steps_ahead
            waiting.append(request)
            if not wake[0].triggered:
                wake[0].succeed()

    def held() -> float:
        tokens = sum(r.todo + r.answer if of.reserves else r.cached for r in inside)
        return tokens + (of.block_tokens - 1) / 2.0 * len(inside)

    def fits(request: Request) -> bool:
        needed = request.todo + (request.answer if of.reserves else 0) + of.block_tokens
        return len(inside) < of.seats and held() + needed <= of.cache_tokens

    def server() -> Generator[Any, Any, None]:
        while True:
            if not waiting and not inside:
                wake[0] = env.event()
                yield wake[0]
            while not of.reserves:
                decoding = [r for r in inside if r.done == r.todo]
                if not decoding or of.cache_tokens - held() >= len(decoding):
                    break
                last = decoding[-1]
                inside.remove(last)
                last.redo, last.done, last.seen_in = last.given, 0, count[0]
                waiting.insert(0, last)
            if not inside and waiting[0].seen_in > count[0]:
                for request in waiting:
                    request.seen_in = min(request.seen_in, count[0])
            decoding = [r for r in inside if r.done == r.todo]
            starts = any(r.done < r.todo for r in inside) or (
                bool(waiting) and waiting[0].seen_in <= count[0] and fits(waiting[0])
            )
            decoding = decoding if of.mixed or not starts else []
            room = max(of.budget - len(decoding), of.block_tokens) if starts else 0
            tokens, pairs, complete = 0, 0, []
            candidates = [r for r in inside if r.done < r.todo]
            while tokens < room:
                if candidates:
                    request = candidates.pop(0)
                elif waiting and waiting[0].seen_in <= count[0] and fits(waiting[0]):
                    request = waiting.pop(0)
                    inside.append(request)
                else:
                    break
                size = min(request.todo - request.done, room - tokens)
                pairs += sum(range(request.done + 1, request.done + size + 1))
                tokens, request.done = tokens + size, request.done + size
                if request.done == request.todo:
                    complete.append(request)
            context = sum(r.cached for r in decoding) / max(len(decoding), 1)
            samples = len(decoding) + len(complete)
            yield env.timeout(table.seconds(len(decoding), context, tokens, pairs / max(tokens, 1), samples))
            count[0] += 1
            for request in (*decoding, *complete):
                request.given += 1
                request.first = request.first or env.now
                request.last = env.now
            for request in [r for r in inside if r.given >= r.answer]:
                inside.remove(request)

    env.process(arrivals())
    env.process(server())
    env.run(until=env.timeout(max(r.at for r in requests) + 1e5))
    return requests
