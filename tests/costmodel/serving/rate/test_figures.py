"""Plans at a rate: laws that hold whatever the plan, and the limits of queueing theory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from worked_case import qwen3, refined, worked_case

from costmodel.engine import Engine
from costmodel.evaluate import TRAFFIC_LIMITS, evaluate
from costmodel.lengths import FixedLengths
from costmodel.plans import Plans
from costmodel.scenario import Demand, Limits, Scenario
from costmodel.scores import TRAFFIC
from costmodel.serving.mix import MixedLengths, stratified
from costmodel.serving.traffic import Length

LENGTH = Length("lognormal", 512, 32, 4096, 0.8)
VARIED = MixedLengths(512, 512, 0.0, *stratified(LENGTH, LENGTH))
PLANS = Plans.of(gpus=16, tp=4, ep=8, dp=2, batch=[4, 16, 64, 128, 256])
ENGINES = [Engine("any"), Engine("sglang", prefill_first=1, steps_ahead=1.0, output_reserved=0.3)]


def at(rate: float, **changes: Any) -> Scenario:
    demand = Demand(rate, headroom="limits" in changes)
    parts = {"model": qwen3(layers=24), "lengths": VARIED, "demand": demand, "limits": Limits()}
    return worked_case(**(parts | changes))


@pytest.mark.parametrize("engine", ENGINES, ids=lambda e: e.name)
@pytest.mark.parametrize("rate", [0.5, 20.0, 60.0])
def test_littles_law_and_order(engine: Engine, rate: float) -> None:
    scores = evaluate(at(rate, engine=engine), PLANS)
    stable = np.isfinite(scores.ttft_s)
    assert np.array_equal(stable, scores.capacity_requests_per_s > rate)
    assert np.all(np.isinf(scores.e2e_s_p99[~stable])) and np.all(scores.goodput[~stable] == 0.0)
    taken = scores.take(stable)
    assert np.allclose(taken.requests_in_flight, rate * taken.e2e_s, rtol=1e-9)
    assert np.allclose(taken.output_tokens_per_s, rate * 512)
    for name in ("ttft_s", "tpot_s", "e2e_s"):
        p50, p90, p95, p99 = (getattr(taken, f"{name}_p{p}") for p in (50, 90, 95, 99))
        assert np.all((p50 > 0) & (p50 <= p90) & (p90 <= p95) & (p95 <= p99))
        assert np.all(p99 > getattr(taken, name))
    assert scores.limits == TRAFFIC_LIMITS
    overload = scores.violations[TRAFFIC_LIMITS.index("stable")]
    assert np.array_equal(overload > 0, ~stable) and np.all(np.isfinite(scores.violations))


@pytest.mark.parametrize("engine", ENGINES, ids=lambda e: e.name)
def test_capacity_does_not_hang_on_the_rate_and_latency_rises_to_it(engine: Engine) -> None:
    capacity = evaluate(at(1.0, engine=engine), PLANS).capacity_requests_per_s
    last: Any = 0.0
    some = list(enumerate(capacity))[::2]
    for share in (0.2, 0.7, 0.97):
        one = [evaluate(at(share * c, engine=engine), PLANS.take([i])) for i, c in some]
        assert np.allclose([s.capacity_requests_per_s[0] for s in one], [c for _, c in some], rtol=1e-6)
        now = np.array([s.ttft_s_p99[0] for s in one])
        assert np.all(now > last) and np.all(np.isfinite(now))
        last = now


def test_most_requests_within_the_limits() -> None:
    """Just below it all limits are kept, just above it one breaks."""
    limits = Limits(ttft_s=0.4, ttft_statistic="p99", tpot_s=0.03, goodput=0.97)
    scores = evaluate(at(5.0, limits=limits), PLANS)
    most, carried = scores.max_requests_per_s, scores.capacity_requests_per_s
    assert np.allclose(scores.rate_headroom, most / 5.0 - 1.0)
    assert np.all(most <= carried)
    for i, rate in list(enumerate(most))[::2]:
        below = evaluate(at(0.97 * rate, limits=limits), PLANS.take([i]))
        above = evaluate(at(min(1.03 * rate, 1.01 * carried[i]), limits=limits), PLANS.take([i]))
        assert np.all(below.violations[1:] <= 0.0), i
        assert np.any(above.violations[1:] > 0.0), i


def test_answers_of_one_token_have_no_time_per_output_token_to_limit() -> None:
    """However tight that limit is, all that breaks is the one on the first token."""
    one, first = FixedLengths(512, 1), Limits(ttft_s=0.4, goodput=0.9)
    free = evaluate(at(5.0, lengths=one, limits=first), PLANS)
    tight = evaluate(at(5.0, lengths=one, limits=replace(first, tpot_s=1e-6)), PLANS)
    assert np.array_equal(tight.max_requests_per_s, free.max_requests_per_s)
    assert np.array_equal(tight.goodput, free.goodput) and np.all(tight.goodput > 0.9)


def test_a_row_depends_on_its_own_plan_alone() -> None:
    whole = evaluate(at(20.0), PLANS)
    for index in ([3], [4, 3]):
        part = evaluate(at(20.0), PLANS.take(index))
        for name in ("ttft_s", *TRAFFIC[:-2]):
            assert np.allclose(getattr(part, name), getattr(whole, name)[index], rtol=1e-5), name


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_one_seat_is_an_m_d_1_queue(load: float) -> None:
    """Equal requests, one at a time: Pollaczek and Khinchine's mean wait, load * stay / (2 (1 - load))."""
    plan, lengths = Plans.of(tp=8, ep=8, gpus=8, batch=1), FixedLengths(512, 256)
    idle = evaluate(at(1e-4, lengths=lengths), plan)
    stay = float(idle.e2e_s[0])
    found = evaluate(at(load / stay, lengths=lengths), plan)
    wait = float(found.ttft_s[0] - idle.ttft_s[0])
    assert wait == pytest.approx(load * stay / (2.0 * (1.0 - load)), rel=0.03)
    assert float(found.seat_wait_chance[0]) == pytest.approx(load, rel=0.02)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda e: e.name)
