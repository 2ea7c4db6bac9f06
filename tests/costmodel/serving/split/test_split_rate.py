"""Split plans at a rate: the formulas against the same deployment request by request."""

from dataclasses import replace

import numpy as np
import pytest
from worked_case import qwen3, worked_case

from costmodel.engine import Engine
from costmodel.lengths import FixedLengths
from costmodel.plans import Plans
from costmodel.scenario import Demand
from costmodel.serving.mix import MixedLengths, stratified
from costmodel.serving.split.at_rate import Pair, figures
from costmodel.serving.split.journey import Link, cargo
from costmodel.serving.split.prefill import prefill
from costmodel.serving.split.rate import DecodeRate, PrefillRate
from costmodel.serving.split.simulated import Deployment, simulate
from costmodel.serving.traffic import Length, arrivals

P, D = Plans.of(gpus=4, tp=4, ep=4, batch=1), Plans.of(gpus=8, tp=4, ep=8, batch=48)
REQUESTS = 2500
X, Y = 2, 3


def scenario(lengths, engine="any", link_bytes=5e10):
    found = worked_case(model=qwen3(12), lengths=lengths, engine=Engine(engine, request_overhead_s=0.004))
    return found, Link(link_bytes, 1e-5)


def pair_of(asked, link, decoding=None, first=P, second=D):
    decoding = decoding or asked
    return Pair(
        asked, link, PrefillRate.of(asked, first), np.array([float(X)]), cargo(asked, first), np.array([1.0]),
        DecodeRate.of_plans(decoding, second), np.array([float(Y)]), cargo(decoding, second),
    )  # fmt: skip


def mixed():
    prompt, answer = Length("uniform", 2048, 512, 3584), Length("uniform", 256, 128, 384)
    return MixedLengths(2048, 256, 0.0, *stratified(prompt, answer)), prompt, answer


