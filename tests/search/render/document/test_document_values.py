"""The parts of the document add up to what ``evaluate`` returned, and every figure comes from the mapping."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from watched import Watched

from costmodel.evaluate import evaluate
from costmodel.parameters import weight_bytes
from costmodel.plans import Plans
from search.optimizer.outcome import Outcome
from search.render.document import collect, render_plan
from search.render.document.account import decode_reading, module_weights, sequence_cache_bytes
from search.render.document.render import OPTIONAL, SECTIONS, render
from search.render.document.steady import steady
from search.render.document.view import View


def rows(outcome: Outcome) -> list[int]:
    """A spread of scored plans."""
    return np.unique(np.linspace(0, len(outcome.plans) - 1, 25).astype(int)).tolist()


def plan_of(outcome: Outcome, row: int) -> Plans:
    return outcome.plans.take(slice(row, row + 1))


def test_weights_of_modules_add_up(any_outcome: Outcome) -> None:
    for row in rows(any_outcome):
        parts = module_weights(any_outcome.scenario, plan_of(any_outcome, row))
        assert sum(p.rank_bytes for p in parts) == pytest.approx(
            any_outcome.scores.weights_bytes_per_gpu[row], rel=1e-12
        )


def test_weights_of_the_model_add_up(worked: Outcome) -> None:
    parts = module_weights(worked.scenario, plan_of(worked, 0))
    assert sum(p.model_bytes for p in parts) == pytest.approx(sum(weight_bytes(worked.scenario.model).values()))


def test_cache_is_sequences_times_bytes(any_outcome: Outcome) -> None:
    for row in rows(any_outcome):
        plan = plan_of(any_outcome, row)
        each = sequence_cache_bytes(any_outcome.scenario, plan)
        sequences = steady(any_outcome.scenario, plan).sequences
        assert each * sequences == pytest.approx(any_outcome.scores.kv_cache_bytes_per_gpu[row], rel=1e-12)


@pytest.mark.parametrize("waves", [math.inf, 4.0])
def test_latencies_are_the_sums_of_their_terms(any_outcome: Outcome, waves: float) -> None:
    scenario = replace(any_outcome.scenario, waves=waves)
    scores = evaluate(scenario, any_outcome.plans)
    for row in rows(any_outcome):
        s = steady(scenario, plan_of(any_outcome, row))
        ttft = s.arrival_s + s.queue_s + s.own_s + s.request_s + s.stream_s + s.outside_s + s.first_wave_s
        burst = s.burst_through_s + (s.burst_full - 1) * s.burst_pass_s + s.request_s
        burst += s.burst_between * s.burst_between_s + s.burst_last * s.burst_rest_s
        assert ttft == pytest.approx(scores.ttft_s[row], rel=1e-12)
        assert burst == pytest.approx(scores.burst_ttft_s[row], rel=1e-12)


@pytest.mark.parametrize("reserved", [0.0, 1.0])
def test_cache_admits_as_many_as_evaluate_says(any_outcome: Outcome, reserved: float) -> None:
    engine = replace(any_outcome.scenario.engine, output_reserved=reserved)
    scenario = replace(any_outcome.scenario, engine=engine)
    scores = evaluate(scenario, any_outcome.plans)
    for row in rows(any_outcome):
        plan = plan_of(any_outcome, row)
        assert steady(scenario, plan).admitted * plan.attn_dp[0] == scores.admitted_batch[row]


def test_no_step_beats_the_floor_of_reading(any_outcome: Outcome) -> None:
    for row in rows(any_outcome):
        plan = plan_of(any_outcome, row)
        if any_outcome.scores.admitted_batch[row] >= plan.batch[0]:
            assert decode_reading(any_outcome.scenario, plan).floor_s < any_outcome.scores.tpot_s[row]


def test_pass_times_add_up_to_the_decode_step(worked: Outcome) -> None:
    values = collect(worked)
    assert values["recommended.pass.decode_s"] == pytest.approx(values["recommended.decode_s"])
    assert values["recommended.pass.prefill_s"] == pytest.approx(values["recommended.burst_through_s"])


def test_values_are_plain(any_outcome: Outcome) -> None:
    assert {type(v) for v in collect(any_outcome).values()} <= {int, float, str}


def test_every_figure_comes_from_its_value(any_outcome: Outcome) -> None:
    """Change any number that a section reads, and its text changes."""
    values = collect(any_outcome)
    for title, section in SECTIONS.items():
        watched = Watched(values)
        before = section(View(watched))
        numbers = [k for k in watched.read if not isinstance(values[k], str)]
        assert numbers or title in (
            "Against earlier plans",
            "Claims of earlier plans",
            "Comparison with earlier plans",
            "Decision",
            *OPTIONAL,
        )
        for key in numbers:
            old = values[key]
            assert not isinstance(old, str)
            more = old * 2 + 1 if isinstance(old, int) else old * 1.5 + (0.0 if old else 1e9)
            # Zero and much: some figures are shown only once they pass a threshold.
            texts = [section(View({**values, key: new})) for new in (more, 0 * old, 1e9)]
            assert set(texts) != {before}, (title, key)


def test_every_text_comes_from_its_value(worked: Outcome) -> None:
    values = collect(worked)
    watched = Watched(values)
    before = render(watched)
    # These choose how something is said (a claim's column, how dense FFNs are cut) and are not shown themselves.
    choices = (".figure", ".worse", ".dense_split")
    texts = sorted(k for k in watched.read if isinstance(values[k], str) and not k.endswith(choices))
    assert len(texts) > 100
    for key in texts:
        assert render({**values, key: f"{values[key]} changed"}) != before, key


def test_same_outcome_same_text(worked: Outcome) -> None:
    assert render_plan(worked) == render_plan(worked)