def test_nobody_is_prefilled_beside_the_only_seat(engine: Engine) -> None:
    """However many wait, one token follows the other as if nobody else were there."""
    plan, lengths = (
        Plans.of(tp=8, ep=8, gpus=8, batch=1),
        MixedLengths(3000, 60, 0.0, 6.0 * VARIED.prompts, VARIED.answers),
    )
    idle = evaluate(at(1e-4, lengths=lengths, engine=engine), plan)
    assert idle.capacity_requests_per_s is not None
    busy = evaluate(at(0.8 * float(idle.capacity_requests_per_s[0]), lengths=lengths, engine=engine), plan)
    assert busy.tpot_s == pytest.approx(idle.tpot_s, rel=1e-6)


def test_equal_lengths_in_a_sample_are_fixed_lengths() -> None:
    alike = MixedLengths(2048, 2048, 0.25, np.full(64, 2048.0), np.full(64, 2048.0))
    fixed = worked_case(lengths=FixedLengths(2048, 2048, 0.25))
    for demand in (None, Demand(2.0)):
        one, other = (evaluate(replace(s, demand=demand), refined()) for s in (fixed, replace(fixed, lengths=alike)))
        for name in ("ttft_s", "tpot_s", "burst_ttft_s", "kv_capacity_tokens"):
            assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-9), name


def test_varied_lengths_wait_longer_in_the_closed_loop() -> None:
    """The same means with a spread: prefill is a queue with more variance."""
    plan = Plans.of(gpus=8, tp=8, ep=8, batch=256)
    fixed, varied = (worked_case(lengths=lengths) for lengths in (FixedLengths(512, 512), VARIED))
    assert evaluate(varied, plan).ttft_s[0] > evaluate(fixed, plan).ttft_s[0]


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_more_of_everything_carries_more(factor: float) -> None:
    """Twice the accelerator, twice the capacity and no longer latencies, where nothing but its speed counts."""
    from worked_case import accelerator, cluster

    scenario = at(5.0, accelerator=accelerator(factor, factor, factor), cluster=cluster(factor))
    changed, plain = evaluate(scenario, PLANS), evaluate(at(5.0), PLANS)
    assert np.all((changed.capacity_requests_per_s > plain.capacity_requests_per_s) == (factor > 1.0))


@pytest.mark.parametrize("engine", ENGINES, ids=lambda e: e.name)
def test_answers_of_one_token_have_no_time_per_output_token(engine: Engine) -> None:
    """Half of the requests end with their first token: the others' percentiles are those without them, nearly."""
    prompts, answers = np.full(4096, 512.0), np.tile([1.0, 400.0], 2048)
    mixed = MixedLengths(512, 200, 0.0, prompts, answers)
    scores = evaluate(at(2.0, engine=engine, lengths=mixed), PLANS)
    assert scores.tpot_s_p50 is not None and np.all(scores.tpot_s_p50 > 0) and np.all(np.isfinite(scores.tpot_s_p99))
    alone = evaluate(at(1.0, engine=engine, lengths=FixedLengths(512, 400)), PLANS)
    assert np.allclose(scores.tpot_s_p50, alone.tpot_s_p50, rtol=0.1)
