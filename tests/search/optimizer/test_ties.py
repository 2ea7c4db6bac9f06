"""Rounding decides nothing: neither what stands on a front nor what is recommended."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from costmodel.scores import COSTS, FIGURES, Scores
from search.inputs.compose import composed
from search.optimizer.front import pareto_front
from search.optimizer.outcome import Outcome
from search.optimizer.recommend import best_feasible, recommend
from search.optimizer.run import run
from search.optimizer.ties import TIED, less, settled

NOISE = 1e-12
EXPERIMENT = ["+experiment=qwen3_235b", "strategy=exact", "sensitivity=none"]
FLEET = [
    "model=llama_3_1_70b_fp8", "hardware=h200_sxm", "engine=vllm", "workload=in1024_out1024", "objective=cost",
    "limits.min_requests_per_s=50", "limits.ttft_s=2", "limits.tpot_s=0.05", "space.gpus='1:64:1'",
    "space.dp='1:64:1'", "space.pp=1", "space.sp=1", "space.ep=1", "space.batch='16:256:16'", "strategy=exact",
    "sensitivity=none",
]  # fmt: skip


@pytest.fixture(scope="module", params=[EXPERIMENT, FLEET], ids=["worked case", "fleet"])
def outcome(request: pytest.FixtureRequest) -> Outcome:
    return run(composed(request.param))


def noisy(scores: Scores, seed: int) -> Scores:
    """Every figure times a number between 1 - NOISE and 1 + NOISE, one for each plan."""
    draw = np.random.default_rng(seed)

    def off(values: np.ndarray) -> np.ndarray:
        return values * (1.0 + NOISE * draw.uniform(-1.0, 1.0, len(values)))

    known = [name for name in (*FIGURES, *COSTS) if getattr(scores, name) is not None]
    return replace(scores, **{name: off(getattr(scores, name)) for name in known})


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_noise_changes_neither_front_nor_recommendation(outcome: Outcome, seed: int) -> None:
    plans, scores = outcome.plans, noisy(outcome.scores, seed)
    front = pareto_front(outcome.objectives.costs(plans, scores), scores.feasible)
    choice = recommend(plans, scores, outcome.policy, outcome.space.axes, outcome.coverage)
    assert choice is not None and outcome.choice is not None
    assert np.array_equal(np.union1d(front, [choice.recommended]), outcome.front)
    assert choice.recommended == outcome.choice.recommended
    assert choice.runner_up == outcome.choice.runner_up
    assert [r.row for r in choice.relaxed] == [r.row for r in outcome.choice.relaxed]
    assert best_feasible(plans, scores, outcome.policy, outcome.coverage) == choice.recommended


def test_the_fewest_accelerators_among_equals() -> None:
    """Fleets of one replica cost the same a token however many; enough of them carry 50 requests a second."""
    outcome = run(composed(FLEET))
    assert outcome.choice is not None
    cost = outcome.scores.usd_per_million_output_tokens
    assert cost is not None
    best = outcome.choice.recommended
    equal = np.flatnonzero(outcome.scores.feasible & (np.abs(cost / cost[best] - 1.0) < TIED))
    assert len(equal) > 1
    assert outcome.plans.gpus[best] == outcome.plans.gpus[equal].min()


few = arrays(float, st.tuples(st.integers(1, 25), st.just(3)), elements=st.integers(-3, 3).map(float))


@given(few, st.integers(0, 2**32 - 1))
def test_a_front_of_tied_costs_is_that_of_equal_costs(costs: np.ndarray, seed: int) -> None:
    every = np.ones(len(costs), dtype=bool)
    noise = NOISE * np.random.default_rng(seed).uniform(-1.0, 1.0, costs.shape)
    assert np.array_equal(pareto_front(costs * (1.0 + noise), every), pareto_front(costs, every))


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=30))
def test_settled_keeps_order_and_moves_nothing_far(values: list[float]) -> None:
    raw = np.array(values)
    found = settled(raw)
    assert np.all(found <= raw)
    assert np.array_equal(np.argsort(found, kind="stable"), np.lexsort([np.arange(len(raw)), found]))
    for i in range(len(raw)):
        for j in range(len(raw)):
            if found[i] < found[j]:
                assert raw[i] < raw[j]
                assert less(raw[[i]], raw[[j]])[0]
            if raw[i] == raw[j]:
                assert found[i] == found[j]


def test_what_lies_apart_stays_apart() -> None:
    values = np.array([np.inf, 2.0, 1.0, 1.0 + 1e-12, 1.0 + 1e-8, np.inf, 0.0, 1e-300])
    assert settled(values).tolist() == [np.inf, 2.0, 1.0, 1.0, 1.0 + 1e-8, np.inf, 0.0, 1e-300]
