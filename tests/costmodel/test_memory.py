"""Bytes of the worked case by hand, and how they grow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cost_strategies import CHECKS, plans_of, scenarios, scenarios_and_plans
from hypothesis import given
from hypothesis import strategies as st
from worked_case import original, qwen3, refined, worked_case

from costmodel.engine import Engine
from costmodel.evaluate import evaluate
from costmodel.memory import blocks, memory
from costmodel.operations import Collective, GroupedGemm
from costmodel.parameters import active_parameters, kv_bytes_per_token, parameters, weight_bytes
from costmodel.plans import Plans
from costmodel.scenario import Limits, Scenario
from costmodel.stages import Stages


def held(scenario: Scenario, plans: Plans, sequences: Any) -> Any:
    return memory(scenario, scenario.layout(plans), Stages.of(scenario.model, plans.pp), sequences)


def weights_of(plans: Plans, prefix: str) -> float:
    """Bytes on one rank of all layers' operations of that name."""
    scenario = worked_case()
    (kind,) = scenario.model.kinds
    operations = kind.operations(scenario.setting(scenario.layout(plans)))
    return 94 * sum(float(np.sum(op.weight_bytes)) for op in operations if op.name.startswith(prefix))


def test_parameters() -> None:
    assert parameters(qwen3()) == 235_093_634_560
    # 20.95e9 in matrices of the layers, 1.24e9 in the embedding and the head, and norms.
    matrices = 94 * (4096 * (64 + 8) * 128 + 64 * 128 * 4096 + 4096 * 128 + 8 * 3 * 4096 * 1536)
    assert matrices == pytest.approx(20.95e9, rel=1e-3)
    norms = 94 * (2 * 4096 + 2 * 128) + 4096
    assert active_parameters(qwen3()) == matrices + 2 * 151936 * 4096 + norms
    # Elements: FP8 takes one byte each, the rest two.
    sizes = weight_bytes(qwen3())
    assert sizes["fp8"] + sizes["bf16"] / 2 == 235_093_634_560


def test_cache_of_a_token() -> None:
    assert kv_bytes_per_token(qwen3()) == 96_256
    assert 256 * 4096 * kv_bytes_per_token(qwen3()) == pytest.approx(100.9e9, rel=1e-3)


def test_refined_plan() -> None:
    """16 experts on each of 8 GPUs is a whole replica's experts: 28.4 GB, where its authors wrote 14.69 GB in all."""
    assert weights_of(refined(), "experts") == 16 * 3 * 4096 * 1536 * 94 == pytest.approx(28.39e9, rel=1e-3)
    attention = weights_of(refined(), "attention.qkv") + weights_of(refined(), "attention.output")
    assert attention == pytest.approx(6.70e9 / 4, rel=1e-3) == pytest.approx(1.68e9, rel=3e-3)
    figures = held(worked_case(), refined(), np.array([128.0]))
    assert figures.weights_bytes[0] == pytest.approx(30.8e9, rel=1e-3)
    assert figures.kv_cache_bytes[0] == 128 * 4096 * 96_256 / 4 == pytest.approx(12.6e9, rel=2e-3)


def test_original_plan() -> None:
    """Its 68.5 % of 64 GB does hold. KV heads are fewer than tp 8, so that two ranks cache the same one."""
    figures = held(worked_case(), original(), np.array([128.0]))
    assert figures.kv_cache_bytes[0] == 128 * 4096 * 96_256 / 4
    assert figures.weights_bytes[0] + figures.kv_cache_bytes[0] == pytest.approx(42e9, rel=0.01)


def test_activations_of_the_refined_plan() -> None:
    """Two streams of 8192 rows, and the expert rows that 16,384 tokens make: in 4096, out 2 x 1536, in bf16."""
    figures = held(worked_case(), refined(), np.array([128.0]))
    assert figures.activation_bytes[0] == 2 * 8192 * 4096 * 2 + 16384 * (4096 + 3072) * 2
    many = held(worked_case(), refined(), np.array([1024.0]))
    assert many.activation_bytes[0] == 2 * 8192 * 4096 * 2 + 1024 * 151936 * 4  # fp32 logits of every sequence


def test_cache_capacity() -> None:
    scenario = worked_case(engine=Engine("any", reserve_bytes=3e9))
    figures = held(scenario, refined(), np.array([128.0]))
    free = 0.9 * 64e9 - 3e9 - figures.weights_bytes[0] - figures.activation_bytes[0]
    tokens = figures.kv_capacity_tokens[0]
    assert tokens % 16 == 0
    assert tokens * 96_256 / 4 <= free < (tokens + 16) * 96_256 / 4
    assert figures.seats[0] == tokens // 4096
    assert figures.total_bytes[0] == (
        figures.weights_bytes[0] + figures.kv_cache_bytes[0] + figures.activation_bytes[0] + 3e9
    )


