"""What the reader takes, refuses and assumes. Each refusal is one line that names the key."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from costmodel.blocks import GatedDeltaNet, GroupedQueryAttention, LatentAttention, Mamba2, MoeFfn
from costmodel.parameters import parameters
from search.inputs.models import ConfigError, find_model, load_config_json, read_architecture, read_catalog_model
from search.inputs.models.catalog import load_entry

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
    "tie_word_embeddings": False,
    "hidden_act": "silu",
}
MOE = LLAMA | {
    "model_type": "qwen3_moe",
    "num_experts": 8,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "head_dim": 16,
}


def read(config: dict[str, Any], **arguments: Any) -> Any:
    return read_architecture(config, name="test", **arguments)


def test_dense_count_by_hand() -> None:
    # Embedding and head 2 x 100 x 64; a layer: q, k, v 64 x (64 + 64), o 64 x 64, FFN 3 x 64 x 128, norms 2 x 64.
    assert parameters(read(LLAMA).architecture) == 12_800 + 2 * (8192 + 4096 + 24_576 + 128) + 64


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hidden_size": -64}, "hidden_size = -64"),
        ({"hidden_size": 0}, "hidden_size = 0"),
        ({"hidden_size": "64"}, "hidden_size = '64'"),
        ({"num_hidden_layers": True}, "num_hidden_layers = True"),
        ({"num_hidden_layers": math.nan}, "num_hidden_layers = nan"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers = 1000000000"),
        ({"vocab_size": 10**400}, "vocab_size"),
        ({"num_key_value_heads": 3}, "multiple of num_key_value_heads = 3"),
        ({"num_attention_heads": 6, "num_key_value_heads": 2}, "hidden_size = 64"),
        ({"hidden_size": None}, "hidden_size is missing"),
        ({"attention_bias": 1}, "attention_bias = 1 must be true or false"),
        ({"num_experts": 8}, "num_experts = 8"),
        ({"moe_intermediate_size": 0}, "moe_intermediate_size = 0"),
        ({"expert_layer_period": None}, "expert_layer_period"),
        ({"attention_sink_width": 4}, "attention_sink_width"),
        ({"model_type": "nemotron-nas"}, "block_configs"),
        ({"model_type": 7}, "model_type = 7"),
        ({"quantization_config": {"quant_method": "mystery"}}, "quantization_config.quant_method = 'mystery'"),
        ({"quantization_config": "fp8"}, "quantization_config = 'fp8'"),
        ({"text_config": []}, "text_config"),
        ({"vision_config": {"depth": 2}}, "vision_config"),
    ],
)
def test_refusals_name_the_key(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(LLAMA | change)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_experts_per_tok": 9}, "must not exceed the 8 experts"),
        ({"n_routed_experts": 16}, "contradicts"),
        ({"num_experts": 0}, "num_experts = 0"),
        ({"mlp_only_layers": [0, 1]}, "none of its 2 layers"),
        ({"mlp_only_layers": [5]}, "mlp_only_layers = 5"),
        ({"decoder_sparse_step": 0}, "decoder_sparse_step = 0"),
        ({"n_shared_experts": 0, "shared_expert_intermediate_size": 32}, "contradicts"),
        ({"expert_groups_extra": 2}, "expert_groups_extra"),
        ({"layer_types": ["full_attention"]}, "layer_types has 1 entries"),
        ({"layer_types": ["full_attention", "sparse_attention"]}, "sparse_attention"),
    ],
)
def test_contradictions_of_experts(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read(MOE | change)


def test_formats_are_checked() -> None:
    with pytest.raises(ConfigError, match="weights = 'fp7' must be one of"):
        read(LLAMA, weights="fp7")
    model = read(LLAMA, weights="fp8", kv_cache="fp8")
    assert model.architecture.kv_format.name == "fp8"
    assert any("cast to fp8" in line for line in model.assumptions)


def test_unknown_type_is_read_by_its_fields_or_refused() -> None:
    model = read(LLAMA | {"model_type": "brand_new"})
    assert parameters(model.architecture) == parameters(read(LLAMA).architecture)
    assert any("brand_new is unknown" in line for line in model.assumptions)
    with pytest.raises(ConfigError, match="sandwich_norm"):
        read(LLAMA | {"model_type": "brand_new", "sandwich_norm": True})
    with pytest.raises(ConfigError, match="does not say tie_word_embeddings"):
        read({k: v for k, v in LLAMA.items() if k != "tie_word_embeddings"} | {"model_type": "brand_new"})
    experts = read(MOE | {"model_type": "brand_new_moe"}).architecture
    assert all(isinstance(kind.ffn, MoeFfn) for kind in experts.kinds)


@pytest.mark.parametrize(
    ("change", "more"),
    [
        ({"use_qk_norm": True}, 2 * 2 * 16),
        ({"attention_bias": True}, 2 * (64 + 64 + 64)),
        ({"mlp_bias": True}, 2 * (2 * 128 + 64)),
        ({"norms_per_layer": 4}, 2 * 2 * 64),
        ({"hidden_act": "relu2"}, -2 * 64 * 128),
        ({"hidden_act": "xielu"}, -2 * 64 * 128),
        ({"hidden_act": "gelu", "use_gated_activation": False}, -2 * 64 * 128),
        ({"hidden_act": "gelu", "use_gated_activation": True}, 0),
        ({"lm_head_bias": True}, 100),
    ],
)
def test_an_unknown_type_is_read_by_what_it_says(change: dict[str, Any], more: int) -> None:
    plain = parameters(read(LLAMA | {"model_type": "brand_new"}).architecture)
    assert parameters(read(LLAMA | {"model_type": "brand_new"} | change).architecture) == plain + more


def test_an_unknown_type_is_asked_what_it_does_not_say() -> None:
    new = LLAMA | {"model_type": "brand_new"}
    with pytest.raises(ConfigError, match=r"hidden_act = 'gelu' does not say .* use_gated_activation"):
        read(new | {"hidden_act": "gelu"})
    with pytest.raises(ConfigError, match="use_gated_activation = True contradicts hidden_act = 'relu2'"):
        read(new | {"hidden_act": "relu2", "use_gated_activation": True})
    with pytest.raises(ConfigError, match="use_qk_norm = 'yes' must be true or false"):
        read(new | {"use_qk_norm": "yes"})


def test_a_family_s_own_code_decides_before_the_activation() -> None:
    """Llama's FFN has a gate whatever its activation, Nemotron's has none."""
    assert parameters(read(LLAMA | {"hidden_act": "relu2"}).architecture) == parameters(read(LLAMA).architecture)
    nemotron = read(LLAMA | {"model_type": "nemotron", "hidden_act": "silu"}).architecture
    assert all(not kind.ffn.gated for kind in nemotron.kinds)


def test_noaux_tc_means_a_correction_bias() -> None:
    new = MOE | {"model_type": "brand_new_moe"}
    assert read(new | {"topk_method": "noaux_tc"}).architecture.kinds[0].ffn.corrected
    assert not read(new).architecture.kinds[0].ffn.corrected


def test_as_transformers_5_saves_it() -> None:
    """Rotary figures in one object, ``dtype``, layer types in words, all defaults written out."""
    saved = {
        "dtype": "bfloat16", "layer_types": ["full_attention"] * 2, "attention_bias": False, "mlp_bias": False,
        "rope_parameters": {"rope_type": "default", "rope_theta": 5e5}, "pretraining_tp": 1, "head_dim": 16,
        "transformers_version": "5.24.0",
    }  # fmt: skip
    assert read(LLAMA | saved).architecture == read(LLAMA).architecture


def test_full_layers_sizes_as_transformers_5_saves_them() -> None:
    """Gemma 4: keys of their own as published, a list by layer as saved."""
    text = LLAMA | {
        "model_type": "gemma4_text", "num_hidden_layers": 6, "head_dim": 8, "hidden_activation": "gelu_pytorch_tanh",
        "layer_types": ["sliding_attention"] * 5 + ["full_attention"], "sliding_window": 8,
        "hidden_size_per_layer_input": 0, "enable_moe_block": False,
    }  # fmt: skip
    published = read(text | {"global_head_dim": 16, "num_global_key_value_heads": 1, "attention_k_eq_v": True})
    saved = text | {"attention_k_eq_v": True}
    own = {"head_dim": 16, "num_key_value_heads": 1}
    assert read(saved | {"per_layer_config": {"05": own}}).architecture == published.architecture
    for wrong in ({"04": own}, {"05": own | {"sliding_window": 4}}, {"05": 3}, [own]):
        with pytest.raises(ConfigError, match="per_layer_config"):
            read(saved | {"per_layer_config": wrong})


HYBRID: dict[str, Any] = {
    "model_type": "nemotron_h", "hidden_size": 64, "vocab_size": 100, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 128, "mamba_num_heads": 8, "mamba_head_dim": 16,
    "n_groups": 2, "ssm_state_size": 16, "conv_kernel": 4, "n_routed_experts": 8, "num_experts_per_tok": 2,
    "moe_intermediate_size": 32, "n_shared_experts": 1, "moe_shared_expert_intermediate_size": 32,
    "tie_word_embeddings": False, "mlp_hidden_act": "relu2",
}  # fmt: skip


def test_patterns_of_hybrids_in_every_spelling() -> None:
    letters = read(HYBRID | {"hybrid_override_pattern": "M*E-", "num_hidden_layers": 4}).architecture
    for names in (["mamba", "attention", "moe", "mlp"], ["linear_attention", "full_attention", "moe", "mlp"]):
        assert read(HYBRID | {"layers_block_type": names}).architecture == letters
        assert read(HYBRID | {"layer_types": names}).architecture == letters
    assert read(HYBRID | {"hybrid_override_pattern": "M*E-"}).architecture == letters  # no number of layers
    with pytest.raises(ConfigError, match="has 4 layers, where num_hidden_layers = 5"):
        read(HYBRID | {"hybrid_override_pattern": "M*E-", "num_hidden_layers": 5})
    with pytest.raises(ConfigError, match="must hold only"):
        read(HYBRID | {"hybrid_override_pattern": "M*X-"})


def test_a_prediction_module_has_its_own_pattern() -> None:
    base = HYBRID | {"hybrid_override_pattern": "M*E-", "num_nextn_predict_layers": 1}
    attention = 64 * (4 + 2 + 2) * 16 + 64 * 64 + 64
    experts = 8 * 2 * 64 * 32 + 8 * 64 + 2 * 64 * 32 + 64
    module = 2 * 64**2 + 3 * 64
    for pattern in ({"mtp_hybrid_override_pattern": "*E"}, {"mtp_layers_block_type": ["attention", "moe"]}):
        assert read(base | pattern).architecture.mtp_parameters == attention + experts + module


def test_infinities_of_open_limits(tmp_path: Path) -> None:
    """As transformers writes ``time_step_limit``; a width cannot be one, and NaN is no number."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(HYBRID | {"hybrid_override_pattern": "M*E-", "time_step_limit": [0.0, math.inf]}))
    assert read(load_config_json(path)).architecture.layer_count == 4
    path.write_text(json.dumps(LLAMA | {"hidden_size": math.inf}))
    with pytest.raises(ConfigError, match="hidden_size = inf"):
        read(load_config_json(path))
    path.write_text(json.dumps(LLAMA | {"hidden_size": math.nan}))
    with pytest.raises(ConfigError, match="NaN"):
        load_config_json(path)


