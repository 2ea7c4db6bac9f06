"""Plans that a bound counts without scoring: every count and every answer is that of scoring all of them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.columns import column
from costmodel.plans import AXES
from search.inputs.compose import composed
from search.optimizer import run as module
from search.optimizer import settled as bounds
from search.optimizer import stream as streaming
from search.optimizer.legal import NoLegalPlan

BARE = ["strategy=exact", "sensitivity=none", "report=none"]
MODELS = {
    "worked": ["+experiment=qwen3_235b"],
    "dense": ["+experiment=llama_70b_h100", "limits.ttft_s=3"],
    "mean": ["+experiment=llama_70b_h100", "limits.ttft_s=3", "limits.ttft_statistic=mean", "limits.tpot_s=0.03"],
    "calibrated": ["model=qwen3_30b_a3b_fp8", "hardware=h100_sxm", "engine=vllm", "limits=interactive"],
    "latent": ["+experiment=deepseek_r1_h200"],
}


@pytest.fixture(scope="module")
def configs():
    return {name: composed([*overrides, *BARE]) for name, overrides in MODELS.items()}


def some(draw, values, most):
    return sorted(draw(st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True)))


def runs(config, near):
    """The outcome of scoring all plans, and of scoring as few as the bounds leave, in small pieces."""
    with pytest.MonkeyPatch.context() as patched:
        whole = module.run(config)
        patched.setattr(module, "HELD", 0)
        patched.setattr(streaming, "PIECE", 300)
        patched.setattr(bounds, "PIECE", 50)
        patched.setattr(streaming, "MOST_NEAR", near)
        return whole, module.run(config)


def same(whole, few):
    assert replace(few.tally, spared=0, late=0) == whole.counted
    for axis in AXES:
        assert np.array_equal(getattr(whole.plans, axis)[whole.front], getattr(few.plans, axis)[few.front])
    a, b = whole.choice, few.choice
    assert (a is None) == (b is None)
    if a is None:
        return
    rows = [(c.recommended, c.runner_up, c.passed_over, *(r.row for r in c.relaxed)) for c in (a, b)]
    plans = [
        [None if row is None else o.plans.row(row) for row in own] for o, own in zip((whole, few), rows, strict=True)
    ]
    assert plans[0] == plans[1]
    assert [(r.limit, r.gain) for r in a.relaxed] == [(r.limit, r.gain) for r in b.relaxed]


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_the_same_as_without_bounds(configs, data):
    draw = data.draw
    config = configs[draw(st.sampled_from(sorted(MODELS)))]
    first = draw(st.integers(1, 300))
    space = replace(
        config.space,
        gpus=some(draw, [8, 16, 24, 32, 48, 64], 3),
        dp=some(draw, [1, 2, 3, 4, 6, 8], 3),
        pp=some(draw, [1, 2, 4], 2),
        sp=1,
        tp=some(draw, [1, 2, 4, 8], 3),
        ep=some(draw, [1, 8, 16], 3),
        batch=[f"{first}:{first + draw(st.integers(1, 400))}:{draw(st.integers(1, 20))}", *range(1, min(first, 4))],
    )
    recommend = draw(
        st.sampled_from(
            [{"output_tokens_per_s_per_gpu": "max"}, {"tpot_s": "min"}, {"gpus": "min"}, {"decode_mfu": "max"}]
        )
    )
    scale = draw(st.sampled_from([0.2, 1.0, 3.0]))
    limits = replace(config.limits, ttft_s=None if config.limits.ttft_s is None else scale * config.limits.ttft_s)
    config = replace(config, space=space, limits=limits, objective=replace(config.objective, recommend=recommend))
    near = draw(st.sampled_from([1, 5, 60]))
    try:
        same(*runs(config, near))
    except NoLegalPlan:
        return


def wide(config):
    space = replace(
        config.space,
        gpus=[8, 16, 24, 48],
        dp=[1, 2, 3, 6],
        pp=[1, 2, 4],
        sp=1,
        tp=[1, 2, 4, 8],
        ep=[8],
        batch=["8:4096:8"],
    )
    return replace(config, space=space)


def test_much_is_spared(configs, monkeypatch):
    """The test above would pass if nothing were."""
    whole, few = runs(wide(configs["worked"]), 60)
    same(whole, few)
    assert few.tally.late > 0.1 * len(few.legal)
    assert few.tally.spared > 0.5 * len(few.legal)
    monkeypatch.setattr(bounds, "has_floors", lambda scenario: False)
    fitting = runs(wide(configs["worked"]), 60)[1]
    assert fitting.tally.late == 0
    name, direction = whole.policy.first
    assert direction == "max"
    best = [np.sort(column(name, o.plans, o.scores))[::-1][:60] for o in (fitting, few)]
    assert np.array_equal(*best)  # what the sensitivity starts from


def test_what_looks_at_plans_that_miss_a_limit_sees_all():
    words = ["objective.confidence=0.5", "sensitivity.draws=5", "sensitivity.most_ranked=20"]
    config = wide(composed([*MODELS["worked"], "strategy=exact", "report=none", *words]))
    assert runs(config, 60)[1].tally.late == 0


def test_limits_at_a_rate_are_counted_in_pieces():
    words = ["workload.requests_per_s=2", "workload.arrivals.kind=poisson", "objective=rate", "verify.top=0"]
    space = ["space.gpus=[8]", "space.pp=[1]", "space.batch=[8,64,256,1024]"]
    config = composed(["+experiment=llama_70b_h100", *BARE, *words, *space])
    whole, few = runs(config, 60)
    same(whole, few)
