"""The closed loop over two pools."""

import math
from dataclasses import replace

import numpy as np
import pytest
from worked_case import qwen3, worked_case

from costmodel.engine import Engine
from costmodel.lengths import FixedLengths
from costmodel.plans import Plans
from costmodel.serving.split.journey import Link
from costmodel.serving.split.loop import Pool, split_loop

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
    prefill, decode = pools
    short = replace(prefill, scenario=replace(prefill.scenario, waves=10.0))
    first = split_loop(short, decode, LINK, IN_FLIGHT).first_wave_s
    assert not math.isinf(first.max())
    assert (first >= 0).all()
    assert first.max() > 0
