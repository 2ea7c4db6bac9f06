"""A table against what it is a table of."""

from __future__ import annotations

import numpy as np
import pytest
from worked_case import qwen3, worked_case

from costmodel.architecture import Layer, LayerRun
from costmodel.blocks import DenseFfn
from costmodel.blocks.delta_net import GatedDeltaNet
from costmodel.blocks.gqa import GroupedQueryAttention
from costmodel.engine import Engine
from costmodel.plans import Plans
from costmodel.serving.step_table import Passes, StepTable, slowest_stages

SEQUENCES = 128
ENGINES = {
    "bare": Engine("any"),
    "eager": Engine("vllm", eager_launch_s=4e-5, eager_experts_s=3e-4, captured_tokens=512, sequence_overhead_s=1e-5),
    "skewed": Engine("sglang", expert_skew=1.5, exchange="alltoall", shared_stream_tokens=256),
}
PLANS = {
    "tp": Plans.of(tp=8, ep=8, gpus=8, batch=128),
    "groups": Plans.of(tp=2, ep=8, gpus=8, batch=512),
    "sp": Plans.of(tp=4, sp=2, ep=8, gpus=8, batch=128),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("plan", PLANS)
def test_ten_thousand_passes_are_within_a_hundredth(engine: str, plan: str) -> None:
    scenario = worked_case(engine=ENGINES[engine])
    check(scenario, PLANS[plan], 10_000)


def test_windows_and_recurrent_layers() -> None:
    """Attention under a window bends where the window is full; a scan runs over decodes and prompts at once."""
    ffn = DenseFfn(12288)
    window = Layer(GroupedQueryAttention(64, 4, 128, window=1024), ffn)
    recurrent = Layer(GatedDeltaNet(16, 32, 128, 128, 4), ffn)
    model = qwen3(runs=(LayerRun(window, 10), LayerRun(recurrent, 10)))
    check(worked_case(model=model), Plans.of(tp=4, gpus=4, batch=128), 5_000)


@pytest.mark.parametrize("stage", [None, 0, 2, 3])
def test_a_pipeline_as_a_whole_and_stage_by_stage(stage: int | None) -> None:
    """94 layers on four stages: 23, 24, 24 and 23, the last with the head."""
    scenario, plan = worked_case(engine=ENGINES["eager"]), Plans.of(tp=2, pp=4, ep=2, gpus=8, batch=128)
    check(scenario, plan, 3_000, stage)
    assert slowest_stages(scenario, plan) == [0, 1, 3]


def check(scenario: object, plan: Plans, count: int, stage: int | None = None) -> None:
    table = StepTable.of(scenario, plan, SEQUENCES, 32768, stage)  # type: ignore[arg-type]
    passes = Passes(scenario, plan, stage)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    groups, sp = table.groups, table.sp
    decodes = rng.integers(0, SEQUENCES + 1, count)
    tokens = np.where(rng.random(count) < 0.5, 0, np.exp(rng.uniform(0, np.log(8192 - SEQUENCES), count)).astype(int))
    tokens = np.where(decodes + tokens == 0, 64, tokens) // sp * sp
    tokens = np.where(decodes + tokens == 0, sp, tokens)
    context = np.exp(rng.uniform(np.log(16), np.log(32000), count))
    seen = (tokens + 1) / 2 + np.where(rng.random(count) < 0.5, 0, np.exp(rng.uniform(0, np.log(30000), count)))
    samples = np.clip(decodes + (tokens > 0), 1, SEQUENCES)
    rows = decodes + tokens // sp
    others = (rows * sp * (groups - 1) * rng.uniform(0, 1, count)).astype(int)
    stage = decodes + tokens + others
    exact = passes.whole_seconds(
        rows=rows, stage_rows=stage, decodes=decodes, context=context, tokens=tokens, seen=seen, samples=samples
    )
    asked = zip(*(a.tolist() for a in (decodes, context, tokens, seen, samples, stage)), strict=True)
    found = np.array([table.seconds(*each) for each in asked])
    assert np.max(np.abs(found / exact - 1.0)) < 0.01
