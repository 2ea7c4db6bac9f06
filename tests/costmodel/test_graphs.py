"""Which passes with prompts replay graphs, under SGLang's two sets of rules."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from costmodel.architecture import Architecture, Layer, LayerRun
from costmodel.blocks import MoeFfn
from costmodel.blocks.delta_net import GatedDeltaNet
from costmodel.blocks.mla import Indexer, LatentAttention
from costmodel.engine import PREFILL_GRAPHS, Engine
from costmodel.evaluate import evaluate
from costmodel.graphs import captured_tokens
from costmodel.hardware import Accelerator
from costmodel.plans import Plans
from tests.costmodel.worked_case import qwen3, worked_case

HOPPER = Accelerator("H", 80e9, 3e12, {"bf16": 1e15, "fp8": 2e15}, vendor="NVIDIA")
BLACKWELL = replace(HOPPER, peak_flops=HOPPER.peak_flops | {"fp4": 4e15})
AMD = replace(HOPPER, vendor="AMD", dependent_launch=False)
LAYOUT = worked_case().layout(Plans.of(gpus=[8, 8, 8], tp=[8, 4, 4], pp=[1, 2, 1], ep=1, batch=8))
BUDGET = 8192


def with_mixer(mixer, **changes) -> Architecture:
    return qwen3(runs=(LayerRun(Layer(mixer, MoeFfn(128, 8, 1536)), 61),), **changes)


GQA = qwen3()
SEEING = qwen3(vision_parameters=1)
MLA = with_mixer(LatentAttention(128, 1536, 512, 128, 64, 128))
SPARSE = with_mixer(LatentAttention(128, 1536, 512, 128, 64, 128, indexer=Indexer(64, 128, 2048)))
DELTA = with_mixer(GatedDeltaNet(16, 64, 128, 128, 4))


@pytest.mark.parametrize(
    ("rules", "model", "chip", "rows"),
    [
        # tp 8; pp 2; attn_dp 2
        ("breakable", GQA, HOPPER, (BUDGET, 0, BUDGET)),
        ("breakable", GQA, AMD, (0, 0, 0)),
        ("breakable", SEEING, HOPPER, (0, 0, 0)),
        ("breakable", MLA, HOPPER, (2048, 0, 2048)),
        ("breakable", MLA, BLACKWELL, (0, 0, 0)),
        ("breakable", SPARSE, BLACKWELL, (2048, 0, 2048)),
        ("breakable", replace(DELTA, vision_parameters=1), BLACKWELL, (BUDGET, 0, BUDGET)),
        ("piecewise", GQA, HOPPER, (BUDGET, 0, 0)),
        ("piecewise", MLA, BLACKWELL, (2048, 0, 0)),
        ("piecewise", SPARSE, HOPPER, (0, 0, 0)),
        ("piecewise", DELTA, HOPPER, (0, 0, 0)),
        ("piecewise", SEEING, HOPPER, (0, 0, 0)),
        ("counted", SEEING, AMD, (512, 512, 512)),
    ],
)
def test_which_models_and_layouts_have_graphs(rules: str, model: Architecture, chip: Accelerator, rows) -> None:
    engine = Engine("sglang", max_batched_tokens=BUDGET, captured_tokens=512, prefill_graphs=rules)
    assert np.broadcast_to(captured_tokens(engine, model, chip, LAYOUT), 3).tolist() == list(rows)


def test_a_pass_within_the_graphs_is_not_launched_by_the_host() -> None:
    """2,048 new tokens: within a budget of 8,192, beyond one of 1,024 that no pass exceeds."""
    one = Plans.of(gpus=8, tp=8, ep=8, batch=1)

    def ttft(**engine) -> float:
        eager = worked_case(engine=Engine("any", eager_launch_s=1e-3, **engine))
        return float(evaluate(eager, one).burst_ttft_s[0])

    plain = float(evaluate(worked_case(), one).burst_ttft_s[0])
    assert ttft(prefill_graphs="breakable") == plain
    assert ttft(prefill_graphs="counted") > 5 * plain


def test_every_set_of_rules_is_tried() -> None:
    assert set(PREFILL_GRAPHS) == {"counted", "breakable", "piecewise"}
