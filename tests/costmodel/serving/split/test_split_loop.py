"""The closed loop over two pools."""

import heapq
from dataclasses import replace

import numpy as np
import pytest
from worked_case import qwen3, worked_case

from costmodel.engine import Engine
from costmodel.lengths import FixedLengths
from costmodel.plans import Plans
from costmodel.serving.split.journey import Link
from costmodel.serving.split.loop import Pool, split_loop
from costmodel.serving.split.prefill import prefill
from costmodel.serving.split.simulated import Deployment, simulate

LINK = Link(4e10, 1e-5)
IN_FLIGHT = np.array([1.0, 2.0, 8.0, 64.0, 512.0, 4096.0])


@pytest.fixture(scope="module")
def pools():
    asked = worked_case(model=qwen3(12), lengths=FixedLengths(2048, 256), engine=Engine("any"))
    prefill, decode = Plans.of(gpus=8, tp=8, ep=8), Plans.of(gpus=8, tp=2, ep=8)
    return Pool(asked, prefill, 2), Pool(asked, decode, 3)


@pytest.fixture(scope="module")
def found(pools):
    return split_loop(*pools, LINK, IN_FLIGHT)


def test_requests_in_flight_are_their_rate_times_their_life(found):
    life = found.ttft_s + 255 * found.tpot_s
    np.testing.assert_allclose(found.requests_per_s * life, IN_FLIGHT, rtol=1e-9)


def test_a_request_alone_waits_for_nobody(found):
    assert found.queue_s[0] == 0.0
    assert found.admission_s[0] == 0.0
    assert found.ttft_s[0] == pytest.approx(found.own_s[0] + found.transfer_s[0] + found.join_s[0])


def test_more_in_flight_serve_more_and_wait_longer(found):
    assert (np.diff(found.requests_per_s) > 0).all()
    assert (np.diff(found.ttft_s) > 0).all()
    assert (np.diff(found.tpot_s) >= 0).all()


def test_times_are_those_of_twice_the_instances_with_twice_the_requests(pools, found):
    twice = [replace(pool, workers=2 * pool.workers) for pool in pools]
    more = split_loop(*twice, LINK, 2.0 * IN_FLIGHT)
    # One request in each half is not one request in all: it sees others there.
    np.testing.assert_allclose(more.tpot_s[2:], found.tpot_s[2:], rtol=0.02)
    np.testing.assert_allclose(more.requests_per_s[2:], 2.0 * found.requests_per_s[2:], rtol=0.02)


def test_a_decode_pool_without_room_leaves_requests_outside(pools):
    prefill, decode = pools
    tight = split_loop(prefill, decode, LINK, IN_FLIGHT, most=16.0)
    full = IN_FLIGHT > 3 * 16 + 4
    assert (tight.admission_s[full] > 0).all()
    np.testing.assert_allclose(tight.decoding[full], 16.0, rtol=1e-6)
    assert tight.requests_per_s[-1] == pytest.approx(tight.requests_per_s[-2], rel=0.01)


def test_a_pool_that_cannot_prefill_more_holds_the_rate(pools):
    prefill, decode = pools
    scarce = split_loop(replace(prefill, workers=1), replace(decode, workers=40), LINK, IN_FLIGHT)
    plenty = split_loop(replace(prefill, workers=40), replace(decode, workers=40), LINK, IN_FLIGHT)
    assert scarce.queue_s[-1] > 10.0 * plenty.queue_s[-1]
    assert scarce.requests_per_s[-1] < 0.5 * plenty.requests_per_s[-1]


def test_a_burst_at_the_start_is_in_the_mean_of_a_finite_run(pools):
    """Where nobody waits later it makes the mean longer, where all queue for ever shorter: half as many are before one
    at the start."""
    prefill, decode = pools
    short = replace(prefill, scenario=replace(prefill.scenario, waves=10.0))
    first = split_loop(short, decode, LINK, IN_FLIGHT).first_wave_s
    assert (first[:-1] > 0).all()
    full = split_loop(replace(short, workers=1), decode, LINK, IN_FLIGHT)
    assert full.first_wave_s[-1] == pytest.approx(-0.05 * full.queue_s[-1], rel=0.1)


