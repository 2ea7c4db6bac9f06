"""Queues whose answer is known: the simulation meets it as far as its draws allow."""

from __future__ import annotations

import heapq
import math

import numpy as np
import pytest

from costmodel.serving.simulation.balancer import simulate
from costmodel.serving.simulation.replica import Replica
from costmodel.serving.simulation.requests import Requests
from costmodel.serving.simulation.scheduler import Scheduler

PASS_S = 1e-3


class Constant:
    """Every pass takes as long."""

    groups, sp = 1, 1

    def seconds(self, *what: float, stage_rows: int = -1) -> float:
        return PASS_S


def serve(at: np.ndarray, answers: np.ndarray, seats: int) -> np.ndarray:
    """Seconds of each request from its arrival to its last token."""
    requests = Requests(at, np.ones(len(at), dtype=int), answers)
    replica = Replica(Constant(), Scheduler(seats, 1 << 40, 1 << 20), None, 0.0)  # type: ignore[arg-type]
    return simulate([replica], requests, lambda tokens: 0.0).e2e_s


@pytest.mark.parametrize("busy", [0.3, 0.6, 0.8])
def test_one_seat_and_equal_work_is_m_d_1(busy: float) -> None:
    """Wait rho s / (2 (1 - rho)) (Kleinrock, Queueing Systems I, eq. 5.72), and half a pass until the running one ends:
    a request that finds nobody starts at once, others on whole passes, as a server of s seconds would."""
    rng = np.random.default_rng(0)
    answers = 50
    service = answers * PASS_S
    at = np.cumsum(rng.exponential(service / busy, 20_000))
    found = serve(at, np.full(len(at), answers), 1).mean()
    assert found == pytest.approx(service * (1.0 + busy / (2.0 * (1.0 - busy))), rel=0.03)


def servers(at: np.ndarray, service_s: np.ndarray, count: int) -> np.ndarray:
    """Seconds of each customer with ``count`` servers and one queue."""
    free = [0.0] * count
    found = []
    for arrival, seconds in zip(at.tolist(), service_s.tolist(), strict=True):
        start = max(arrival, heapq.heappop(free))
        heapq.heappush(free, start + seconds)
        found.append(start + seconds - arrival)
    return np.array(found)


@pytest.mark.parametrize(("busy", "seats"), [(0.7, 4), (0.85, 16)])
def test_several_seats_are_as_many_servers(busy: float, seats: int) -> None:
    """But for the rest of the running pass, half of one in the mean; in the long run Erlang's C formula (Kleinrock, eq.
    3.40): with exponential answers the wait is C s / (c (1 - rho))."""
    rng = np.random.default_rng(2)
    answers = np.maximum(rng.exponential(400, 40_000).round().astype(int), 1)
    service = answers.mean() * PASS_S
    at = np.cumsum(rng.exponential(service / (seats * busy), len(answers)))
    found = serve(at, answers, seats)
    assert found.mean() == pytest.approx(servers(at, answers * PASS_S, seats).mean() + PASS_S / 2.0, rel=1e-3)
    load = seats * busy
    last = load**seats / math.factorial(seats) / (1.0 - busy)
    delayed = last / (sum(load**k / math.factorial(k) for k in range(seats)) + last)
    assert found.mean() == pytest.approx(service + delayed * service / (seats * (1.0 - busy)), rel=0.03)


def test_littles_law_and_a_full_server() -> None:
    """More than it can serve: throughput is what the seats give, and the queue grows in a straight line."""
    at = np.arange(4000) * 1e-2
    answers = np.full(4000, 100)
    found = serve(at, answers, 8)
    end = (at + found).max()
    assert 4000 / end == pytest.approx(8 / (100 * PASS_S), rel=0.01)
    assert found[3000] / found[1500] == pytest.approx(2.0, rel=0.02)


def impatient(at: np.ndarray, service_s: float, patience_s: float) -> np.ndarray:
    """Seconds of each customer of one server, served in turn; infinite for those that leave, waiting or being
    served."""
    free, found = 0.0, []
    for arrival in at.tolist():
        start, leaves = max(arrival, free), arrival + patience_s
        free = min(start + service_s, max(leaves, free))
        found.append(start + service_s - arrival if start + service_s <= leaves else math.inf)
    return np.array(found)


@pytest.mark.parametrize("busy", [0.9, 1.5, 4.0])
def test_clients_that_give_up_are_dropped(busy: float) -> None:
    """Whoever leaves gives his place to the next, at once or when the running pass ends."""
    answers, service, patience = 2000, 2000 * PASS_S, 7.0
    at = np.cumsum(np.random.default_rng(0).exponential(service / busy, 500))
    requests = Requests(at, np.ones(500, dtype=int), np.full(500, answers), patience_s=patience)
    replica = Replica(Constant(), Scheduler(1, 1 << 40, 1 << 20), None, 0.0)  # type: ignore[arg-type]
    found = simulate([replica], requests, lambda tokens: 0.0)
    real = impatient(at, service, patience)
    through = np.isfinite(real)
    assert (np.isfinite(found.e2e_s) == through).mean() > 0.98 and not through.all()
    assert found.e2e_s[through & np.isfinite(found.e2e_s)].mean() == pytest.approx(real[through].mean(), rel=0.02)
    assert not replica.load and not replica.groups[0].pool.used


@pytest.mark.parametrize(("host", "waits"), [(0.0, 1), (0.3, 1), (1.0, 1), (1.2, 2), (2.5, 3)])
def test_whoever_follows_in_a_closed_loop_comes_when_a_pass_begins(host: float, waits: int) -> None:
    """Two are inside. One that is through is replaced after ``host`` passes of the host's work, while the other decodes
    on: the follower waits for the passes that have begun by then, and has its own."""
    answers = np.array([10, 1000] + [10] * 8)
    requests = Requests(np.zeros(10), np.ones(10, dtype=int), answers)
    replica = Replica(Constant(), Scheduler(2, 1 << 40, 1 << 20), None, 0.0)  # type: ignore[arg-type]
    found = simulate([replica], requests, lambda tokens: host * PASS_S, in_flight=2)
    began = waits + 1 if host else 1  # without any, it comes before the next pass begins
    assert found.ttft_s[2:] / PASS_S == pytest.approx([began] * 8)
