"""Plans simulated in the closed loop: only where somebody asks, and with the formulas' means."""

from __future__ import annotations

import numpy as np
import pytest

from costmodel.serving.simulation.requests import Requests
from search.inputs.compose import composed
from search.optimizer.outcome import Outcome
from search.optimizer.run import run
from search.optimizer.verify import _of_all_ages
from search.render.document import render_plan

WORDS = (
    "model=qwen3_8b", "hardware=h100_sxm", "engine=vllm", "workload=in1024_out1024", "strategy=exact",
    "workload.lengths.kind=lognormal", "workload.lengths.prompt.spread=0.8", "workload.lengths.answer.spread=0.8",
    "sensitivity=none", "space.gpus=[1,2]", "space.tp=[1,2]", "space.dp=1", "space.pp=[1,2]", "space.batch=[8,32]",
    "verify.seeds=2",
)  # fmt: skip


@pytest.fixture(scope="module")
def simulated() -> Outcome:
    return run(composed([*WORDS, "verify.top=3"]))


def test_means_are_those_of_the_formulas(simulated: Outcome) -> None:
    """Also of a pipeline."""
    assert len(simulated.verified) == 3
    assert any(simulated.plans.pp[v.row] > 1 for v in simulated.verified)
    for v in simulated.verified:
        scores = simulated.scores
        assert v.figures["tpot_s"] == pytest.approx(scores.tpot_s[v.row], rel=0.15)
        assert v.figures["ttft_s"] == pytest.approx(scores.ttft_s[v.row], rel=0.35)
        assert v.figures["tpot_s_p50"] <= v.figures["tpot_s_p90"] <= v.figures["tpot_s_p99"]
        assert set(v.analytic(scores)) == {"ttft_s", "tpot_s"}
        assert v.history[:, 1].max() <= simulated.plans.batch[v.row] * simulated.plans.dp[v.row]


def test_the_document_has_the_percentiles(simulated: Outcome) -> None:
    text = render_plan(simulated)
    assert "in the closed loop, `batch` of each replica always inside" in text and "p99, simulated" in text


def test_nothing_is_simulated_unless_it_is_asked_for() -> None:
    outcome = run(composed(WORDS))
    assert outcome.verified == () and "## 11. Traffic" not in render_plan(outcome)


def test_a_loop_begins_with_requests_of_all_ages() -> None:
    requests = Requests(np.zeros(1000), np.full(1000, 10), np.full(1000, 100))
    some = _of_all_ages(requests, 400, 0).answer_tokens
    assert some[:400].min() >= 1 and some[:400].max() <= 100 and some[:400].mean() == pytest.approx(50, abs=5)
    assert (some[400:] == 100).all()
