"""Multimodal models: their towers to the unit, and the language model wherever it stands in the config.

``wrappers/`` holds one small config of each kind, with sizes that no published model has, and the parameters that
transformers 5.24 builds from it (``make counts`` with this folder in SERVEFRONT_CASES builds them again).
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from costmodel.blocks import CrossAttentionLayer, GroupedQueryAttention
from costmodel.parameters import kv_bytes_per_token, parameters
from search.inputs.models import ConfigError, ReadModel, read_architecture, read_checkpoint
from search.inputs.models.towers import WRAPPERS, class_defaults

FOLDER = Path(__file__).with_name("wrappers")
COUNTS = {row["config"]: row for row in csv.DictReader((FOLDER / "parameters.csv").read_text().splitlines())}


def config(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return read


def read(fields: dict[str, Any], **arguments: Any) -> ReadModel:
    return read_architecture(fields, name="test", **arguments)


def counts(fields: dict[str, Any]) -> tuple[int, int]:
    model = read(fields).architecture
    return parameters(model), model.vision_parameters


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_both_parts_are_as_transformers_builds_them(name: str) -> None:
    row = COUNTS[name]
    assert counts(config(name)) == (int(row["language_parameters"]), int(row["vision_parameters"]))


def test_there_is_a_config_of_each_kind() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(COUNTS)
    # The others share a tower and a language model with one of these, or are not built by their default class.
    assert len(COUNTS) >= 35 and set(COUNTS) <= set(WRAPPERS)


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_text_only_leaves_the_towers_and_nothing_else(name: str) -> None:
    whole, alone = read(config(name)), read(config(name), text_only=True)
    assert alone.architecture.vision_parameters == 0 < whole.architecture.vision_parameters
    assert parameters(alone.architecture) == parameters(whole.architecture)
    assert any(line.startswith("text_only") for line in alone.assumptions)


def test_qwen2_5_vl_tower_by_hand() -> None:
    patches = 3 * 2 * 14 * 14 * 48
    layer = 48 + (48 * 144 + 144) + (48 * 48 + 48) + 48 + 2 * (48 * 80 + 80) + (80 * 48 + 48)
    merger = 48 + (192 * 192 + 192) + (192 * 64 + 64)
    assert counts(config("qwen2_5_vl"))[1] == patches + 3 * layer + merger


def test_whispers_encoder_by_hand() -> None:
    stem = (16 * 48 * 3 + 48) + (48 * 48 * 3 + 48) + 20 * 48
    # Keys have no bias.
    layer = 4 * 48 * 48 + 3 * 48 + (48 * 80 + 80) + (80 * 48 + 48) + 4 * 48
    assert counts(config("qwen2_audio"))[1] == stem + 2 * layer + 2 * 48 + (48 * 64 + 64)


def test_cross_attention_layers_are_resident_and_idle() -> None:
    """Llama 3.2 Vision: layers 1 and 3 of 4 attend to images; the embedding has eight rows more than the head."""
    attention = 2 * 64 * 64 + 2 * 64 * 32
    ffn = 3 * 64 * 96
    own = attention + ffn + 2 * 64
    across = own + 2 * 16 + 2
    model = read(config("mllama")).architecture
    assert parameters(model) == 2 * own + 2 * across + (130 + 8) * 64 + 130 * 64 + 64
    kinds = [type(model.kinds[k].mixer) for k in model.sequence]
    assert kinds == [GroupedQueryAttention, CrossAttentionLayer] * 2
    # Two heads of 16, keys and values, two bytes, in the two layers that attend to text.
    assert kv_bytes_per_token(model) == 2 * 2 * 2 * 16 * 2


def test_cross_attention_layers_must_exist() -> None:
    fields = config("mllama")
    fields["text_config"]["cross_attention_layers"] = [4]
    with pytest.raises(ConfigError, match="cross_attention_layers = 4"):
        read(fields)


@pytest.mark.parametrize("name", ["qwen3_omni_moe", "qwen2_5_omni"])
def test_the_thinker_of_an_omni_model_is_planned(name: str) -> None:
    inner = config(f"{name}_thinker")
    whole = {
        "model_type": name,
        "thinker_config": inner,
        "talker_config": {"hidden_size": 8},
        "enable_audio_output": True,
    }
    assert counts(whole) == counts(inner)
    assert any("talker" in line for line in read(whole).assumptions)


def test_flat_and_nested_are_the_same_model() -> None:
    """Qwen2.5-VL was published with the language model's keys at the top."""
    fields = config("qwen2_5_vl")
    text = fields.pop("text_config")
    text.pop("model_type")
    assert counts({**fields, **text}) == counts(config("qwen2_5_vl"))


