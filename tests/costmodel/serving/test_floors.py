"""No batch of a range undercuts the floors of the range."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.evaluate import evaluate
from costmodel.plans import Plans
from costmodel.serving.floors import floors, has_floors
from search.inputs.compose import composed
from search.inputs.config import read_model, read_scenario

CASES = (
    ["+experiment=qwen3_235b"],
    ["+experiment=qwen3_235b", "engine=sglang", "engine.max_batched_tokens=1024", "workload.isl=3000"],
    ["+experiment=deepseek_r1_h200", "engine=vllm", "cluster=hgx8_400g"],
    ["+experiment=deepseek_r1_h200", "engine=trtllm", "workload.osl=64"],
    ["+experiment=llama_70b_h100", "engine=vllm", "engine.max_batched_tokens=512"],
    ["model=gpt_oss_120b", "hardware=b200_sxm", "engine=trtllm", "workload.prefix_hit=0.4"],
    ["model=qwen3_coder_next", "hardware=mi300x", "engine=vllm", "workload.isl=200", "workload.osl=1"],
    ["model=deepseek_v3_2", "hardware=b200_sxm", "engine=sglang"],
)
FIGURES = ("ttft_s", "burst_ttft_s", "tpot_s")


def scenario_of(overrides):
    config = composed(overrides)
    return read_scenario(config, read_model(config.model).architecture)


@pytest.fixture(scope="module")
def scenarios():
    return [scenario_of(case) for case in CASES]


def layout(draw_from, moe):
    """A layout of a random replica: degrees that fill each other, engines not asked."""
    tp, sp, pp, dp = draw_from(4), draw_from(2), draw_from(3), draw_from(2)
    groups = draw_from(4) if moe else 1
    width = tp * sp * groups
    ep = (
        1
        if not moe
        else int(np.random.default_rng(tp * 7 + groups).choice([d for d in range(1, width + 1) if width % d == 0]))
    )
    return {"gpus": width * pp * dp, "dp": dp, "pp": pp, "sp": sp, "tp": tp, "ep": ep}


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_no_batch_undercuts_the_floors(scenarios, data):
    scenario = data.draw(st.sampled_from(scenarios))
    assert has_floors(scenario)

    def power(most):
        return data.draw(st.sampled_from([2**i for i in range(most + 1)] + ([3] if most < 3 else [])))

    axes = layout(power, scenario.model.has_experts)
    first = data.draw(st.integers(1, 3000))
    last = first + data.draw(st.integers(0, max(first // 2, 8)))
    batches = np.arange(first, last + 1)
    if len(batches) > 150:
        rng = np.random.default_rng(first)
        batches = np.unique(np.concatenate([[first, last], rng.choice(batches, 150, replace=False)]))
    plans = Plans.of(**axes, batch=batches)
    found = evaluate(scenario, plans)
    bound = floors(scenario, plans.take([0]), np.array([last]))
    for figure in FIGURES:
        assert np.all(getattr(found, figure) >= getattr(bound, figure)[0]), figure
    assert np.all(found.output_tokens_per_s <= bound.output_tokens_per_s[0])


def test_floors_of_one_batch_are_near_what_is_scored(scenarios):
    """They would spare nothing if they were far below."""
    scenario = scenarios[0]
    plans = Plans.of(gpus=16, tp=4, ep=8, dp=2, batch=[1, 16, 64, 256])
    found, bound = evaluate(scenario, plans), floors(scenario, plans, plans.batch)
    assert np.all(bound.tpot_s > 0.99 * found.tpot_s)
    assert np.all(bound.ttft_s > 0.8 * found.ttft_s)
    assert np.all(bound.output_tokens_per_s < 1.05 * found.output_tokens_per_s)


def test_other_loops_have_no_floors(scenarios):
    scenario = scenarios[0]
    assert not has_floors(replace(scenario, waves=4.0))
    assert not has_floors(replace(scenario, synchronised=True))
    assert not has_floors(replace(scenario, engine=replace(scenario.engine, hold_steps=2.0)))