def test_what_a_share_of_the_memory_is_a_share_of() -> None:
    """Half of 64 GB for everything, for weights and cache, or of what everything else leaves."""
    scenario = worked_case(engine=Engine("e", reserve_bytes=2e9))
    plans = Plans.of(gpus=16, tp=4, ep=16, dp=1, batch=64)
    capacity: dict[str, float] = {}
    for share_of in ("all", "static", "free"):
        limits = Limits(memory_fraction=0.5, memory_of=share_of)
        found = held(replace(scenario, limits=limits), plans, np.array([16.0]))
        bytes_of_token = float(found.kv_cache_bytes[0]) / 16 / scenario.lengths.total
        capacity[share_of] = float(found.kv_capacity_tokens[0]) * bytes_of_token
    weights, working = float(found.weights_bytes[0]), float(found.activation_bytes[0]) + 2e9
    expected = {"all": 32e9 - weights - working, "static": 32e9 - weights, "free": (64e9 - weights - working) / 2}
    assert capacity == pytest.approx(expected, rel=1e-3)


def test_blocks_round_up() -> None:
    assert blocks(np.array([0, 1, 16, 17]), 16).tolist() == [0, 16, 16, 32]


def test_weights_too_large_leave_no_seat() -> None:
    figures = held(worked_case(), Plans.of(gpus=1), np.array([1.0]))
    assert figures.weights_bytes[0] == sum(weight_bytes(qwen3()).values())
    assert (figures.seats[0], figures.kv_capacity_tokens[0]) == (0, 0)


def test_tied_head_is_copied_only_to_another_stage() -> None:
    scenario = worked_case(model=qwen3(tied_embeddings=True))
    table = 151936 * 4096 * 2
    tied, apart = (held(s, Plans.of(gpus=1), np.ones(1)).weights_bytes[0] for s in (scenario, worked_case()))
    assert apart - tied == table
    # A last stage of more than half of the layers is the fullest one and needs its own copy.
    one = worked_case(model=qwen3(2, tied_embeddings=True)), worked_case(model=qwen3(2))
    tied, apart = (held(s, Plans.of(gpus=2, pp=2), np.ones(1)).weights_bytes[0] for s in one)
    assert tied == apart


@CHECKS
@given(scenarios_and_plans())
def test_cache_grows_with_batch(drawn: tuple) -> None:
    scenario, plans = drawn
    larger = Plans.of(**{n: getattr(plans, n) for n in ("tp", "ep", "dp", "pp", "sp", "gpus")}, batch=plans.batch * 8)
    before, after = evaluate(scenario, plans), evaluate(scenario, larger)
    # Eight times as many sequences are more in every group of at most four.
    assert np.all(after.kv_cache_bytes_per_gpu > before.kv_cache_bytes_per_gpu)
    assert np.all(after.weights_bytes_per_gpu == before.weights_bytes_per_gpu)
    assert np.all(after.kv_capacity_tokens <= before.kv_capacity_tokens)


@CHECKS
@given(st.data(), st.sampled_from(("tp", "pp", "ep")))
def test_doubling_a_degree_never_adds_weights(data: Any, axis: str) -> None:
    """With equal layers: of unequal ones, more stages can put two heavy ones together that fewer kept apart."""
    scenario = data.draw(scenarios(moe=True, runs=1))
    plan = data.draw(plans_of(scenario))
    if axis == "pp" and 2 * plan.pp[0] > scenario.model.layer_count:
        return
    row = plan.row(0)
    doubled = Plans.of(**(row | {axis: 2 * row[axis], "gpus": 2 * row["gpus"]}))
    before, after = evaluate(scenario, plan), evaluate(scenario, doubled)
    assert after.weights_bytes_per_gpu[0] <= before.weights_bytes_per_gpu[0]


def test_tp_one_sends_nothing() -> None:
    """Every message among tensor-parallel ranks is among one."""
    scenario, plans = worked_case(), Plans.of(gpus=8, ep=8, batch=64)
    setting = scenario.setting(scenario.layout(plans))
    for operations in (scenario.model.kinds[0].operations(setting), scenario.model.head(setting)):
        for op in operations:
            if isinstance(op, Collective) and op.name not in ("experts.dispatch", "experts.combine"):
                assert np.all(op.size == 1), op.name
            if isinstance(op, GroupedGemm):
                assert np.all(op.local == 16)
