"""The parts of the model at a rate, each against something that is worked out another way."""

from __future__ import annotations

import math

import numpy as np
import pytest
from worked_case import qwen3, worked_case

from costmodel.engine import Engine
from costmodel.lengths import FixedLengths
from costmodel.plans import Plans
from costmodel.serving.mix import Mix, MixedLengths, stratified
from costmodel.serving.rate.crowd import clusters, waiting_chance
from costmodel.serving.rate.distribution import Mixture, Part, collapsed, exponential, sometimes
from costmodel.serving.rate.load import Load, nobody, renewals
from costmodel.serving.rate.overflow import overflow_risk
from costmodel.serving.rate.seats import seats
from costmodel.serving.rate.tables import PassTables
from costmodel.serving.step_table import StepTable
from costmodel.serving.traffic import Length

PROMPT, ANSWER = Length("lognormal", 900, 64, 8000, 0.9), Length("uniform", 300, 100, 500)
VARIED = MixedLengths(900, 300, 0.1, *stratified(PROMPT, ANSWER, 512))


@pytest.mark.parametrize("window", [None, 700])
def test_means_over_requests_are_sums_over_tokens(window: int | None) -> None:
    pairs, read, steps = 0.0, 0.0, 0.0
    for prompt, answer in zip(VARIED.prompts.astype(int), VARIED.answers.astype(int), strict=True):
        positions = np.arange(math.floor(0.1 * prompt), prompt) + 1.0
        pairs += np.minimum(positions, window or np.inf).sum()
        context = prompt + np.arange(answer - 1) + 1.0
        read += np.minimum(context, window or np.inf).sum()
        steps += answer - 1
    assert VARIED.prefill_pairs(window) == pytest.approx(pairs / 512, rel=1e-9)
    assert VARIED.decode_context(window) == pytest.approx(read / steps, rel=2e-3)
    assert Mix.of(VARIED)["seen"] == pytest.approx(VARIED.prefill_pairs() / Mix.of(VARIED)["new"], rel=1e-9)


def test_the_sample_has_the_means_that_were_asked_for() -> None:
    assert VARIED.prompts.mean() == pytest.approx(900, rel=5e-3) and VARIED.answers.mean() == pytest.approx(
        300, rel=1e-3
    )
    mix = Mix.of(VARIED)
    assert mix.new.share @ mix.new.tokens == pytest.approx(mix["new"], rel=1e-9)
    square = mix.new.share @ (mix.new.tokens**2 + mix.new.variance)
    assert square == pytest.approx(mix["new2"], rel=1e-9)


@pytest.mark.parametrize("apart", [0, 1])
def test_tables_are_the_simulation_s(apart: int) -> None:
    """The same passes as ``StepTable`` times, between the knots too."""
    engine = Engine("any", prefill_first=apart, eager_launch_s=2e-5, sequence_overhead_s=1e-5)
    scenario = worked_case(model=qwen3(layers=12), engine=engine, lengths=FixedLengths(1500, 400))
    rng = np.random.default_rng(1)
    for plan in (Plans.of(tp=4, ep=4, gpus=4, batch=64), Plans.of(tp=2, ep=4, gpus=4, batch=64)):
        tables, exact = (
            PassTables.of_plans(scenario, plan, Mix.of(scenario.lengths)),
            StepTable.of(scenario, plan, 200, 4000),
        )
        groups = int(plan.attn_dp[0])
        for _ in range(30):
            d, p = int(rng.integers(1, 150)), int(np.exp(rng.uniform(np.log(32), np.log(7500))))
            wanted = exact.seconds(d, 1700.0, stage_rows=d * groups)
            assert tables.plain_s(np.array([float(d * groups)]))[0] == pytest.approx(wanted, rel=0.03)
            beside = 0 if apart else d
            wanted = exact.seconds(beside, 1700.0, p, 750.5, beside + 1, beside * groups + p)
            found = tables.prompts_s(tables.place(np.array([float(beside)])), np.array([float(p)]))[0]
            assert found == pytest.approx(wanted, rel=0.12), (d, p)