def _bunched_client(pool, clients: int, decode_s: float, spread: float) -> float:
    """Mean seconds to be prefilled: ten requests of each client, the next as soon as one ends, lengths drawn."""
    random = np.random.default_rng(3)
    one, slope = float(pool.one_s[0]), float(pool.slope_s[0])
    most, free = float(pool.prompts[0]), 0.0
    arrivals, left, taken = [(0.0, i) for i in range(clients)], [10] * clients, []
    heapq.heapify(arrivals)
    while arrivals:
        free = max(free, arrivals[0][0])
        inside = []
        while arrivals and arrivals[0][0] <= free and len(inside) < most:
            inside.append(heapq.heappop(arrivals))
        free += one + slope * (len(inside) - 1.0)
        for came, i in inside:
            taken.append(free - came)
            left[i] -= 1
            if left[i]:
                end = free + decode_s * random.uniform(1.0 - spread / 2.0, 1.0 + spread / 2.0)
                heapq.heappush(arrivals, (end, i))
    return float(np.mean(taken))


def _in_front(answer: int, clients: int) -> tuple[Pool, Pool, np.ndarray]:
    """One prefill instance and decode instances with room for all."""
    asked = worked_case(model=qwen3(12), lengths=FixedLengths(2048, answer), engine=Engine("any"))
    asked = replace(asked, waves=10.0, engine=replace(asked.engine, request_overhead_s=0.0, prompt_token_s=0.0))
    prefills, decodes = Plans.of(gpus=8, tp=8, ep=8), Plans.of(gpus=8, tp=2, ep=8)
    return Pool(asked, prefills, 1), Pool(asked, decodes, 8), np.array([float(clients)])


@pytest.mark.parametrize("clients", [4, 32, 128])
def test_requests_that_began_together_queue_together(clients):
    first, second, in_flight = _in_front(2048, clients)
    even = split_loop(first, second, LINK, in_flight)
    found = split_loop(first, second, LINK, in_flight, spread=0.2)
    decode_s = 2047 * float(found.tpot_s[0])
    client = _bunched_client(prefill(first.scenario, first.plan), clients, decode_s, 0.2)
    told = (found.ttft_s - found.transfer_s - found.join_s)[0]
    assert told == pytest.approx(client, rel=0.1)
    assert told > (even.ttft_s - even.transfer_s - even.join_s)[0]


@pytest.mark.parametrize("engine", ["vllm", "sglang", "trtllm"])
@pytest.mark.parametrize(
    ("x", "y", "clients", "seats"), [(1, 2, 24, 64), (2, 1, 48, 24), (2, 1, 96, 128), (1, 1, 256, 64)]
)
def test_the_formula_is_the_simulated_client(engine, x, y, clients, seats):
    """Light and full prefill pools, seats for all and for few: ten waves whose lengths differ by a fifth. Where seats
    do not hold requests back, the client's prompts keep the even distances of its first burst, and wait less."""
    asked = worked_case(model=qwen3(12), lengths=FixedLengths(2048, 256), engine=Engine(engine))
    prefills, decodes = Plans.of(gpus=8, tp=8, ep=8), Plans.of(gpus=8, tp=2, ep=8, batch=seats)
    first, second = Pool(replace(asked, waves=10.0), prefills, x), Pool(asked, decodes, y)
    told = split_loop(first, second, LINK, np.array([float(clients)]), float(seats), 0.2)
    rng, size = np.random.default_rng(1), 10 * clients
    sent = [np.round(mean * rng.uniform(0.9, 1.1, size)).astype(int) for mean in (2048, 256)]
    served = simulate(Deployment(asked, LINK, prefills, x, decodes, y, asked), np.zeros(size), *sent, in_flight=clients)
    longer = told.ttft_s[0] / served.ttft_s.mean()
    assert 0.87 < longer < (1.13 if y * seats < clients else 1.6)
    assert told.tpot_s[0] == pytest.approx(served.tpot_s.mean(), rel=0.03)


def test_more_seats_never_make_the_first_token_wait_longer(pools):
    waits = [split_loop(*pools, LINK, IN_FLIGHT, most=seats).admission_s for seats in (1.0, 4.0, 16.0, 64.0, 256.0)]
    assert (np.diff(waits, axis=0) <= 1e-9).all()
    assert (waits[0] > 0).any()
