"""What each plan's own cache finds: against the simulator's cache, and what must hold whatever the trace."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from worked_case import qwen3, worked_case

from costmodel.engine import Engine
from costmodel.evaluate import evaluate
from costmodel.plans import Plans
from costmodel.scenario import Demand, Scenario
from costmodel.scores import Scores
from costmodel.serving.mix import MixedLengths
from costmodel.serving.own_hits import of_plan, own_hits
from costmodel.serving.prefix_hits import HitCurve, PrefixTrace
from costmodel.serving.simulation.deployment import serve
from costmodel.serving.simulation.requests import Requests
from costmodel.serving.traffic import arrivals

BLOCK, RATE = 512, 6.0
PLANS = Plans.of(gpus=[8, 16, 16, 8], tp=[8, 8, 4, 4], ep=8, dp=[1, 2, 2, 1], batch=[64, 64, 64, 128])


def growing(count: int = 1500, kinds: int = 300, seed: int = 3) -> Requests:
    """Conversations in turn, each request the last one's prompt and some blocks more."""
    rng = np.random.default_rng(seed)
    last: list[tuple[int, ...]] = [()] * kinds
    prompts, fresh = [], iter(range(1 << 30))
    for _ in range(count):
        kind = int(rng.integers(kinds))
        prompt = last[kind] + tuple(next(fresh) for _ in range(int(rng.integers(4, 20))))
        last[kind] = prompt if len(prompt) < 60 else ()
        prompts.append(prompt)
    tokens = np.array([len(p) * BLOCK + int(rng.integers(0, BLOCK)) for p in prompts])
    at = arrivals("poisson", RATE, 1.0, count, rng)
    return Requests(at, tokens, rng.integers(50, 150, count), None, prompts, BLOCK)


REQUESTS = growing()


def scenario_of(requests: Requests, *, rate: float | None = RATE) -> Scenario:
    prompts, answers = requests.prompt_tokens.astype(float), requests.answer_tokens.astype(float)
    lengths = MixedLengths(
        round(prompts.mean()), round(answers.mean()), 0.0, prompts, answers,
        None if requests.blocks is None else PrefixTrace(requests),
    )  # fmt: skip
    demand = None if rate is None else Demand(rate, headroom=False)
    return worked_case(model=qwen3(layers=24), lengths=lengths, engine=Engine("any"), demand=demand)


SCENARIO = scenario_of(REQUESTS)


@pytest.fixture(scope="module")
def scores() -> Scores:
    return evaluate(SCENARIO, PLANS)


def test_the_share_is_a_look_up_of_what_is_left(scores: Scores) -> None:
    assert scores.prefix_hit is not None and scores.prefix_capacity_tokens is not None
    assert np.all(scores.prefix_capacity_tokens < scores.kv_capacity_tokens)
    for i, caches in enumerate((PLANS.dp * PLANS.attn_dp).tolist()):
        exact = float(HitCurve.of(REQUESTS, caches).share(scores.prefix_capacity_tokens[i]))
        assert 1.0 - scores.prefix_hit[i] == pytest.approx(1.0 - exact, rel=0.011)


def test_the_simulated_cache_finds_as_much_and_requests_wait_as_long(scores: Scores) -> None:
    assert scores.prefix_hit is not None and scores.capacity_requests_per_s is not None
    assert np.ptp(scores.prefix_hit) > 0.1  # the plans differ
    for i in range(len(PLANS)):
        served = serve(SCENARIO, PLANS.take([i]), REQUESTS)
        found = served.hit_tokens.sum() / REQUESTS.prompt_tokens.sum()
        assert found == pytest.approx(scores.prefix_hit[i], abs=0.02)
        if 0.8 * scores.capacity_requests_per_s[i] > RATE:  # beyond it 1,500 requests say little of the mean
            assert served.ttft_s.mean() == pytest.approx(scores.ttft_s[i], rel=0.1)


def test_replicas_without_affinity_see_their_part(scores: Scores) -> None:
    """Two replicas find less than one of the same cache, and each row hangs on its own plan alone."""
    assert scores.prefix_hit is not None
    assert scores.prefix_hit[1] < scores.prefix_hit[0] - 0.05
    for i in (0, 2):
        alone = evaluate(SCENARIO, PLANS.take([i]))
        for name in ("prefix_hit", "ttft_s_p99", "tpot_s", "prefix_bytes_per_gpu"):
            assert getattr(alone, name)[0] == pytest.approx(getattr(scores, name)[i], rel=1e-9), name
        assert of_plan(SCENARIO, PLANS.take([i])).lengths.prefix_hit == pytest.approx(scores.prefix_hit[i], abs=5e-3)


def test_without_anything_in_common_it_is_a_trace_without_hashes() -> None:
    """No block twice: every figure is that of the same lengths without hashes."""
    fresh = iter(range(1 << 30))
    assert REQUESTS.blocks is not None
    alone = replace(REQUESTS, blocks=[tuple(next(fresh) for _ in prompt) for prompt in REQUESTS.blocks])
    for rate in (RATE, None):
        with_hashes = evaluate(scenario_of(alone, rate=rate), PLANS)
        plain = evaluate(scenario_of(replace(REQUESTS, blocks=None), rate=rate), PLANS)
        assert with_hashes.prefix_hit is not None and not with_hashes.prefix_hit.any()
        assert plain.prefix_hit is None
        for name in ("ttft_s", "tpot_s", "output_tokens_per_s", "memory_bytes_per_gpu"):
            assert np.allclose(getattr(with_hashes, name), getattr(plain, name), rtol=1e-9), name


def test_in_the_closed_loop_what_is_found_need_not_be_prefilled() -> None:
    some = evaluate(scenario_of(REQUESTS, rate=None), PLANS)
    none = evaluate(scenario_of(replace(REQUESTS, blocks=None), rate=None), PLANS)
    assert some.prefix_hit is not None and np.all(some.prefix_hit > 0.02)
    assert np.all(some.output_tokens_per_s > none.output_tokens_per_s)


def test_longer_prompts_need_more_cache_for_the_same_share() -> None:
    longer = replace(SCENARIO, lengths=SCENARIO.lengths.times(prompt=2.0))
    found = own_hits(longer, PLANS).share
    assert np.all(found <= own_hits(SCENARIO, PLANS).share + 1e-9) and found[0] < own_hits(SCENARIO, PLANS).share[0]


def test_what_caches_leave_is_kept_here_and_not_sent() -> None:
    scenario = scenario_of(REQUESTS)
    lengths = scenario.lengths
    assert isinstance(lengths, MixedLengths) and lengths.trace is not None
    left = lengths.left_by(2, 400)
    assert lengths.left_by(2, 400) is left and left.mix is left.mix
    found = np.minimum(lengths.trace.of(2)[0].found(400), lengths.prompts - 1.0)
    anew = replace(lengths, trace=None, found=found, prefix_hit=float(found.sum() / lengths.prompts.sum()))
    assert found.any() and left.mix.moments == anew.mix.moments
    order = np.argsort(lengths.prompts - found, kind="stable")
    assert np.array_equal(left.new_order, order) and np.array_equal(
        anew.times(1.5).new_tokens.argsort(kind="stable"), anew.times(1.5).new_order
    )
    sent = pickle.loads(pickle.dumps(lengths))
    assert set(vars(sent)) == {"isl", "osl", "prefix_hit", "prompts", "answers", "trace", "found"}
