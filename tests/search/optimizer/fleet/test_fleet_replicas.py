"""What a replica carries: at that rate its plan keeps every limit, and at a little more no plan of its size does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from costmodel.evaluate import evaluate
from search.inputs.compose import composed
from search.inputs.config import read_model, read_scenario
from search.inputs.schema import Config
from search.optimizer.fleet.replicas import replicas
from search.optimizer.legal import legal_plans
from search.optimizer.rules.facts import facts_of
from search.optimizer.space import Space

WORDS = [
    "model=qwen3_8b", "hardware=h100_sxm", "engine=vllm", "space.gpus=[1,2]", "space.dp=1", "space.pp=1", "space.sp=1",
    "space.tp=[1,2]", "space.ep=1", "space.batch=[1,8,32,64,128,256]", "limits.ttft_s=1", "limits.tpot_s=0.02",
]  # fmt: skip
AT_A_RATE = ["workload=chat", "limits.memory_fraction=0.3", "limits.ttft_statistic=p99", "limits.tpot_statistic=p99"]


@pytest.fixture(scope="module")
def closed() -> Config:
    return composed([*WORDS, "workload=in1024_out1024"])


@pytest.fixture(scope="module")
def at_a_rate() -> Config:
    return composed([*WORDS, *AT_A_RATE])


def _kept(config: Config, size: int, rate: float) -> np.ndarray:
    """Of every plan of a size at a rate: whether it keeps all limits."""
    scenario = read_scenario(config, read_model(config.model).architecture)
    assert scenario.demand is not None
    there = replace(scenario, demand=replace(scenario.demand, requests_per_s=rate, headroom=False))
    space = Space.from_config({**vars(config.space), "gpus": size})
    return evaluate(there, legal_plans(space, facts_of(there), "vllm").plans).feasible


@pytest.mark.parametrize("risk", [None, 1e-3])
def test_at_a_rate_every_limit_is_kept_and_no_more_is_carried(at_a_rate: Config, risk: float | None) -> None:
    config = replace(at_a_rate, limits=replace(at_a_rate.limits, overflow_risk=risk))
    found = replicas(config, 8, low=False).replicas
    assert [r.gpus for r in found] == [1, 2]
    for r in found:
        demand = r.scenario.demand
        assert demand is not None
        at = replace(r.scenario, demand=replace(demand, requests_per_s=0.998 * r.carried, headroom=False))
        assert evaluate(at, r.plan).feasible[0]
        assert not _kept(config, r.gpus, 1.02 * r.carried).any()
        assert r.low < r.carried < r.high


def test_a_risk_of_overflow_costs_capacity(at_a_rate: Config) -> None:
    strict = replace(at_a_rate, limits=replace(at_a_rate.limits, overflow_risk=1e-3))
    plain, careful = (replicas(c, 1, low=False).replicas[0].carried for c in (at_a_rate, strict))
    assert careful < plain


def test_in_the_closed_loop_it_is_the_best_plan_of_a_search(closed: Config) -> None:
    scenario = read_scenario(closed, read_model(closed.model).architecture)
    plans = legal_plans(Space.from_config(vars(closed.space)), facts_of(scenario), "vllm").plans
    scores = evaluate(scenario, plans)
    for r in replicas(closed, 8, low=False).replicas:
        mine = scores.feasible & (plans.gpus == r.gpus)
        assert r.carried == pytest.approx(scores.requests_per_s[mine].max())
    low = replicas(closed, 8, low=True).replicas
    assert [r.carried for r in low] == [r.low for r in low]


def test_no_replica_says_why(closed: Config) -> None:
    tight = replace(closed, limits=replace(closed.limits, tpot_s=1e-5))
    assert "misses tpot" in replicas(tight, 8, low=False).why
    assert replicas(closed, 1, low=False).left_out == (2,)
