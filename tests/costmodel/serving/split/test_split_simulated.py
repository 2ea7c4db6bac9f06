"""The simulated split deployment: step by step in simpy, and as the queues of its seats."""

from itertools import pairwise

import numpy as np
import pytest
from dense_split import Request, dense
from hypothesis import given, settings
from hypothesis import strategies as st
from worked_case import qwen3, worked_case

from costmodel.engine import Engine
from costmodel.lengths import FixedLengths
from costmodel.plans import Plans
from costmodel.serving.mix import Mix
from costmodel.serving.rate.load import Load
from costmodel.serving.rate.seats import seats
from costmodel.serving.split.decode import QUEUES
from costmodel.serving.split.instances import Decoding, Passes, Steps
from costmodel.serving.split.journey import Link, cargo, journey
from costmodel.serving.split.prefill import prefill
from costmodel.serving.split.simulated import Deployment, simulate

LINK = Link(2e9, 0.0)  # slow, so that caches queue
P = Plans.of(gpus=4, tp=4, ep=4, batch=1)
ENGINES = ("vllm", "sglang", "trtllm")


def deployment(engine: str, x: int, y: int, seats: int) -> Deployment:
    """Four groups in an instance that decodes."""
    asked = worked_case(
        model=qwen3(2), lengths=FixedLengths(2048, 24),
        engine=Engine(engine, request_overhead_s=0.004, steps_ahead=0.0 if engine == "sglang" else 1.0),
    )  # fmt: skip
    return Deployment(asked, LINK, P, x, Plans.of(gpus=8, tp=2, ep=8, batch=seats), y, asked)


@pytest.mark.parametrize("policy", ["round_robin", "least_loaded"])
@pytest.mark.parametrize(("x", "y", "seats", "in_flight"), [(1, 3, 6, 24), (2, 1, 3, 5)])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_closed_loop_is_the_one_that_is_run_step_by_step(engine, x, y, seats, in_flight, policy):
    """With fewer seats than requests in flight: they wait for prefill, link and seat."""
    d, size = deployment(engine, x, y, seats), 150
    rng = np.random.default_rng(5)
    prompts, answers = rng.integers(200, 4000, size), rng.integers(2, 60, size)
    pool = prefill(d.scenario, P)
    sent, got = cargo(d.scenario, P), cargo(d.scenario, d.decode)
    trip = journey(d.scenario, LINK, sent, got, 0.0, 0.0, pool.passes, pool.own_s(np.zeros(1)))
    carried = float(np.maximum(got.copies * sent.total_bytes / sent.ranks, got.bytes)[0]) / LINK.bytes_per_s
    asked = [Request(int(p), int(a)) for p, a in zip(prompts, answers, strict=True)]
    dense(
        Passes.of(pool, d.scenario, P), Steps.of(d.scenario, d.decode), QUEUES.get(engine) == "least_loaded",
        float(trip.travel_s[0]) / 2048, carried / 2048, int(d.decode.attn_dp[0]), (x, y), asked, in_flight, policy,
    )  # fmt: skip
    found = simulate(d, np.zeros(size), prompts, answers, in_flight=in_flight, policy=policy)
    assert found.ttft_s.max() > 2.0 * found.ttft_s.min()  # somebody waited
    # Of those that join at the end of one step the order is open: a tenth of a step at most.
    for name, values, off in (("arrival_s", "came", 1e-9), ("first_s", "first", 6e-5), ("last_s", "last", 1e-9)):
        np.testing.assert_allclose(getattr(found, name), [getattr(r, values) for r in asked], rtol=1e-9, atol=off)


@settings(max_examples=20)
@given(st.sampled_from(ENGINES), st.integers(1, 3), st.integers(1, 3), st.integers(1, 30), st.integers(0, 99))
def test_a_client_holds_as_many_as_it_may_and_sends_when_one_is_through(engine, x, y, in_flight, seed):
    size, rng = 60, np.random.default_rng(seed)
    found = simulate(
        deployment(engine, x, y, 6), np.zeros(size), rng.integers(1, 4000, size), rng.integers(1, 60, size),
        in_flight=in_flight,
    )  # fmt: skip
    np.testing.assert_allclose(found.arrival_s[in_flight:], np.sort(found.last_s)[: max(size - in_flight, 0)])
    assert (found.arrival_s[:in_flight] == 0.0).all()
    stages = (found.arrival_s, found.prefilled_s, found.arrived_s, found.first_s, found.last_s)
    for before, after in pairwise(stages):
        assert (after >= before).all()


def _waits(queues: int, each: int, by_load: bool, busy: float, varied: float) -> tuple[float, float]:
    """Chance and mean of the waits of one simulated instance whose steps take the same time whoever is inside."""
    size, stay, rng = 30_000, 400, np.random.default_rng(2)
    steps = Steps([1.0] * (queues * each + 1), (each,) * queues, 0.0, 0.0, 1.0, 0.0)
    wide = np.sqrt(np.log1p(varied))
    answers = np.maximum(np.round(stay * np.exp(rng.normal(-(wide**2) / 2.0, wide, size))), 1).astype(int)
    at, instance = np.cumsum(rng.exponential(stay / (busy * queues * each), size)), Decoding(steps, by_load)
    for i, (came, answer) in enumerate(zip(at.tolist(), answers.tolist(), strict=True)):
        while instance.next_s() <= came:
            instance.settle(instance.next_s())
        instance.settle(came)
        instance.push(i, instance.queue(), answer + 1)
    while instance.next_s() < np.inf:
        instance.settle(instance.next_s())
    waited = (np.array([instance.first_s[i] for i in range(size)]) - at)[size // 10 :] / stay
    late = waited > 1.5 / stay  # joining takes up to a step
    return float(np.mean(late)), float(np.mean(np.where(late, waited, 0.0)))


@pytest.mark.parametrize(
    ("engine", "queues", "each"),
    [("trtllm", 1, 16), ("vllm", 4, 4), ("vllm", 8, 2), ("sglang", 4, 4), ("sglang", 8, 2)],
)
def test_waits_for_a_seat_are_those_of_the_engines_queues(engine, queues, each):
    """Four fifths busy: one queue, groups' own ones in turn (gaps of an Erlang distribution), the shortest. Of the last
    the wait is that of Nelson and Philips, the chance that of one queue, which is too high for them."""
    varied, busy, kind = 0.6, 0.8, QUEUES.get(engine)
    chance, mean = _waits(queues, each, kind == "least_loaded", busy, varied)
    apart = queues if kind == "round_robin" else 1
    count, one, rest = np.array([float(queues * each / apart)]), np.ones(1), 0.6
    load = Load.of(busy * count, one / apart, Mix.of(FixedLengths(64, 64)))
    found = seats(load, count, one * (queues / apart), busy * count, one, one, rest, varied * one)
    wide = 0.4 if kind == "least_loaded" else 0.25
    assert float((found.chance * found.wait_s)[0]) == pytest.approx(mean, rel=wide, abs=0.01)
    assert float(found.chance[0]) == pytest.approx(chance, rel=0.35, abs=0.03)


def test_groups_in_turn_wait_longer_than_the_shortest_and_those_longer_than_one_queue():
    waits = [_waits(queues, 32 // queues, by, 0.85, 1.0)[1] for queues, by in ((8, False), (8, True), (1, False))]
    assert waits[0] > 2.0 * waits[1] > 2.0 * waits[2]
