"""Sure plans: limits over the intervals and in the draws, against brute force."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from costmodel.memory.device import usable_bytes
from search.base.errors import InputError
from search.evidence.measured.intervals import load_intervals
from search.inputs.compose import composed
from search.optimizer.hardened import CONFIDENCE, bounded, hardened, likely
from search.optimizer.outcome import Outcome
from search.optimizer.run import run
from search.optimizer.sensitivity.inputs import read_ranges
from search.optimizer.sure import is_sure, kept_limits, shares

CASE = [
    "model=qwen3_32b", "hardware=h200_sxm", "engine=vllm", "workload=in1024_out1024", "limits.ttft_s=2",
    "limits.tpot_s=0.03", "space.gpus=[2,4,8]", "space.pp=1", "space.sp=1", "space.dp=[1,2,4]",
    "space.batch='8:256:8'", "strategy=exact", "sensitivity.draws=40",
]  # fmt: skip


@pytest.fixture(scope="module")
def plain() -> Outcome:
    return run(composed(CASE))


@pytest.fixture(scope="module")
def surest(plain: Outcome) -> dict[str, int]:
    """The best plan that passes both tests, by drawing for every one that is feasible."""
    scenario = plain.scenario
    ranges = read_ranges(plain.config.sensitivity, scenario)
    found = shares(scenario, ranges, plain.plans, plain.config.sensitivity.draws, plain.config.sensitivity.seed)
    hard = hardened(scenario, plain.scores, plain.coverage)
    rows = np.flatnonzero(hard.feasible & (found >= CONFIDENCE))
    order = plain.policy.order(plain.plans.take(rows), plain.scores.take(rows))
    return plain.plans.row(int(rows[order[0]]))


def test_a_coin_flip_names_the_best_sure_plan(plain: Outcome, surest: dict[str, int]) -> None:
    assert plain.sensitivity is not None and plain.sensitivity.draws is not None and plain.choice is not None
    draws = plain.sensitivity.draws
    assert not is_sure(plain)
    assert draws.sure is not None
    assert draws.sure.plan == surest
    assert draws.sure.share >= CONFIDENCE
    assert draws.sure.gain < 0.0


def test_with_confidence_it_is_the_recommended_plan(plain: Outcome, surest: dict[str, int]) -> None:
    sure = run(composed([*CASE, f"objective.confidence={CONFIDENCE}"]))
    assert sure.choice is not None and plain.choice is not None
    assert sure.plans.row(sure.choice.recommended) == surest
    assert is_sure(sure)
    assert sure.choice.recommended in sure.front
    assert np.array_equal(
        np.setdiff1d(sure.front, [sure.choice.recommended]), np.setdiff1d(plain.front, [sure.choice.recommended])
    )
    assert "confidence" not in sure.scores.limits


def test_each_limit_stands_beside_its_interval_and_its_share(plain: Outcome) -> None:
    assert plain.choice is not None and plain.sensitivity is not None and plain.sensitivity.draws is not None
    row = plain.choice.recommended
    kept = {k.limit: k for k in kept_limits(plain)}
    assert list(kept) == ["memory", "ttft", "tpot"]
    tpot = kept["tpot"]
    low, high = load_intervals().of("tpot_s", plain.coverage[[row]], plain.scores.tpot_s[[row]])
    assert (tpot.allowed, tpot.predicted) == (0.03, plain.scores.tpot_s[row])
    assert (tpot.low, tpot.high) == (low[0], high[0])
    assert tpot.surely == bool(high[0] <= 0.03)
    assert tpot.share == 1.0 - plain.sensitivity.draws.missed["tpot"]
    assert kept["memory"].low == kept["memory"].high == kept["memory"].predicted
    assert all(k.share is None for k in kept_limits(replace(plain, sensitivity=None)))


def test_hardened_violations_are_those_of_the_intervals_ends(plain: Outcome) -> None:
    limits = replace(plain.scenario.limits, min_requests_per_s=3.0)
    scenario = replace(plain.scenario, limits=limits)
    from costmodel.evaluate import evaluate

    scores = evaluate(scenario, plain.plans)
    hard = dict(zip(scores.limits, hardened(scenario, scores, plain.coverage).violations, strict=True))
    table = load_intervals()
    for limit, (figure, bound) in bounded(limits, usable_bytes(scenario.accelerator)).items():
        values = getattr(scores, figure)
        low, high = (values, values) if limit == "memory" else table.of(figure, plain.coverage, values)
        expected = 1.0 - low / bound if limit == "requests" else high / bound - 1.0
        assert hard[limit] == pytest.approx(expected, rel=1e-9, abs=1e-12)
    none = replace(scenario, limits=replace(limits, ttft_s=None))
    free = hardened(none, evaluate(none, plain.plans), plain.coverage)
    assert not free.violations[free.limits.index("ttft")].any()


def test_likely_plans_are_the_first_of_each_layout(plain: Outcome) -> None:
    hard = hardened(plain.scenario, plain.scores, plain.coverage)
    every = likely(plain.plans, hard, plain.policy, 10_000)
    assert np.all(hard.feasible[every]) and np.all(np.diff(every) > 0)
    layouts = {tuple(plain.plans.row(int(r))[a] for a in ("gpus", "dp", "tp")) for r in np.flatnonzero(hard.feasible)}
    few = likely(plain.plans, hard, plain.policy, len(layouts))
    assert {tuple(plain.plans.row(int(r))[a] for a in ("gpus", "dp", "tp")) for r in few} == layouts
    nothing = replace(hard, violations=np.ones_like(hard.violations))
    assert len(likely(plain.plans, nothing, plain.policy, 10)) == 0


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["objective.confidence=1.2"], "objective.confidence: 1.2 is not allowed; give a number above 0 to 1"),
        (["objective.confidence=80"], "0.8 if percent were meant"),
        (
            ["objective.confidence=0.8", "sensitivity.enabled=false"],
            "objective.confidence: 0.8 asks for shares of draws",
        ),
        (["objective.confidence=0.8", "sensitivity.draws=0"], "objective.confidence: 0.8 asks for shares of draws"),
    ],
)
def test_bad_confidences(overrides: list[str], words: str) -> None:
    config = composed([*CASE, *overrides])
    with pytest.raises(InputError) as error:
        run(config)
    assert words in str(error.value)


def test_no_plan_with_the_confidence_asked_for(search, tmp_path):
    tight = ("limits.min_requests_per_s=19", "objective.confidence=1", "space.dp=[1,2,4]", "hydra.run.dir=r")
    overrides = [o for o in CASE if not o.startswith(("space.dp", "limits.tpot"))]
    code, _, err = search(*overrides, *tight, "limits.tpot_s=0.06", "objective=fewest_gpus")
    assert code == 1, err
    assert "keep every limit as predicted" in err
    assert "none of those in 100% of the draws (objective.confidence)" in err
    assert not (tmp_path / "r" / "plan.yaml").exists()


def test_the_run_says_it_everywhere(search, tmp_path):
    code, out, err = search(*CASE, "hydra.run.dir=r")
    assert code == 0, err
    assert "tpot limit, at most 30.0 ms: " in out
    assert "a coin flip: " in out and "the best sure plan: gpus" in out
    for page in ("plan.md", "report.html"):
        text = (tmp_path / "r" / page).read_text()
        assert ("| TPOT | at most 30.0 ms | " if page == "plan.md" else "tpot limit, at most 30.0 ms: ") in text
        assert "A coin flip: " in text and "The best sure plan: gpus" in text