def test_harmless_unknown_key_of_a_known_type_is_reported() -> None:
    assert any("my_note" in line for line in read(LLAMA | {"my_note": "hello"}).assumptions)


def test_windows_follow_the_config() -> None:
    config = LLAMA | {"model_type": "mistral", "sliding_window": 16}
    mixer = read(config).architecture.kinds[0].mixer
    assert isinstance(mixer, GroupedQueryAttention)
    assert mixer.window == 16
    off = LLAMA | {"model_type": "qwen2", "sliding_window": 16, "use_sliding_window": False}
    assert read(off).architecture.kinds[0].mixer.window is None


def test_kinds_of_mixers_in_the_catalog() -> None:
    kinds = {
        "deepseek_v3": LatentAttention,
        "qwen3_5_397b": GatedDeltaNet,
        "nemotron_3_nano_30b": Mamba2,
        "gpt_oss_20b": GroupedQueryAttention,
    }
    for option, kind in kinds.items():
        assert isinstance(read_catalog_model(option).architecture.kinds[0].mixer, kind)


def test_leading_dense_and_interleaved_layers() -> None:
    deepseek = read_catalog_model("deepseek_v3").architecture
    assert [run.count for run in deepseek.runs] == [3, 58]
    maverick = read_catalog_model("llama_4_maverick").architecture
    sparse = [isinstance(maverick.kinds[k].ffn, MoeFfn) for k in maverick.sequence]
    assert sparse == [i % 2 == 1 for i in range(48)]


