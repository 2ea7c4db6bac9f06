"""Outcomes for the tests of the report."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "document"))

from document_cases import dense_case, latent_case, renamed, worked_case

from search.optimizer.outcome import Outcome

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&quot;\u2028<b>b</b> \u202egpj {{7*7}} `x`"


def infeasible_case() -> Outcome:
    """The worked case with a TPOT that nothing reaches."""
    return worked_case(**{"limits.tpot_s": 1e-4})


def few_points(outcome: Outcome) -> Outcome:
    """The same with so few plans beside the front that a test can go through them."""
    config = replace(outcome.config, report=replace(outcome.config.report, max_points=12))
    return replace(outcome, config=config)


def named_case(name: str) -> Outcome:
    """The worked case with one name and one assumption for all."""
    return renamed(worked_case(assumptions=[name]), name)


def hostile_case() -> Outcome:
    """Every name of the worked case is an attack."""
    return named_case(HOSTILE)


def large_case() -> Outcome:
    """20,000 candidates, of which 500 are taken for the front."""
    outcome = worked_case(**{"space.batch": ["8:1040:8"], "strategy.sampler": "exact"})
    assert len(outcome.plans) >= 20_000
    assert outcome.choice is not None
    feasible = np.setdiff1d(np.flatnonzero(outcome.scores.feasible), [outcome.choice.recommended])
    some = feasible[np.linspace(0, len(feasible) - 1, 499).astype(int)]
    return replace(outcome, front=np.union1d(some, [outcome.choice.recommended]))


CASES: dict[str, Callable[[], Outcome]] = {
    "worked": worked_case,
    "dense": dense_case,
    "latent": latent_case,
    "infeasible": infeasible_case,
}
