"""A split deployment step by step in simpy: what ``costmodel.serving.split.simulated`` must agree with, written without
its code. No jumps, no heaps: every step looks at every request, every router at every instance."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import simpy

Run = Generator[Any, Any, None]


class Request:
    def __init__(self, prompt: int, answer: int) -> None:
        self.prompt, self.left, self.answer = prompt, float(prompt), answer
        self.came = self.first = self.last = self.end = 0.0


class Instance:
    """Its ``queues`` of requests that wait, those ``inside``, and all that were ``sent`` to each queue and are not
    through."""

    def __init__(self, env: Any, queues: int) -> None:
        self.env, self.queues = env, [[] for _ in range(queues)]
        self.inside: list[tuple[Request, int]] = []
        self.sent = [0] * queues
        self.turn, self.steps, self.free = 0, 0.0, 0.0
        self.wake = env.event()

    def ring(self) -> None:
        if not self.wake.triggered:
            self.wake.succeed()

    def sleep(self) -> Run:
        self.wake = self.env.event()
        yield self.wake


def dense(
    passes: Any, steps: Any, by_load: bool, travel_s: float, busy_s: float, links: int, count: tuple[int, int],
    asked: list[Request], in_flight: int, policy: str,
) -> None:  # fmt: skip
    """Serve ``asked``, ``in_flight`` of them at a time, by instances of ``passes`` and of ``steps``."""
    env = simpy.Environment()
    first = [Instance(env, 1) for _ in range(count[0])]
    second = [Instance(env, len(steps.seats)) for _ in range(count[1])]
    lines = [[simpy.Resource(env, 1) for _ in range(links)] for _ in second]
    turn = {"first": 0, "second": 0, **{f"line{k}": 0 for k in range(count[1])}}
    rest = iter(asked)

    def chosen(name: str, pool: list[Instance]) -> int:
        here = turn[name]
        turn[name] = (here + 1) % len(pool)
        if policy == "round_robin":
            return here
        order = [(here + k) % len(pool) for k in range(len(pool))]
        return min(order, key=lambda k: sum(pool[k].sent))

    def send(request: Request | None) -> None:
        if request is not None:
            request.came = env.now
            instance = first[chosen("first", first)]
            instance.queues[0].append(request)
            instance.sent[0] += 1
            instance.ring()

    def prefills(me: Instance) -> Run:
        while True:
            if not me.queues[0]:
                yield from me.sleep()
            if env.now < me.free:
                yield env.timeout(me.free - env.now)
            room, through = passes.most, []
            while me.queues[0] and room > 0.0:
                request = me.queues[0][0]
                taken = min(request.left, room)
                request.left -= taken
                room -= taken
                if request.left > 0.0:
                    break
                through.append(me.queues[0].pop(0))
            me.sent[0] -= len(through)
            tokens = passes.most - room
            env.process(after(np.interp(tokens, passes.tokens, passes.latency_s) + passes.request_s, through))
            me.free = env.now + float(np.interp(tokens, passes.tokens, passes.next_s))

    def after(seconds: float, through: list[Request]) -> Run:
        yield env.timeout(float(seconds))
        for request in through:
            k = chosen("second", second)
            me, line = second[k], turn[f"line{k}"]
            turn[f"line{k}"] = (line + 1) % links
            order = [(me.turn + j) % len(me.queues) for j in range(len(me.queues))]
            queue = min(order, key=lambda j: me.sent[j]) if by_load else order[0]
            me.turn = (me.turn + 1) % len(me.queues)
            me.sent[queue] += 1
            env.process(travels(request, me, queue, lines[k][line]))

    def travels(request: Request, me: Instance, queue: int, line: Any) -> Run:
        with line.request() as mine:
            yield mine
            env.process(arrives(request, me, queue))
            yield env.timeout(busy_s * request.prompt)

    def arrives(request: Request, me: Instance, queue: int) -> Run:
        yield env.timeout(travel_s * request.prompt)
        me.queues[queue].append(request)
        me.ring()

    def decodes(me: Instance) -> Run:
        while True:
            for queue, waiting in enumerate(me.queues):
                while waiting and sum(1 for _, q in me.inside if q == queue) < steps.seats[queue]:
                    request = waiting.pop(0)
                    late = (steps.ahead if me.inside else 0.0) + steps.late
                    request.first = env.now + late * steps.step_s[len(me.inside)] + steps.request_s
                    request.end = me.steps + late + (request.answer - 1) / steps.gained
                    me.inside.append((request, queue))
            if not me.inside:
                yield from me.sleep()
                continue
            yield env.timeout(steps.step_s[len(me.inside)])
            me.steps += 1
            for request, queue in [one for one in me.inside if one[0].end <= me.steps + 1e-9]:
                me.inside.remove((request, queue))
                me.sent[queue] -= 1
                request.last = env.now + steps.request_s
                env.process(follows(request.last - env.now))

    def follows(seconds: float) -> Run:
        yield env.timeout(seconds)
        send(next(rest, None))

    for _ in range(in_flight):
        send(next(rest, None))
    for one in first:
        env.process(prefills(one))
    for one in second:
        env.process(decodes(one))
    env.run()
