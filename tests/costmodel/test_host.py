"""What launching a pass with prompts asks of the host: a floor, counted by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from costmodel.architecture import Layer, LayerRun, Quantization
from costmodel.blocks import DenseFfn, GroupedQueryAttention, LatentAttention
from costmodel.blocks.mla import Indexer
from costmodel.engine import Engine
from costmodel.evaluate import evaluate
from costmodel.formats import weight_format
from costmodel.scenario import Scenario
from tests.costmodel.worked_case import original, qwen3, worked_case

GROUPED = GroupedQueryAttention(64, 4, 128)
LATENT = LatentAttention(64, 1536, 512, 128, 64, 128)
SPARSE = replace(LATENT, indexer=Indexer(64, 128, 2048))
DENSE = replace(qwen3(), runs=(LayerRun(Layer(GROUPED, DenseFfn(12288)), 94),))


def eager(seconds: float, **changes: Any) -> Scenario:
    return worked_case(engine=replace(Engine("any"), eager_launch_s=seconds, **changes))


def test_launching_operations_one_by_one_is_a_floor_of_passes_with_prompts() -> None:
    scenario, plans = eager(1.5e-4), original(batch=4)
    setting = scenario.setting(scenario.layout(plans))
    launches = scenario.model.layer_count * len(list(scenario.model.kinds[0].operations(setting)))
    floor = 1.5e-4 * launches
    assert floor > 2 * evaluate(worked_case(), original(batch=1)).burst_ttft_s[0]
    assert evaluate(scenario, original(batch=1)).burst_ttft_s[0] == pytest.approx(floor, rel=0.01)
    assert evaluate(scenario, plans).ttft_s[0] >= floor
    assert evaluate(scenario, plans).tpot_s[0] < floor  # decode steps replay graphs
    slow = original(batch=256)
    assert evaluate(eager(1e-6), slow).burst_ttft_s[0] == evaluate(worked_case(), slow).burst_ttft_s[0]


def test_latent_attention_is_more_work_for_the_host() -> None:
    """Norms, copies and views of latents and heads that no term lists are launched as the listed operations are."""
    lone, scenario = original(batch=1), eager(1e-3)
    (kind,) = scenario.model.kinds
    latent = replace(kind, mixer=LATENT)
    scenario = replace(scenario, model=replace(scenario.model, runs=(LayerRun(latent, 94),)))
    listed = len(list(latent.operations(scenario.setting(scenario.layout(lone)))))
    found = evaluate(scenario, lone).burst_ttft_s[0]
    assert found == pytest.approx(94 * 1e-3 * (listed + LatentAttention.unlisted_operations), rel=0.01)
    assert LatentAttention.unlisted_operations > 0


@pytest.mark.parametrize(("name", "blackwell", "mixer", "experts", "inside"), [
    ("sglang", True, LATENT, "fp8", True), ("sglang", True, GROUPED, "nvfp4", True),
    ("sglang", True, GROUPED, "fp8", False), ("sglang", True, SPARSE, "fp8", False),
    ("sglang", False, LATENT, "fp8", False), ("vllm", True, LATENT, "fp8", False),
])  # fmt: skip
def test_one_call_may_choose_experts_and_compute_them(
    name: str, blackwell: bool, mixer: Any, experts: str, inside: bool
) -> None:
    """SGLang's generated kernels on Blackwell: nothing beside the operations of a layer."""
    scenario, lone = eager(1e-3, expert_kernels=name), original(batch=1)
    (kind,) = scenario.model.kinds
    peaks = {d: f for d, f in scenario.accelerator.peak_flops.items() if blackwell or d != "fp4"}
    scenario = replace(
        scenario,
        model=replace(
            scenario.model,
            runs=(LayerRun(replace(kind, mixer=mixer), 94),),
            quantization=Quantization.linear_layers(weight_format(experts)),
        ),
        accelerator=replace(scenario.accelerator, peak_flops=peaks, vendor="NVIDIA"),
    )
    assert scenario.accelerator.blackwell == blackwell
    dearer = replace(scenario, engine=replace(scenario.engine, eager_experts_s=2e-2))
    more = evaluate(dearer, lone).burst_ttft_s[0] - evaluate(scenario, lone).burst_ttft_s[0]
    assert more == pytest.approx(0.0 if inside else 94 * 2e-2, rel=0.01)


def test_passes_that_fit_a_captured_graph_are_not_launched_one_by_one() -> None:
    lone = original(batch=1)
    plain = evaluate(worked_case(), lone).burst_ttft_s[0]
    assert evaluate(eager(1e-3, captured_tokens=2048), lone).burst_ttft_s[0] == plain
    assert evaluate(eager(1e-3, captured_tokens=2047), lone).burst_ttft_s[0] > 10 * plain


def test_dense_layers_are_launched_one_by_one_only_if_asked() -> None:
    lone = original(batch=1, ep=1)
    plain, some, all_ = (
        evaluate(replace(scenario, model=DENSE), lone).burst_ttft_s[0]
        for scenario in (worked_case(), eager(1e-3), eager(1e-3, eager_layers="all"))
    )
    assert plain == some < all_


def test_layers_with_experts_are_more_work_for_the_host() -> None:
    """Beside their operations, where they are launched one by one; dense layers are not."""
    lone = original(batch=1)
    assert evaluate(eager(0.0, eager_experts_s=2e-2), lone).burst_ttft_s[0] == pytest.approx(94 * 2e-2, rel=0.01)
    both = evaluate(eager(1e-3, eager_experts_s=2e-2), lone).burst_ttft_s[0]
    assert both == pytest.approx(94 * 2e-2 + evaluate(eager(1e-3), lone).burst_ttft_s[0], rel=0.01)
    some, same = (
        evaluate(replace(eager(1e-3, eager_layers="all", **more), model=DENSE), original(batch=1, ep=1)).burst_ttft_s[0]
        for more in ({}, {"eager_experts_s": 2e-2})
    )
    assert some == same
