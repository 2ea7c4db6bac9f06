"""How fast plans are scored, kept and compared (``pytest --benchmark-only``). No speed is asserted: machines differ.

``extra_info`` of each benchmark holds plans (or points) a second, in the report and in ``--benchmark-json``.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from costmodel.evaluate import evaluate
from costmodel.plans import Plans
from costmodel.scenario import Demand, Scenario
from costmodel.serving.mix import MixedLengths, stratified
from costmodel.serving.traffic import Length
from search.optimizer.front import Objectives, pareto_front
from search.optimizer.legal import legal_plans
from search.optimizer.rules.facts import facts_of
from search.optimizer.space import Space

PLANS = 65_536
ORDERED = 16_384
SPACE = Space(
    {
        "gpus": (8, 16, 32, 64, 128),
        "dp": (1, 2, 4, 8, 16),
        "pp": (1, 2, 4, 8),
        "sp": (1, 2, 4),
        "tp": (1, 2, 4, 8),
        "ep": (1, 2, 4, 8, 16, 32, 64, 128),
        "batch": tuple(range(8, 1025, 8)),
    }
)


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    """The worked case, from the folder of the cost model's tests."""
    sys.path.append(str(Path(__file__).parents[1] / "costmodel"))
    from worked_case import worked_case

    return worked_case()


@pytest.fixture(scope="module")
def plans(scenario: Scenario) -> Plans:
    legal = legal_plans(SPACE, facts_of(scenario), "any").plans
    assert len(legal) >= PLANS
    return legal.take(np.random.default_rng(0).permutation(len(legal))[:PLANS])


def report(benchmark: Any, name: str, items: int) -> None:
    """Items a second at the median round; nothing to report where benchmarks are disabled."""
    if benchmark.stats:
        benchmark.extra_info[name] = round(items / benchmark.stats.stats.median)


def test_legality(benchmark: Any, scenario: Scenario) -> None:
    legal = benchmark(legal_plans, SPACE, facts_of(scenario), "any")
    report(benchmark, "points_per_s", SPACE.size)
    assert len(legal) >= PLANS


def test_evaluate(benchmark: Any, scenario: Scenario, plans: Plans) -> None:
    scores = benchmark(evaluate, scenario, plans)
    report(benchmark, "plans_per_s", PLANS)
    assert np.all(np.isfinite(scores.output_tokens_per_s))


@pytest.mark.parametrize("headroom", [False, True], ids=["percentiles", "headroom"])
def test_evaluate_at_a_rate(benchmark: Any, scenario: Scenario, headroom: bool) -> None:
    """Lengths that vary, requests at random: percentiles of every plan that keeps up, and how much more each carries.
    All batches of a layout, as a search has them; compare with ``test_evaluate_in_order``."""
    length = Length("lognormal", 2048, 128, 10240, 1.0)
    mixed = MixedLengths(2048, 2048, 0.0, *stratified(length, length))
    changed = replace(scenario, lengths=mixed, demand=Demand(0.5, headroom=headroom))
    legal = in_order(scenario, ORDERED if not headroom else ORDERED // 4)
    scores = benchmark(evaluate, changed, legal)
    report(benchmark, "plans_per_s", len(legal))
    assert np.array_equal(np.isfinite(scores.ttft_s_p99), scores.capacity_requests_per_s > 0.5)


def test_evaluate_in_order(benchmark: Any, scenario: Scenario) -> None:
    """What ``test_evaluate_at_a_rate`` is measured against: the same plans in the closed loop."""
    legal = in_order(scenario, ORDERED)
    benchmark(evaluate, scenario, legal)
    report(benchmark, "plans_per_s", len(legal))


def in_order(scenario: Scenario, size: int) -> Plans:
    return legal_plans(SPACE, facts_of(scenario), "any").plans.take(slice(0, size))


def test_evaluate_one_plan(benchmark: Any, scenario: Scenario, plans: Plans) -> None:
    """What a caller pays who does not batch."""
    benchmark(evaluate, scenario, plans.take(slice(0, 1)))
    report(benchmark, "plans_per_s", 1)


def test_front(benchmark: Any, scenario: Scenario, plans: Plans) -> None:
    objectives = Objectives({"output_tokens_per_s": "max", "ttft_s": "min", "tpot_s": "min"})
    scores = evaluate(scenario, plans)
    costs = objectives.costs(plans, scores)
    front = benchmark(pareto_front, costs, scores.feasible)
    report(benchmark, "plans_per_s", PLANS)
    assert 0 < len(front) < PLANS