def simulated(asked, link, rate, cv, prompt=None, answer=None, first=P, second=D, requests=REQUESTS):
    rng = np.random.default_rng(3)
    lengths = asked.lengths
    new = np.full(requests, lengths.isl) if prompt is None else prompt.draw(requests, rng)
    answers = np.full(requests, lengths.osl) if answer is None else answer.draw(requests, rng)
    at = arrivals("poisson" if cv == 1.0 else "gamma", rate, cv, requests, rng)
    ends = slice(requests // 10, -requests // 10)
    found = simulate(Deployment(asked, link, first, X, second, Y, asked), at, new, answers)
    return [v[ends] for v in (found.ttft_s, found.tpot_s, found.e2e_s)]


@pytest.mark.parametrize(
    ("engine", "share", "cv", "varied", "first"),
    [
        ("vllm", 0.3, 1.0, False, P), ("sglang", 0.7, 1.0, True, P), ("vllm", 0.6, 2.0, False, P),
        ("vllm", 0.7, 1.0, False, Plans.of(gpus=8, tp=4, ep=4, pp=2, batch=1)),
    ],
)  # fmt: skip
def test_against_simulation(engine, share, cv, varied, first):
    lengths, prompt, answer = mixed() if varied else (FixedLengths(2048, 256), None, None)
    asked, link = scenario(lengths, engine)
    pair = pair_of(asked, link, first=first)
    rate = share * float(pair.capacity_per_s[0])
    told = figures(pair, Demand(rate, cv, headroom=False), asked.limits)
    found = simulated(asked, link, rate, cv, prompt, answer, first)
    for values, name, mean, tail in zip(found, ("ttft_s", "tpot_s", "e2e_s"), (0.2, 0.06, 0.06), (0.25, 0.2, 0.2),
                                        strict=True):  # fmt: skip
        assert told[name][0] == pytest.approx(values.mean(), rel=mean)
        assert told[f"{name}_p99"][0] == pytest.approx(np.percentile(values, 99), rel=tail)


@pytest.mark.parametrize("engine", ["vllm", "sglang", "trtllm"])
def test_answers_of_many_lengths_wait_for_the_seats_of_the_engines_queues(engine):
    """Log-normal ones at 85 % of the seats, of which each of eight groups has four. Among groups in turn TTFT is ten
    times that of one queue. Where the shortest is taken, the chance to wait is overestimated (docs/split.md)."""
    answer = Length("lognormal", 256, 1, 4096, 0.8)
    asked, link = scenario(
        MixedLengths(2048, 256, 0.0, *stratified(Length("uniform", 2048, 2047, 2049), answer)), engine
    )
    decoding = Plans.of(gpus=8, tp=1, ep=8, batch=32)
    pair = pair_of(asked, link, second=decoding)
    rate = 0.85 * float(pair.capacity_per_s[0])
    told = figures(pair, Demand(rate, 1.0, headroom=False), asked.limits)
    found = simulated(asked, link, rate, 1.0, None, answer, second=decoding, requests=12000)
    assert told["ttft_s"][0] == pytest.approx(found[0].mean(), rel=0.5 if engine == "vllm" else 0.2)
    assert told["ttft_s_p99"][0] == pytest.approx(np.percentile(found[0], 99), rel=0.3)


@pytest.mark.parametrize("tokens", [16, 200, 2048])
def test_a_prompt_alone_takes_what_its_own_length_does(tokens):
    """Passes are timed for prompts of 2,048 tokens; shorter ones in an idle deployment are within a few per cent."""
    asked, link = scenario(FixedLengths(2048, 256))
    alone = simulate(Deployment(asked, link, P, X, D, Y, asked), np.zeros(1), np.array([tokens]), np.array([2]))
    own = prefill(replace(asked, lengths=FixedLengths(tokens, 1)), P)
    mean = simulate(Deployment(asked, link, P, X, D, Y, asked), np.zeros(1), np.array([2048]), np.array([2]))
    latency = link.latency_s * asked.model.layer_count
    journeys = [float(one.arrived_s[0] - one.prefilled_s[0]) - latency for one in (alone, mean)]
    assert journeys[0] == pytest.approx(journeys[1] * tokens / 2048)
    assert alone.prefilled_s[0] == pytest.approx(own.one_s[0] + asked.engine.request_overhead_s, rel=0.1)


@pytest.mark.parametrize("ranks", [1, 2])
def test_an_idle_deployment_is_the_sum_of_its_parts(ranks):
    asked, link = scenario(FixedLengths(2048, 256), link_bytes=1e9)
    decoding = replace(asked, decode_ranks=ranks)
    pair = pair_of(asked, link, decoding)
    told = figures(pair, Demand(1e-6, 1.0, headroom=False), asked.limits)
    alone = simulate(
        Deployment(asked, link, P, X, D, Y, decoding), np.arange(6) * 1e4, np.full(6, 2048), np.full(6, 256)
    )
    ttft, tpot = alone.ttft_s[0], alone.tpot_s[0]
    assert told["tpot_s"][0] == pytest.approx(tpot, rel=1e-2)
    assert told["ttft_s"][0] == pytest.approx(ttft, rel=1e-2)


def test_more_requests_never_wait_less_and_none_keeps_up_beyond_the_capacity():
    asked, link = scenario(FixedLengths(2048, 256))
    limits = replace(asked.limits, ttft_s=0.6, ttft_statistic="p99", tpot_s=0.05)
    pair = pair_of(asked, link)
    capacity = float(pair.capacity_per_s[0])
    rates = np.linspace(0.05, 1.1, 30) * capacity
    told = [figures(pair, Demand(rate, 1.0, headroom=False), limits) for rate in rates]
    for name in ("ttft_s", "tpot_s", "e2e_s", "requests_in_flight"):
        values = np.array([t[name][0] for t in told])
        assert (values[1:] >= values[:-1] * (1.0 - 1e-9)).all()
        assert np.isinf(values[rates > capacity]).all()
    full = figures(pair, Demand(0.3 * capacity, 1.0), limits)
    most = float(full["max_requests_per_s"][0])
    assert 0.0 < most <= capacity
    under, over = (figures(pair, Demand(most * f, 1.0, headroom=False), limits)["ttft_s_p99"][0] for f in (0.97, 1.03))
    assert under <= 0.6 < over or most == pytest.approx(capacity, rel=0.01)


def test_a_link_that_cannot_carry_the_caches_is_the_capacity():
    asked, link = scenario(FixedLengths(2048, 256), link_bytes=5e7)
    slow = pair_of(asked, link)
    bytes_each = float(np.maximum(slow.got.copies * slow.sent.total_bytes / slow.sent.ranks / X, slow.got.bytes / Y
                                  / D.attn_dp)[0])  # fmt: skip
    assert slow.capacity_per_s[0] == pytest.approx(5e7 / bytes_each, rel=1e-9)


def test_prefix_caches_of_the_prefill_pool_find_what_came_before():
    """Twelve conversations of four turns, apart in time: with room each turn finds the one before where its instance
    had it (two turns later, of two instances in turn); without any room nothing; TTFT falls by what is found."""
    asked, link = scenario(FixedLengths(2048, 256))
    turns, block = 4, 16
    tokens = np.tile(np.arange(1, turns + 1) * 512, 12)
    blocks = [tuple(range(c * 1000, c * 1000 + t * 512 // block)) for c in range(12) for t in range(1, turns + 1)]
    deployment = Deployment(asked, link, P, X, D, Y, asked)
    sent = (np.arange(len(tokens)) * 100.0, tokens, np.full(len(tokens), 8))
    found, nothing = simulate(deployment, *sent, None, blocks, block), simulate(deployment, *sent)
    expected = np.tile([0, 0, 512, 1024], 12)
    np.testing.assert_array_equal(found.hits, expected)
    assert (nothing.hits == 0).all()
    assert (found.ttft_s[expected > 0] < nothing.ttft_s[expected > 0]).all()
    np.testing.assert_allclose(found.ttft_s[expected == 0], nothing.ttft_s[expected == 0])
    full = replace(asked, limits=replace(asked.limits, memory_fraction=0.01))  # no room beside the weights
    assert (simulate(replace(deployment, scenario=full), *sent, None, blocks, block).hits == 0).all()