def test_percentiles_of_sums_and_mixtures() -> None:
    """Against two million draws: gamma variables of several shapes, of which one comes seldom."""
    rng = np.random.default_rng(0)
    shapes, scales, chance = np.array([4.0, 1.0, 30.0]), np.array([0.1, 3.0, 0.02]), np.array([0.6, 0.15, 0.25])
    drawn = np.concatenate([rng.gamma(k, s, int(c * 2e6)) for k, s, c in zip(shapes, scales, chance, strict=True)])
    part = Part(shapes * scales, shapes * scales**2, 2.0 * shapes * scales**3)
    mixture = Mixture(chance[:, None], Part(*(np.array(c)[:, None] for c in (part.mean, part.variance, part.third))))
    assert mixture.mean[0] == pytest.approx(drawn.mean(), rel=0.01)
    for percent, value in mixture.percentiles().items():
        assert value[0] == pytest.approx(np.percentile(drawn, percent), rel=0.05), percent
        assert mixture.below(value)[0] == pytest.approx(percent / 100.0, abs=0.03)
    whole = collapsed(mixture.chance, mixture.part)
    assert whole.variance[0] == pytest.approx(drawn.var(), rel=0.02)
    half = sometimes(exponential(2.0), 0.5)
    assert (half.mean, half.variance) == (pytest.approx(1.0), pytest.approx(0.5 * 8.0 - 1.0))


def erlang_c(servers: int, busy: float) -> float:
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = busy * servers * blocked / (n + busy * servers * blocked)
    return blocked / (1.0 - busy * (1.0 - blocked))


@pytest.mark.parametrize("servers", [1, 4, 16, 64])
@pytest.mark.parametrize("busy", [0.5, 0.8, 0.95])
def test_seats_with_stays_of_their_own_are_erlang_s(servers: int, busy: float) -> None:
    """Stays that no number inside makes longer, exponential: M/M/c (Erlang 1917)."""
    count, stay, one = np.array([float(servers)]), np.array([2.0]), np.ones(1)
    load = Load.of(busy * count / stay, one, Mix.of(FixedLengths(64, 64)))
    found = seats(load, count, one, busy * count, stay, stay, 0.5, one)
    assert found.chance[0] == pytest.approx(erlang_c(servers, busy), rel=0.02)
    assert found.wait_s[0] == pytest.approx(2.0 / (servers * (1.0 - busy)), rel=1e-6)


