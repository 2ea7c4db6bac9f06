"""The recommendation: ties, pins, and layouts that no measurement covers."""

from dataclasses import replace

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from search.base.paths import conf_dir
from search.evidence.measured.intervals import CLASSES, load_intervals
from search.inputs.typed import typed
from search.optimizer.recommend import Policy, recommend
from search.optimizer.run import run


@pytest.fixture(scope="module")
def outcome():
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return run(typed(compose("config", ["+experiment=qwen3_235b", "strategy=exact"])))


def chosen(outcome, **changes):
    plans, scores = outcome.plans, replace(outcome.scores, **changes)
    return recommend(plans, scores, outcome.policy, outcome.space.axes, outcome.coverage), scores


def test_ties_go_to_fewer_gpus(outcome):
    choice = outcome.choice
    speed = outcome.scores.output_tokens_per_s_per_gpu
    equal = np.flatnonzero((speed == speed[choice.recommended]) & outcome.scores.feasible)
    assert len(equal) > 1  # the same replica once and twice
    assert outcome.plans.gpus[choice.recommended] == outcome.plans.gpus[equal].min()


def test_runner_up_is_laid_out_otherwise(outcome):
    a, b = (outcome.plans.row(i) for i in (outcome.choice.recommended, outcome.choice.runner_up))
    assert [a[k] for k in ("tp", "ep", "pp", "sp")] != [b[k] for k in ("tp", "ep", "pp", "sp")]


def test_pins_are_the_limits_without_which_another_plan_wins(outcome):
    choice = outcome.choice
    assert choice.pinned_by == ("ttft",)
    (pin,) = [r for r in choice.relaxed if r.limit == "ttft"]
    assert outcome.scores.burst_ttft_s[pin.row] > 30
    assert pin.gain > 0


def test_without_the_memory_limit_a_plan_still_fits_the_accelerator():
    """Of the plans beyond the limit only those that the accelerator holds are proposed."""
    settings = [
        "hardware=h100_sxm",
        "model=qwen3_32b",
        "strategy=exact",
        "sensitivity=none",
        "limits.memory_fraction=0.5",
    ]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        found = run(typed(compose("config", settings)))
    (pin,) = [r for r in found.choice.relaxed if r.limit == "memory"]
    assert found.choice.pinned_by == ("memory",)
    assert 0.5 < found.scores.memory_utilization[pin.row] <= 1.0
    speed = found.scores.output_tokens_per_s_per_gpu
    assert speed[found.scores.memory_utilization > 1.0].max() > speed[pin.row]  # or the test shows nothing


def test_a_layout_nobody_measured_is_not_preferred_inside_its_interval(outcome):
    """Make the best pipelined plan a little faster than the best covered one, then far faster."""
    layout = CLASSES.index("layout")
    scores = outcome.scores
    speed = scores.output_tokens_per_s_per_gpu
    pipelined = np.flatnonzero(scores.feasible & (outcome.coverage == layout))
    row = int(pipelined[np.argmax(speed[pipelined])])
    best = speed[outcome.choice.recommended]
    low, _ = load_intervals().of("output_tokens_per_s", np.array([layout]), np.array([1.0]))

    def faster(factor: float):
        changed = speed.copy()
        changed[row] = best * factor
        return chosen(outcome, output_tokens_per_s_per_gpu=changed)[0]

    near = faster(1.05)
    assert near.recommended == outcome.choice.recommended
    assert near.passed_over == row
    assert near.runner_up != row
    assert set(near.pinned_by) <= {"ttft", "memory"}
    far = faster(1.05 / low[0])
    assert far.recommended == row
    assert far.passed_over is None


def test_the_recommended_plan_is_on_the_front_though_one_passed_over_dominates_it(monkeypatch):
    """Call the layouts of the best plan's degrees unmeasured: the next best is recommended, and has its row."""
    from search.optimizer import run as module

    def pretend(scenario, plans, scores):
        return np.where(plans.ep == 8, CLASSES.index("layout"), CLASSES.index("covered"))

    monkeypatch.setattr(module, "coverage_of", pretend)
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        settings = ["+experiment=qwen3_235b", "strategy=exact", "sensitivity=none", "space.gpus=[8]"]
        found = module.run(typed(compose("config", settings)))
    choice = found.choice
    costs = found.objectives.costs(found.plans, found.scores)
    feasible = np.flatnonzero(found.scores.feasible)

    def dominating(row):
        worse = np.all(costs[feasible] <= costs[row], axis=1) & np.any(costs[feasible] < costs[row], axis=1)
        return set(feasible[worse].tolist())

    assert choice.passed_over is not None
    assert dominating(choice.recommended)
    assert choice.recommended in found.front
    assert [row for row in found.front if dominating(row)] == [choice.recommended]


def test_intervals_hold_the_prediction_and_grow_with_ignorance():
    table = load_intervals().bounds
    for figure in table.values():
        for low, high in figure.values():
            assert 0 < low <= 1 <= high
        for wider in ("engine", "accelerator", "layout"):
            assert figure[wider][0] <= figure["covered"][0] * 1.001
            assert figure[wider][1] >= figure["covered"][1] * 0.999
        # Of the situations that a plan of a search can be in; the other two are of figures that others printed.
        widths = {name: h / lo for name, (lo, h) in figure.items() if name not in ("published", "offline")}
        assert widths["layout"] == max(widths.values())


def test_nothing_feasible_is_no_choice(outcome):
    choice, _ = chosen(outcome, violations=np.ones_like(outcome.scores.violations))
    assert choice is None


def test_policy_needs_one_deciding_column():
    with pytest.raises(ValueError, match="name one column"):
        Policy.from_config({"ttft_s": "min", "tpot_s": "min"}, {})
