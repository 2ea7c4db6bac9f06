"""What the model itself derives never fails, never contradicts, and what contradicts cannot be helped by the model."""

from __future__ import annotations

import numpy as np
import pytest
from document_cases import dense_case, latent_case, worked_case
from hypothesis import given
from hypothesis import strategies as st

from costmodel.columns import PLAN_COLUMNS
from costmodel.scores import FIGURES
from search.optimizer.baselines import Baseline
from search.optimizer.outcome import Outcome
from search.render.document.claims import judge

ROWS = 60
CASES = {
    "worked": lambda: worked_case(**{"strategy.sampler": "exact"}),
    "pipelines": lambda: worked_case(**{"strategy.sampler": "exact", "space.pp": [2, 4], "space.sp": [1, 2]}),
    "dense": dense_case,
    "latent": latent_case,
}


@pytest.fixture(scope="module", params=CASES)
def outcome(request: pytest.FixtureRequest) -> Outcome:
    return CASES[request.param]()


def test_what_the_model_derives_holds_for_any_plan(outcome: Outcome) -> None:
    """Every figure and degree of a plan as its own claims: all hold, feasible or not, with waiting and without."""
    rows = np.random.default_rng(0).permutation(len(outcome.plans))[:ROWS]
    for row in rows:
        one = slice(int(row), int(row) + 1)
        plan, scores = outcome.plans.take(one), outcome.scores.take(one)
        claims = {name: float(getattr(scores, name)[0]) for name in FIGURES}
        claims |= {name: float(getattr(plan, name)[0]) for name in PLAN_COLUMNS}
        if scores.memory_utilization[0] > 1.0:  # such a plan contradicts its accelerator, as it should
            claims = {n: v for n, v in claims.items() if n not in ("memory_bytes_per_gpu", "memory_utilization")}
        found = judge(Baseline("own", plan, scores, claims, {}), outcome.scenario)
        wrong = [(v.claim, v.verdict, v.arithmetic) for v in found if v.verdict != "holds"]
        assert not wrong, plan.row(0)
        assert not [v.claim for v in found if v.impossible]
        assert len(found) > len(claims)


@given(
    st.dictionaries(st.sampled_from(FIGURES), st.floats(0.0, 1e15), min_size=1, max_size=8),
    st.integers(0, 1),
)
def test_any_claims_are_judged(worked: Outcome, claims: dict[str, float], which: int) -> None:
    """No claim, however absurd, is an error; each has one verdict, and a relation names what it ties."""
    b = worked.baselines[which]
    found = judge(Baseline("b", b.plan, b.scores, claims, {}), worked.scenario)
    assert [v.claim for v in found if not v.is_relation] == list(claims)
    for v in found:
        assert "\n" not in v.arithmetic
        assert v.arithmetic
        if v.is_relation:
            assert v.verdict in ("holds", "contradicts")
            assert set(v.concerns) & set(claims)
        else:
            assert v.low is not None
            assert v.high is not None
            assert v.low <= v.derived <= v.high