def test_overlay_keeps_the_base() -> None:
    assert load_entry("qwen3_235b_fp8_cast")["published"] == load_entry("qwen3_235b")["published"]
    assert load_entry("qwen3_14b_fp8")["published"]["hidden_size"] == 5120


def test_names_are_found_whatever_their_spelling() -> None:
    assert find_model("Qwen/Qwen3-30B-A3B") == find_model("qwen3 30b a3b") == "qwen3_30b_a3b"
    assert find_model("LLaMA v3.3 70B") == "llama_3_1_70b"
    with pytest.raises(ConfigError, match=r"near: .*qwen3_235b"):
        find_model("Qwen3-236B")


def test_files_are_data(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    for text, words in (
        ("[]", "must hold an object"),
        ("{", "not JSON"),
        ('{"a": NaN}', "NaN"),
        ('{"a": ' + "[" * 40 + "]" * 40 + "}", "levels deep"),
        ("[" * 100_000, "levels deep"),
        ('{"a": "' + "x" * 16_000_001 + '"}', "at most 16000000"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=words):
            load_config_json(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config_json(tmp_path / "none.json")
    path.write_text(json.dumps(LLAMA))
    assert load_config_json(path) == LLAMA


def test_a_class_that_rounds_the_head_s_width_down() -> None:
    """GLM-4 MoE's default has 96 heads of a width of 4096 (transformers 5.24, modeling_glm4_moe.py: hidden // heads); a
    family whose class does not do so is refused."""
    entry = dict(load_entry("glm_4_6")["published"])
    entry.pop("head_dim")
    whole = read(entry | {"hidden_size": 4096, "num_attention_heads": 96, "num_key_value_heads": 8}).architecture
    (mixer,) = {kind.mixer for kind in whole.kinds}
    assert (mixer.heads, mixer.head_dim) == (96, 42)
    llama = dict(load_entry("llama_3_8b")["published"])
    with pytest.raises(ConfigError, match="must be a multiple of"):
        read(
            {k: v for k, v in llama.items() if k != "head_dim"} | {"num_attention_heads": 24, "num_key_value_heads": 8}
        )
