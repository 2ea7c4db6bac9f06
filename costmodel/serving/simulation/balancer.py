"""Who serves a request, and the simulation as a whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import heappop, heappush
from typing import Literal

import numpy as np

from costmodel.serving.simulation.replica import Replica
from costmodel.serving.simulation.requests import Requests, Served

Watch = Callable[[Sequence[int]], Iterable[int]]  # passes requests on as they are sent, and may show how many
Policy = Literal["round_robin", "least_loaded"]


def simulate(
    replicas: list[Replica],
    requests: Requests,
    request_s: Callable[[int], float],
    policy: Policy = "round_robin",
    in_flight: int | None = None,
    watch: Watch = iter,
) -> Served:
    """Serve ``requests``; ``request_s(prompt tokens)`` is the host's work before a request is scheduled.

    With ``in_flight`` the loop is closed: so many requests of each replica are inside at a time, arrival times do not
    count, and a replica takes the next request of the list when one is through."""
    size = len(requests)
    arrived = np.array(requests.arrival_s, dtype=float)
    prompts, answers = requests.prompt_tokens.tolist(), requests.answer_tokens.tolist()
    cached = [0] * size if requests.cached_tokens is None else requests.cached_tokens.tolist()
    blocks = [()] * size if requests.blocks is None else requests.blocks
    place = np.full(size, -1, dtype=np.int64)

    def push(index: int, number: int, at: float) -> bool:
        place[index], arrived[index] = number, at
        seconds = request_s(prompts[index])
        taken = tuple(blocks[index])
        leaves = at + requests.patience_s
        return replicas[number].push(at + seconds, index, prompts[index], answers[index], cached[index], taken, leaves)

    if in_flight is not None:
        _closed(replicas, iter(watch(range(size))), push, lambda index: request_s(prompts[index]), in_flight)
    else:
        times = requests.arrival_s.tolist()
        for index in watch(range(size)):
            at = times[index]
            number = index % len(replicas)
            if policy == "least_loaded":
                for replica in replicas:
                    replica.advance(at)
                number = min(range(len(replicas)), key=lambda r: replicas[r].load)
            else:
                replicas[number].advance(at + request_s(prompts[index]))
            push(index, number, at)
        for replica in replicas:
            replica.advance(math.inf)
    return _served(replicas, arrived, place)


def _closed(
    replicas: list[Replica], queue: Iterator[int], push: Callable[[int, int, float], bool],
    wait_s: Callable[[int], float], in_flight: int,
) -> None:  # fmt: skip
    """Each replica is a loop of its own; they take requests from one list in the order of their clocks. Whoever follows
    one that is through is on its way for ``wait_s(index)`` seconds while passes go on."""
    due: list[list[tuple[float, int]]] = [[] for _ in replicas]  # heaps: when the host is done with it, the request

    def follow(number: int, at: float) -> None:
        index = next(queue, None)
        if index is not None:
            heappush(due[number], (at + wait_s(index), index))

    for _ in range(in_flight):
        for number in range(len(replicas)):
            follow(number, 0.0)
    while busy := [r for r in range(len(replicas)) if replicas[r].load or due[r]]:
        number = min(busy, key=lambda r: replicas[r].clock)
        replica = replicas[number]
        while due[number] and (due[number][0][0] <= replica.clock or not replica.load):
            at, index = heappop(due[number])
            if not push(index, number, at - wait_s(index)):
                follow(number, at)
        for _, at in replica.run(due[number][0][0] if due[number] else math.inf):
            follow(number, at)


def _served(replicas: list[Replica], arrived: np.ndarray, place: np.ndarray) -> Served:
    size = len(arrived)
    first, last = np.full(size, np.inf), np.full(size, np.inf)
    hits, preempted = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    for replica in replicas:
        for target, found in (
            (first, replica.first_s), (last, replica.last_s), (hits, replica.hits), (preempted, replica.preempted)
        ):  # fmt: skip
            target[list(found)] = list(found.values())
    return Served(
        first - arrived, last - arrived, preempted, hits, place, sum(r.passes for r in replicas),
        max(r.clock for r in replicas), _history([r.history.points for r in replicas]),
    )  # fmt: skip


def _history(points: list[list[tuple[float, int, int, float]]]) -> np.ndarray:
    """All replicas' at the times of all their points: requests added up, the fullest cache."""
    each = [np.array(found, dtype=float) for found in points if found]
    if not each:
        return np.zeros((0, 4))
    times = np.unique(np.concatenate([found[:, 0] for found in each]))
    whole = np.zeros((len(times), 4))
    whole[:, 0] = times
    for found in each:
        place = np.searchsorted(found[:, 0], times, side="right") - 1
        now = np.where((place >= 0)[:, None], found[np.maximum(place, 0), 1:], 0.0)
        whole[:, 1:3] += now[:, :2]
        whole[:, 3] = np.maximum(whole[:, 3], now[:, 2])
    return whole
