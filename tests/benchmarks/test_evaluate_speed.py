"""How fast plans are scored, kept and compared (``pytest --benchmark-only``). No speed is asserted: machines differ.

``extra_info`` of each benchmark holds plans (or points) a second, in the report and in ``--benchmark-json``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from costmodel.evaluate import evaluate
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from search.optimizer.front import Objectives, pareto_front
from search.optimizer.legal import legal_plans
from search.optimizer.rules.facts import facts_of
from search.optimizer.space import Space

PLANS = 65_536
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
