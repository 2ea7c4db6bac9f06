"""What is worked out once for plans of one layout is the same to the last bit as plan by plan."""

import numpy as np
import pytest

from costmodel.evaluate import evaluate
from costmodel.layout import EACH, Runs
from costmodel.plans import Plans
from costmodel.plans import concatenate as join_plans
from costmodel.scores import FIGURES
from costmodel.serving import passes
from search.inputs.compose import composed
from search.inputs.config import read_model, read_scenario

LAYOUTS = [(16, 1, 1, 1, 4, 16), (16, 1, 2, 1, 8, 8), (32, 2, 1, 1, 8, 16), (64, 1, 4, 1, 4, 16)]


def test_runs_are_found_and_spread():
    runs = Runs.of([np.array([1, 1, 1, 1, 1, 2, 2, 2]), np.array([3, 3, 3, 3, 3, 3, 3, 3])])
    assert runs.starts.tolist() == [0, 5]
    assert runs.once(lambda a, b: a * b, np.array([1, 1, 1, 1, 1, 2, 2, 2]), 2.0).tolist() == [2] * 5 + [4] * 3
    assert runs.spread(runs.first(np.ones((3, 8)))).shape == (3, 8)
    assert Runs.of([np.arange(8)]) is EACH
    assert EACH.once(np.sum, np.arange(3)) == 3


@pytest.mark.parametrize(
    "overrides",
    [
        ["+experiment=qwen3_235b", "cluster=hgx8_400g"],
        ["model=deepseek_r1", "hardware=h200_sxm", "cluster=hgx8_400g", "engine=vllm"],
        ["model=gemma_3_27b", "hardware=b200_sxm", "cluster=hgx8_400g", "engine=sglang"],
    ],
    ids=lambda o: o[0],
)
def test_neighbours_of_one_layout_score_as_each_alone(overrides):
    config = composed(overrides)
    scenario = read_scenario(config, read_model(config.model).architecture)
    layouts = [a for a in LAYOUTS if scenario.model.has_experts] or [(g, d, p, s, t, 1) for g, d, p, s, t, _ in LAYOUTS]
    gpus, dp, pp, sp, tp, ep = (np.repeat(column, 9) for column in zip(*layouts, strict=True))
    if not scenario.model.has_experts:
        gpus = dp * pp * sp * tp
    plans = Plans.of(gpus=gpus, dp=dp, pp=pp, sp=sp, tp=tp, ep=ep, batch=np.tile(2 ** np.arange(9), len(layouts)))
    assert scenario.layout(plans).runs.starts is not None
    together = evaluate(scenario, plans)
    for i in range(0, len(plans), 5):
        alone = evaluate(scenario, plans.take([i]))
        for figure in FIGURES:
            assert getattr(alone, figure)[0] == getattr(together, figure)[i], figure


def test_passes_of_prompts_that_are_alike_are_timed_once(monkeypatch):
    config = composed(["+experiment=qwen3_235b", "cluster=hgx8_400g"])
    scenario = read_scenario(config, read_model(config.model).architecture)
    batch = np.arange(1, 201)
    plans = join_plans([Plans.of(gpus=32, tp=4, ep=16, dp=2, batch=batch), Plans.of(gpus=8, tp=2, pp=4, batch=batch)])
    cells = []
    found = passes._different

    def spied(step):
        different = found(step)
        cells.append((2 * len(plans), None if different is None else len(different.cells)))
        return different

    monkeypatch.setattr(passes, "_different", spied)
    once = evaluate(scenario, plans)
    assert [len(cells), cells[0][1] is not None and 3 * cells[0][1] < cells[0][0]] == [1, True]
    monkeypatch.setattr(passes, "_different", lambda step: None)
    each = evaluate(scenario, plans)
    for figure in FIGURES:
        assert np.array_equal(getattr(once, figure), getattr(each, figure)), figure
