"""A mutated folder gives a model or one line of complaint; a quantisation is never passed over for bf16."""

from __future__ import annotations

import copy
import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costmodel.parameters import weight_bytes
from search.inputs.models import ConfigError, ReadModel, read_checkpoint
from search.inputs.models.catalog import load_entry
from tests.search.inputs.models.test_model_fuzz import odd

MODELS = ("qwen3_30b_a3b", "llama_3_1_8b", "deepseek_v3", "nemotron_3_nano_30b", "gemma_4_26b", "qwen3_coder_next")
LAYERS = [f"model.layers.{i}.self_attn.{p}_proj" for i in range(3) for p in "qkvo"]
GROUP = {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "float"}, "input_activations": None}
QUANTIZED: tuple[dict[str, Any], ...] = (
    {"quant_method": "fp8", "weight_block_size": [128, 128], "modules_to_not_convert": ["lm_head", *LAYERS]},
    {"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16, "ignore": ["lm_head", "*self_attn*"]},
    {"quant_method": "modelopt", "quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}},
    {
        "quant_method": "modelopt",
        "quant_algo": "MIXED_PRECISION",
        "quantized_layers": {name: {"quant_algo": "FP8"} for name in LAYERS},
    },
    {"quant_method": "compressed-tensors", "config_groups": {"group_0": GROUP}, "ignore": ["re:.*lm_head"]},
    {"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True, "dynamic": {r"-:.*\.0\..*": {}}},
    {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True, "modules_to_not_convert": ["gate"]},
    {"quant_method": "auto-round", "bits": 4, "group_size": 128, "sym": True, "extra_config": {LAYERS[3]: {"bits": 8}}},
    {"quant_method": "bitsandbytes", "load_in_4bit": True, "llm_int8_skip_modules": ["lm_head"]},
    {"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp4"}}, "export": {"kv_cache_group": []}},
    {"quant_method": "torchao", "quant_type": {"default": {"_type": "Int4WeightOnlyConfig", "_data": {}}}},
    {"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": 4, "group_size": 64}}},
    {"group_size": 64, "bits": 4, "model.layers.0.self_attn.o_proj": {"group_size": 64, "bits": 8}},
    {"quant_method": "aqlm"},
)


def _places(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(place for child in inner if isinstance(child, dict | list) for place in _places(child))]


@st.composite
def changed(draw: st.DrawFn, start: Any, times: int = 3) -> Any:
    value = copy.deepcopy(start)
    for _ in range(draw(st.integers(0, times))):
        target = draw(st.sampled_from(_places(value)))
        if not target:
            continue
        key = draw(st.sampled_from(sorted(target) if isinstance(target, dict) else range(len(target))))
        if draw(st.booleans()):
            del target[key]
        else:
            target[key] = draw(odd)
    return value


def _read(folder: Path) -> ReadModel | None:
    try:
        return read_checkpoint(folder, name="fuzz")
    except ConfigError as error:
        complaint = str(error)
    assert "\n" not in complaint
    assert 0 < len(complaint) < 900
    return None


def _write(folder: Path, name: str, content: Any) -> None:
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(MODELS), st.sampled_from(QUANTIZED).flatmap(changed), st.booleans())
def test_no_quantisation_is_passed_over(model: str, quantization: Any, inside: bool) -> None:
    config = load_entry(model)["published"]
    config = {k: v for k, v in config.items() if k != "quantization_config"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if inside or not isinstance(quantization, dict):
            _write(folder, "config.json", config | {"quantization_config": quantization})
        else:
            _write(folder, "config.json", config)
            _write(folder, "hf_quant_config.json", {"quantization": quantization.get("quantization", quantization)})
        found = _read(folder)
    if found is None or not isinstance(quantization, dict):
        return
    only_bf16 = set(weight_bytes(found.architecture)) == {"bf16"}
    said = json.dumps(quantization)
    nothing = '"quant_algo": null' in said or ('"bits": ' in said and "auto-round" in said)
    named = any(word in said for word in ("quantized_layers", "config_groups", "quant_config", "modules_in_block"))
    everything = any(word in said for word in ('"model"', '""', '"*"', '"layers"'))
    algorithm = '"quant_algo"' in said or "kv_cache_quant_algo" not in said
    assert not only_bf16 or nothing or named or everything or not algorithm


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(MODELS),
    st.one_of(odd, changed({"quantization": {"quant_algo": "NVFP4", "exclude_modules": ["lm_head", *LAYERS]}})),
    st.one_of(odd, changed({"metadata": {"total_size": 61_064_245_248}, "weight_map": {"a": "model.safetensors"}})),
    st.one_of(odd, changed({"max_length": 4096, "max_new_tokens": 10})),
    st.binary(max_size=64),
)
def test_folders(model: str, formats: Any, index: Any, lengths: Any, weights: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder, "config.json", load_entry(model)["published"])
        _write(folder, "hf_quant_config.json", formats)
        _write(folder, "model.safetensors.index.json", index)
        _write(folder, "generation_config.json", lengths)
        if len(weights) % 2:
            (folder / "model.safetensors").write_bytes(weights)
        _read(folder)