def waits(servers: int, busy: float, gap: float, deviation: float, size: int) -> tuple[float, float]:
    """Chance and mean of the waits for the first free of ``servers`` (Kiefer and Wolfowitz 1955), in 64 queues side by
    side: gaps of a gamma distribution, services evenly spread around 1."""
    rng, free, found = np.random.default_rng(7), np.zeros((64, servers)), []
    gaps = rng.gamma(1.0 / gap, gap, (size, 64)) if gap else np.ones((size, 64))
    work = 1.0 + deviation * math.sqrt(3.0) * rng.uniform(-1.0, 1.0, (size, 64))
    for step in range(size):
        found.append(free[:, 0].copy())
        free[:, 0] += work[step]
        free = np.sort(np.maximum(free - gaps[step][:, None] / (busy * servers), 0.0), axis=1)
    late = np.array(found[size // 4 :])
    return float(np.mean(late > 1e-9)), float(late.mean())


@pytest.mark.parametrize("gap", [0.0, 0.25, 1.0, 4.0])
@pytest.mark.parametrize("servers", [1, 2, 4, 16])
def test_waits_of_gaps_and_services_of_any_spread(servers: int, gap: float) -> None:
    """Few and many seats, bunched and even arrivals, half and three quarters busy."""
    one = np.ones(1)
    for busy in (0.5, 0.75):
        count, share = np.array([float(servers)]), 1.0 - 0.46 / math.sqrt(3.0)  # E(min) of two services
        load = Load.of(busy * count, np.array([gap]), Mix.of(FixedLengths(64, 64)))
        found = seats(load, count, one, busy * count, one, one, share, 0.46**2 * one)
        chance, mean = waits(servers, busy, gap, 0.46, 1200)
        assert float(found.chance[0]) == pytest.approx(chance, rel=0.25, abs=0.04), busy
        assert float((found.chance * found.wait_s)[0]) == pytest.approx(mean, rel=0.25, abs=0.015), busy


@pytest.mark.parametrize("cv", [0.4, 1.0, 2.0])
def test_nobody_comes(cv: float) -> None:
    gaps = np.random.default_rng(3).gamma(1.0 / cv**2, cv**2, 400_000)
    for expected in (0.1, 0.7, 2.0):
        # From a moment at random: the gap that it falls into is met by its length, and left to run for a uniform share.
        empty = np.maximum(gaps - expected, 0.0).sum() / gaps.sum()
        assert float(nobody(expected, np.array(cv**2))) == pytest.approx(empty, rel=0.03, abs=2e-3)


@pytest.mark.parametrize("cv", [0.0, 0.5, 1.0, 2.0])
def test_those_that_come_after_one_of_them(cv: float) -> None:
    rng = np.random.default_rng(3)
    at = np.cumsum(rng.gamma(1.0 / cv**2, cv**2, 100_000) if cv else np.ones(100_000))
    for expected in (0.05, 0.4, 2.5, 6.5):
        counted = np.mean(np.searchsorted(at, at[:-100] + expected, side="right") - np.arange(1, len(at) - 99))
        assert float(renewals(expected, np.array(cv**2))) == pytest.approx(counted, rel=0.04, abs=1e-3)
    if cv != 1.0:
        load = Load.of(np.ones(1), np.array([cv**2]), Mix.of(FixedLengths(64, 64)))
        assert float(load.bunching(np.array([20.0]))[0]) == pytest.approx(
            1.0 + (max(cv**2, 0.01) - 1.0) / 40.0, rel=2e-3
        )


@pytest.mark.parametrize("varied", [0.0, 1.5])
def test_clusters_of_prompts_that_follow_each_other(varied: float) -> None:
    """Busy periods, generation by generation: each prompt takes a time and brings those that come in it."""
    rng, busy = np.random.default_rng(4), 0.5
    size, some = np.ones(200_000), np.ones(200_000, dtype=np.int64)
    while np.any(some):
        # So many prompts together take a time of a gamma distribution.
        long = rng.gamma(some / varied, varied) if varied else some
        some = rng.poisson(busy * long)
        size += some
    assert size.mean() == pytest.approx(1.0 / (1.0 - busy), rel=0.01)
    assert clusters(busy, varied) == pytest.approx(np.mean(size * (size - 1.0)) / size.mean(), rel=0.06)


@pytest.mark.parametrize("count", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("grows", [0.0, 0.2, 1.0])
def test_seats_that_are_all_taken_in_a_birth_and_death_process(count: int, grows: float) -> None:
    """Stays of 1 + ``grows`` n; who finds a seat meets itself besides, so E(min(N + 1, c)) is what a stay is of."""
    for busy in (0.4, 0.7, 0.9):
        rate, n = busy * count / (1.0 + grows * count), np.arange(count + 1.0)
        weight = np.cumprod(np.concatenate([[1.0], rate * (1.0 + grows * n[1:]) / n[1:]]))
        weight[-1] /= 1.0 - busy  # and those that wait
        weight /= weight.sum()
        inside, full = float(n @ weight), float(weight[-1])
        assert inside == pytest.approx(rate * (1.0 + grows * (inside + 1.0 - full)), rel=1e-9)
        wide = 1.0 / (1.0 - rate * grows)
        found = float(waiting_chance(np.array(inside), np.array(float(count)), wide))
        assert found == pytest.approx(full, abs=0.07), busy


def test_overflow_is_the_chance_that_a_random_sum_is_too_large() -> None:
    """A Poisson number of requests, each met in proportion to its stay and at a random moment of it."""
    rng, mix, inside = np.random.default_rng(5), Mix.of(VARIED), 40.0
    prompts, answers = VARIED.prompts, VARIED.answers
    likely = (answers - 1.0) / (answers - 1.0).sum()
    sums = []
    for n in rng.poisson(inside, 20_000):
        met = rng.choice(len(prompts), n, p=likely)
        sums.append((prompts[met] + rng.random(n) * (answers[met] - 1.0)).sum())
    for capacity in np.quantile(sums, [0.5, 0.9, 0.99]):
        wanted = float(np.mean(np.array(sums) > capacity))
        found = overflow_risk(
            mix, np.array([inside]), np.ones(1), np.array([1e4]), np.array([capacity]), reserved=False
        )
        assert found[0] == pytest.approx(wanted, rel=0.15), capacity
    never = overflow_risk(mix, np.array([3.0]), np.ones(1), np.array([4.0]), np.array([5e4]), reserved=False)
    assert never[0] == 0.0
