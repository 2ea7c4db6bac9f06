"""A search that holds few of its plans finds what one that holds all of them does."""

import json
from dataclasses import replace

import numpy as np
import pytest

from costmodel.plans import AXES
from search.inputs.compose import composed
from search.optimizer import run as module
from search.optimizer import stream as streaming
from search.optimizer.held import held_bytes
from search.optimizer.recommend import nearest
from search.render.run_folder import summarise, write_run
from search.render.tables import candidate_rows

CASES = {
    "qwen3_235b": [],
    "llama_70b_h100": ["limits.ttft_s=2", "limits.tpot_s=0.02"],
    "deepseek_r1_h200": ["objective.confidence=0.5", "sensitivity.draws=10"],
}
NONE = ["+experiment=qwen3_235b", "limits.tpot_s=0.0001"]


def both(monkeypatch, overrides):
    """The outcome with every plan, and with as few as are needed, in small pieces."""
    config = composed([*overrides, "strategy=exact", "output.max_candidates=100", "report.max_points=50"])
    config = replace(config, sensitivity=replace(config.sensitivity, most_ranked=60))
    whole = module.run(config)
    monkeypatch.setattr(module, "HELD", 0)
    monkeypatch.setattr(streaming, "PIECE", 200)
    monkeypatch.setattr(streaming, "MOST_NEAR", 60)
    return whole, module.run(config)


def plan(outcome, row):
    return None if row is None else outcome.plans.row(row)


@pytest.mark.parametrize("experiment", CASES)
def test_the_same_front_and_choice(experiment, monkeypatch, tmp_path):
    whole, few = both(monkeypatch, [f"+experiment={experiment}", *CASES[experiment]])
    assert len(few.plans) < 0.6 * len(whole.plans)
    assert few.tally.spared > 0
    held = held_bytes(few.scenario, whole.plans)
    assert np.all(np.diff(held)[np.diff(whole.legal.layout()) == 0] >= 0.0)
    assert whole.tally is None
    assert replace(few.tally, spared=0, late=0) == whole.counted
    for axis in AXES:
        assert np.array_equal(getattr(whole.plans, axis)[whole.front], getattr(few.plans, axis)[few.front])
    a, b = whole.choice, few.choice
    for name in ("recommended", "runner_up", "passed_over"):
        assert plan(whole, getattr(a, name)) == plan(few, getattr(b, name)), name
    assert (a.runner_up_apart, a.at_axis_end) == (b.runner_up_apart, b.at_axis_end)
    for with_all, with_few in zip(a.relaxed, b.relaxed, strict=True):
        assert with_all.gain == with_few.gain
        assert plan(whole, with_all.row) == plan(few, with_few.row)
    summary = summarise(few, 100, True)
    assert summary["feasible"] + sum(summary["removed_by_limit"].values()) == summary["scored"] == summary["legal"]
    rows, sampled = candidate_rows(few, 100)
    assert sampled
    assert len(rows) == max(100, len(few.front))
    write_run(tmp_path, few)
    assert json.loads((tmp_path / "summary.json").read_text())["candidates_are_a_sample"]


def test_the_nearest_plans_where_none_is_feasible(monkeypatch):
    whole, few = both(monkeypatch, NONE)
    assert whole.choice is None
    assert few.choice is None
    assert replace(few.tally, spared=0, late=0) == whole.counted
    found = [[plan(outcome, row) for row in nearest(outcome.plans, outcome.scores)] for outcome in (whole, few)]
    assert found[0] == found[1]
