"""The changes that help most, against plain loops and changed configurations."""

from __future__ import annotations

import re

import numpy as np
import pytest
from explain_cases import DECIDING, neighbours_by_hand, outcome, plan, some

from costmodel.evaluate import evaluate
from costmodel.plans import AXES, Plans
from search.commands.explain.changes import neighbours
from search.commands.explain.explained import explain
from search.optimizer.outcome import Outcome


@pytest.mark.parametrize("axes", [{}, {"tp": 8}, {"gpus": 16, "dp": 2}, {"gpus": 16, "ep": 16, "batch": 256}])
@pytest.mark.parametrize("which", ["worked", "vllm"])
def test_neighbours_are_those_of_a_plain_loop(request: pytest.FixtureRequest, which: str, axes: dict[str, int]) -> None:
    found: Outcome = request.getfixturevalue(which)
    one = plan(**{"batch": 112 if which == "vllm" else 128, **axes})
    rows, differs = neighbours(found.legal.plans, one)
    got = {tuple(found.legal.plans.row(int(r))[a] for a in AXES) for r in rows}
    assert got == neighbours_by_hand(found, one)
    assert set(differs.sum(axis=0).tolist()) <= {1, 2}


def gain(found: Outcome, changed: Outcome | None, before: Plans, after: dict[str, int]) -> tuple[float, bool]:
    """Relative gain in the deciding column and whether the plan after is feasible, by evaluating both afresh."""
    old = evaluate(found.scenario, before)
    new = evaluate((changed or found).scenario, Plans.of(**after))
    return float(getattr(new, DECIDING)[0] / getattr(old, DECIDING)[0] - 1), bool(new.feasible[0])


@pytest.mark.parametrize("which", ["worked", "vllm"])
def test_changes_of_a_plan_are_feasible_and_gain_what_they_say(request: pytest.FixtureRequest, which: str) -> None:
    found: Outcome = request.getfixturevalue(which)
    seen = 0
    for one in some(found):
        verdict = explain(found, one, "x")
        assert verdict.scores is not None
        gains = [c.gain for c in verdict.changes]
        assert gains == sorted(gains, reverse=True)
        if verdict.scores.feasible[0]:
            assert all(g > 0 for g in gains)
        moves = [c for c in verdict.changes if c.kind == "plan"]
        seen += len(moves)
        for c in moves:
            assert gain(found, None, one, c.plan) == (pytest.approx(c.gain), True)
        # The best neighbour of a plain loop is the best of the changes.
        values = [gain(found, None, one, dict(zip(AXES, n, strict=True))) for n in neighbours_by_hand(found, one)]
        best = max((g for g, feasible in values if feasible), default=None)
        wanted = best is not None and (best > 1e-6 or not verdict.scores.feasible[0])
        assert bool(moves) == wanted
        assert not wanted or moves[0].gain == pytest.approx(best)
    assert seen > 5


@pytest.mark.parametrize(
    ("text", "override"),
    [
        ("memory bandwidth +10 %", "hardware.memory_bytes_per_s=1.98e12"),
        ("peak FLOP/s +10 %", "hardware.efficiency.mfu=0.66"),
        ("limits.ttft_s 30 → 33", "limits.ttft_s=33"),
    ],
)
def test_inputs_and_limits_gain_what_a_changed_configuration_gives(worked: Outcome, text: str, override: str) -> None:
    assert worked.choice is not None
    one = worked.plans.take([worked.choice.recommended])
    (found,) = [c for c in explain(worked, one, "x").changes if c.text.startswith(text)]
    changed = outcome(override)
    assert gain(worked, changed, one, found.plan) == (pytest.approx(found.gain), True)
    # Beside the plan itself only a batch that the configuration as it is does not allow.
    if found.plan != one.row(0):
        assert {a for a in AXES if found.plan[a] != one.row(0)[a]} == {"batch"}
        assert not evaluate(worked.scenario, Plans.of(**found.plan)).feasible[0]


@pytest.mark.parametrize(
    ("limits", "axes"),
    [
        ({"limits.ttft_s": 5.0}, {}),
        ({"limits.memory_fraction": 0.5}, {}),
        ({"limits.tpot_s": 0.02}, {}),
        ({"limits.min_requests_per_s": 3.0}, {}),
    ],
)
def test_the_one_missed_limit_is_relaxed_as_far_as_needed(limits: dict[str, float], axes: dict[str, int]) -> None:
    overrides = [f"{key}={value}" for key, value in limits.items()]
    found = outcome(*overrides)
    one = plan(**axes)
    verdict = explain(found, one, "x")
    assert verdict.scores is not None
    assert np.count_nonzero(verdict.scores.violations > 0) == 1
    (change,) = [c for c in verdict.changes if c.kind == "limit"]
    (key,) = limits
    shown = re.search(rf"{re.escape(key)} [\d.e-]+ → ([\d.e-]+), as the plan needs", change.text)
    assert shown, change.text
    enough = float(shown.group(1)) * (0.999 if "requests" in key else 1.001)  # the text is rounded to four digits
    little = float(shown.group(1)) * (1.01 if "requests" in key else 0.99)
    plans = evaluate(outcome(f"{key}={enough}").scenario, one), evaluate(outcome(f"{key}={little}").scenario, one)
    assert [bool(s.feasible[0]) for s in plans] == [True, False]