def test_a_class_decides_what_is_tied_where_no_key_does() -> None:
    def tied(name: str, **outer: Any) -> bool:
        return read({**config(name), **outer}).architecture.tied_embeddings

    assert tied("mistral3") and tied("gemma3") and not tied("llava") and not tied("qwen3_vl")
    assert not tied("mistral3", tie_word_embeddings=False) and tied("qwen3_vl", tie_word_embeddings=True)


def test_internvl_as_published() -> None:
    """InternVL3 with its own code: InternViT-300M has 304,012,288 parameters (its model card says 304M), and two layers
    project squares of four patches."""
    text = {**config("llava")["text_config"], "model_type": "qwen2", "tie_word_embeddings": False, "hidden_act": "silu"}
    vision = {
        "model_type": "intern_vit_6b",
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "image_size": 448,
        "patch_size": 14,
        "qkv_bias": True,
        "qk_normalization": False,
        "norm_type": "layer_norm",
    }
    fields = {"model_type": "internvl_chat", "llm_config": text, "vision_config": vision, "downsample_ratio": 0.5}
    projector = 2 * 4096 + (4096 * 64 + 64) + (64 * 64 + 64)
    assert counts(fields)[1] == 304_012_288 + projector


def test_an_unknown_tower_is_refused_and_its_language_model_is_not() -> None:
    fields = {**config("llava"), "model_type": "brand_new_vl"}
    with pytest.raises(ConfigError, match=r"vision_config.*model\.text_only=true"):
        read(fields)
    assert parameters(read(fields, text_only=True).architecture) == counts(config("llava"))[0]


def test_a_shared_tower_must_be_known() -> None:
    fields = config("llava")
    fields["vision_config"]["model_type"] = "brand_new_vit"
    with pytest.raises(ConfigError, match="brand_new_vit.*clip_vision_model"):
        read(fields)


def test_audio_of_gemma_4_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="audio_config"):
        read({**config("gemma4"), "audio_config": {"hidden_size": 8}})


@pytest.mark.parametrize("key", ["hidden_size", "intermediate_size", "num_hidden_layers"])
@pytest.mark.parametrize("value", [0, -1, "64", True, 10**400])
def test_sizes_of_towers_are_checked(key: str, value: Any) -> None:
    fields = config("gemma3")
    fields["vision_config"][key] = value
    with pytest.raises(ConfigError, match=rf"vision_config\.{key}"):
        read(fields)


def test_an_unknown_key_of_shape_beside_the_language_model_is_refused() -> None:
    with pytest.raises(ConfigError, match="third_tower_width"):
        read({**config("gemma3"), "third_tower_width": 8})


def test_class_defaults_fill_what_a_wrapper_leaves_out() -> None:
    fields = config("llava")
    del fields["text_config"]["vocab_size"]
    assert class_defaults("llama")["vocab_size"] == 32_000 == read(fields).architecture.vocabulary
    assert not class_defaults("brand_new") and not class_defaults(None)


def test_a_folder_is_compared_with_its_towers_though_they_are_not_planned(tmp_path: Path) -> None:
    model = read(config("qwen3_vl")).architecture
    total = 2 * (parameters(model) + model.vision_parameters)
    (tmp_path / "config.json").write_text(json.dumps(config("qwen3_vl")))
    index = {"metadata": {"total_size": total}, "weight_map": {}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    alone = read_checkpoint(tmp_path, text_only=True)
    assert alone.architecture.vision_parameters == 0
    assert any(f"{total:,} bytes" in line for line in alone.files)


def test_gemma_4_saved_again_says_it_layer_by_layer() -> None:
    """transformers 5 writes full-attention layers' sizes beside each layer's number."""
    fields = config("gemma4")
    text = fields["text_config"]
    fields["text_config"] = {k: v for k, v in text.items() if not k.startswith(("global", "num_global"))}
    fields["text_config"]["per_layer_config"] = {"03": {"head_dim": text["global_head_dim"]}}
    assert counts(fields) == counts(config("gemma4"))


@pytest.mark.parametrize("wrong", [{"02": {"head_dim": 16}}, {"03": {"hidden_size": 8}}, {"x": {"head_dim": 16}}, [1]])
def test_other_sizes_layer_by_layer_are_refused(wrong: Any) -> None:
    fields = config("gemma4")
    fields["text_config"]["per_layer_config"] = wrong
    with pytest.raises(ConfigError, match="per_layer_config"):
        read(fields)
