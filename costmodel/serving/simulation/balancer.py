"""Who serves a request, and the simulation as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np

from costmodel.serving.simulation.replica import Replica
from costmodel.serving.simulation.requests import Requests, Served

Policy = Literal["round_robin", "least_loaded"]


def simulate(
    replicas: list[Replica],
    requests: Requests,
    request_s: Callable[[int], float],
    policy: Policy = "round_robin",
    in_flight: int | None = None,
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
        return replicas[number].push(at + seconds, index, prompts[index], answers[index], cached[index], taken)

    if in_flight is not None:
        _closed(replicas, size, push, in_flight)
    else:
        for index, at in enumerate(requests.arrival_s.tolist()):
            number = index % len(replicas)
            if policy == "least_loaded":
                for replica in replicas:
                    _drain(replica.advance(at))
                number = min(range(len(replicas)), key=lambda r: replicas[r].load)
            else:
                _drain(replicas[number].advance(at + request_s(prompts[index])))
            push(index, number, at)
        for replica in replicas:
            _drain(replica.advance(float("inf")))
    return _served(replicas, arrived, place)


def _drain(through: Iterator[tuple[int, float]]) -> None:
    for _ in through:
        pass


def _closed(replicas: list[Replica], size: int, push: Callable[[int, int, float], bool], in_flight: int) -> None:
    """Each replica is a loop of its own; they take requests from one list in the order of their clocks."""
    queue = iter(range(size))
    for _ in range(in_flight):
        for number in range(len(replicas)):
            for index in queue:
                if push(index, number, 0.0):
                    break
    while any(replica.load for replica in replicas):
        number = min((r for r in range(len(replicas)) if replicas[r].load), key=lambda r: replicas[r].clock)
        for _, at in replicas[number].advance(float(np.nextafter(replicas[number].clock, np.inf))):
            for index in queue:
                if push(index, number, at):
                    break


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
