"""Number formats from ``quantization_config``: which modules, which bytes, which cache."""

from __future__ import annotations

import time
from typing import Any

import pytest

from costmodel.parameters import weight_bytes
from search.inputs.models import ConfigError, read_architecture, read_catalog_model
from search.inputs.models.catalog import load_entry

MOE = load_entry("qwen3_30b_a3b")["published"]


def formats(quantization: dict[str, Any], **arguments: Any) -> Any:
    return read_architecture(MOE | {"quantization_config": quantization}, name="test", **arguments)


def test_fp8_by_block_and_by_tensor() -> None:
    of = formats({"quant_method": "fp8", "weight_block_size": [128, 128]}).architecture.quantization.of
    assert of("experts.up").bytes_per_element == 1 + 4 / 128**2
    assert [of(n).name for n in ("embedding", "head", "router", "norm.final")] == ["bf16"] * 4
    assert formats({"quant_method": "fp8"}).architecture.quantization.of("attention.qkv").bytes_per_element == 1


@pytest.mark.parametrize(
    "ignored",
    [
        ["model.layers.*.self_attn"],
        ["model.layers.*.self_attn*"],
        ["re:.*self_attn.*"],
        ["self_attn"],
        [f"model.layers.{i}.self_attn.{p}_proj" for i in range(48) for p in "qkvo"],
        [f"language_model.model.layers.{i}.self_attn" for i in range(48)],
        [f"model.layers.{i}.self_attn*" for i in range(48)],
    ],
)
def test_spellings_of_exclusion(ignored: list[str]) -> None:
    of = formats({"quant_method": "fp8", "modules_to_not_convert": ignored}).architecture.quantization.of
    assert of("attention.qkv").name == of("attention.output").name == "bf16"
    assert of("experts.up").name == "fp8"


def test_gate_is_not_gate_proj() -> None:
    of = formats({"quant_method": "fp8", "modules_to_not_convert": ["gate", "lm_head"]}).architecture.quantization.of
    assert of("experts.up").name == of("attention.qkv").name == "fp8"


def test_layers_that_differ_are_kept_apart() -> None:
    whole = formats({"quant_method": "fp8"}).architecture
    model = formats({"quant_method": "fp8", "modules_to_not_convert": ["model.layers.0.self_attn"]})
    architecture = model.architecture
    assert architecture.quantization.of("attention.qkv").name == "fp8"
    assert [run.count for run in architecture.runs] == [1, 47]
    attention = 2048 * (32 * 128 * 2 + 4 * 128 * 2)
    more = sum(weight_bytes(architecture).values()) - sum(weight_bytes(whole).values())
    assert more == attention  # one byte more for each of one layer's weights
    assert any("attention.qkv fp8, bf16" in line for line in model.assumptions)


def test_caches() -> None:
    nvfp4 = {"quant_method": "modelopt", "quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8"}
    model = formats(nvfp4).architecture
    assert model.kv_format.name == "fp8"
    assert model.quantization.of("experts.up").bytes_per_element == 0.5 + 1 / 16
    assert formats(nvfp4, kv_cache="bf16").architecture.kv_format.name == "bf16"


def test_weight_only() -> None:
    awq = {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True}
    assert formats(awq).architecture.quantization.of("experts.up").bytes_per_element == 0.5 + 2.5 / 128
    gptq = {"quant_method": "gptq", "bits": 4, "group_size": 64, "sym": True}
    assert formats(gptq).architecture.quantization.of("experts.up").bytes_per_element == 0.5 + 2 / 64


def test_mxfp4_converts_experts_alone() -> None:
    of = read_catalog_model("gpt_oss_120b").architecture.quantization.of
    assert of("experts.down").name == "mxfp4"
    assert of("attention.qkv").name == of("router").name == "bf16"


@pytest.mark.parametrize(
    "quantization",
    [
        {"quant_method": "compressed-tensors"},
        {"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"num_bits": 7}}}},
        {"quant_method": "gptq", "bits": 7},
        {"quant_method": "fp8", "weight_block_size": [128, 0]},
        {"quant_method": "fp8", "ignored_layers": ["re:(a*)*b"]},
        {"quant_method": "fp8", "ignored_layers": ["re:(unclosed"]},
        {"quant_method": "modelopt", "quant_algo": "W1A1"},
        {},
    ],
)
def test_refusals(quantization: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        formats(quantization)


def test_patterns_cannot_stall() -> None:
    started = time.monotonic()
    with pytest.raises(ConfigError, match="too many repetitions"):
        formats({"quant_method": "fp8", "ignored_layers": ["re:" + ".*" * 30 + "x"]})
    formats({"quant_method": "fp8", "ignored_layers": [f"model.layers.{i}.mlp*gate*x" for i in range(500)]})
    assert time.monotonic() - started < 20
