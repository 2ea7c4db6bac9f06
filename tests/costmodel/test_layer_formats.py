"""Layers in formats of their own: kept apart, and in bytes and time what a whole model in that format is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from worked_case import FP8, qwen3, refined, worked_case

from costmodel.architecture import Architecture, Layer, LayerRun, Quantization
from costmodel.evaluate import evaluate
from costmodel.formats import BF16, FORMATS, WeightFormat
from costmodel.parameters import parameters, weight_bytes

MODULES = ("attention.qkv", "attention.output", "experts.up", "experts.down")
NVFP4 = FORMATS["nvfp4"]


def mixed(first: int, format: WeightFormat = BF16, modules: tuple[str, ...] = MODULES) -> Architecture:
    """The worked case in FP8, its first layers in another format."""
    model = qwen3()
    layer = model.runs[0].layer
    other = replace(layer, formats=tuple((name, format) for name in modules))
    runs = (LayerRun(other, first), LayerRun(layer, 94 - first))
    return replace(model, runs=tuple(run for run in runs if run.count))


@pytest.mark.parametrize("format", [BF16, NVFP4])
def test_all_layers_in_a_format_are_the_model_in_it(format: WeightFormat) -> None:
    whole = qwen3(quantization=Quantization.linear_layers(format))
    assert weight_bytes(mixed(94, format)) == weight_bytes(whole)
    assert weight_bytes(mixed(0)) == weight_bytes(qwen3())
    ours, theirs = (evaluate(worked_case(model=m), refined()) for m in (mixed(94, format), whole))
    np.testing.assert_allclose(ours.weights_bytes_per_gpu, theirs.weights_bytes_per_gpu, rtol=1e-12)


@pytest.mark.parametrize("first", [1, 30, 93])
def test_bytes_by_hand(first: int) -> None:
    """A layer of Qwen3-235B: 4096 x (64 + 2 x 4) x 128 and 8192 x 4096 of attention, 128 experts of 3 x 4096 x 1536."""
    layer = 4096 * 72 * 128 + 8192 * 4096 + 128 * 3 * 4096 * 1536
    model = mixed(first)
    assert parameters(model) == parameters(qwen3())
    assert sum(weight_bytes(model).values()) == sum(weight_bytes(qwen3()).values()) + first * layer
    assert weight_bytes(model)["fp8"] == (94 - first) * layer
    assert [model.sequence.count(kind) for kind in range(2)] == [first, 94 - first]


def test_one_module_of_one_layer() -> None:
    model = mixed(1, modules=("attention.output",))
    assert sum(weight_bytes(model).values()) - sum(weight_bytes(qwen3()).values()) == 8192 * 4096


def test_more_layers_in_bf16_take_more_memory_and_time() -> None:
    scores = [evaluate(worked_case(model=mixed(first)), refined(batch=64)) for first in (0, 20, 60, 94)]
    for figure in ("weights_bytes_per_gpu", "tpot_s"):
        steps = np.diff([float(getattr(s, figure)[0]) for s in scores])
        assert (steps > 0).all()


def test_the_busiest_stage_holds_the_dearer_layers() -> None:
    """Two stages of 47 layers: the first has those in bf16."""
    scores = evaluate(worked_case(model=mixed(47)), refined(gpus=32, pp=2))
    plain = evaluate(worked_case(), refined(gpus=32, pp=2))
    layer = 4096 * 72 * 128 / 4 + 8192 * 4096 / 4 + 128 / 8 * 3 * 4096 * 1536
    assert float(scores.weights_bytes_per_gpu[0] - plain.weights_bytes_per_gpu[0]) == pytest.approx(
        47 * layer, rel=0.01
    )


def test_the_longest_name_decides() -> None:
    changed = Quantization(FP8, {"attention": BF16}).changed([("attention.output", NVFP4)])
    assert [changed.of(n) for n in ("attention.qkv", "attention.output", "experts.up")] == [BF16, NVFP4, FP8]
    assert Layer(None, None).formats == ()
