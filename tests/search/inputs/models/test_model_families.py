"""One small config of each family, counted by hand from the shapes of its modules as transformers 5.24 builds them
(``models/<type>/modeling_<type>.py``); the configs in the data folder, to the unit, as transformers builds those."""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path
from typing import Any

import pytest

from costmodel.parameters import active_parameters, parameters
from search.inputs.models import ConfigError, load_config_json, read_architecture

DATA = os.environ.get("SERVEFRONT_DATA")
CASES = Path(DATA).parent / "cases" / "models" if DATA else None
needs_cases = pytest.mark.skipif(not (CASES and CASES.is_dir()), reason="the folder of public cases is not at hand")

H, V, L = 64, 1000, 4  # hidden width, vocabulary, layers
TEXT: dict[str, Any] = {
    "hidden_size": H,
    "num_hidden_layers": L,
    "vocab_size": V,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "intermediate_size": 96,
    "tie_word_embeddings": False,
}
QKV = H * (8 + 2 + 2) * 16
OUT = 8 * 16 * H
ATTENTION = QKV + OUT
EMBEDDINGS, TIED = 2 * V * H, V * H
GATED, PLAIN = 3 * H * 96, 2 * H * 96


def whole(layer: int, layers: int = L, embeddings: int = EMBEDDINGS, final: int = H) -> int:
    """Embedding and head, equal layers and a final norm."""
    return embeddings + layers * layer + final


def moe(experts: int, inner: int, gated: bool = True, router: int | None = None) -> int:
    return experts * (3 if gated else 2) * H * inner + H * (experts if router is None else router)


EXPERTS = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
HYBRID = {"mamba_n_heads": 8, "mamba_d_head": 16, "mamba_n_groups": 1, "mamba_d_state": 32, "mamba_d_conv": 4}
MAMBA2 = H * (2 * 128 + 2 * 32 + 8) + (128 + 64) * 5 + 128 + 3 * 8 + 128 * H
MLA = {"kv_lora_rank": 32, "q_lora_rank": 24, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16}
MLA_TEXT = {k: v for k, v in TEXT.items() if k != "head_dim"} | MLA | {"num_key_value_heads": 8}
LATENT = H * (24 + 40) + 24 + 32 + 24 * 8 * 24 + 32 * 8 * 32 + 8 * 16 * H
KDA = 3 * H * 128 + 3 * 128 * 4 + 8 + 128 + H * 8 + 2 * (H * 16 + 16 * 128) + 16 + 128 * H

CONFIGS: dict[str, tuple[dict[str, Any], int]] = {
    "apertus": ({"hidden_act": "xielu", "qk_norm": True, "post_norm": False}, whole(ATTENTION + PLAIN + 2 * H + 34)),
    "arcee": ({"hidden_act": "relu2"}, whole(ATTENTION + PLAIN + 2 * H)),
    "bitnet": ({"hidden_act": "relu2"}, whole(ATTENTION + GATED + 2 * H + 128 + 96)),
    "cohere": ({"use_qk_norm": True, "tie_word_embeddings": None}, whole(ATTENTION + 160 + GATED + H, embeddings=TIED)),
    "cohere2": ({"sliding_window": 8, "tie_word_embeddings": None}, whole(ATTENTION + GATED + H, embeddings=TIED)),
    "dots1": (
        EXPERTS | {"n_shared_experts": 2, "first_k_dense_replace": 1, "topk_method": "noaux_tc"},
        whole(ATTENTION + 2 * H + 32) + GATED + 3 * (moe(8, 32) + 3 * H * 64),
    ),
    "ernie4_5": ({"use_bias": True}, whole(ATTENTION + GATED + 2 * H + 12 * 16 + H + 96 * 2 + H)),
    "ernie4_5_moe": (
        {"moe_num_experts": 8, "moe_k": 2, "moe_intermediate_size": 32, "moe_num_shared_experts": 2}
        | {"moe_layer_start_index": 1, "moe_layer_end_index": -1, "moe_layer_interval": 1, "use_bias": False},
        # The correction of each router is a parameter there.
        whole(ATTENTION + 2 * H) + GATED + 3 * (moe(8, 32) + 8 + 3 * H * 64),
    ),
    "exaone4": ({"sliding_window": 8, "sliding_window_pattern": "LLLG"}, whole(ATTENTION + GATED + 2 * H + 32)),
    "gemma2": (
        {"hidden_activation": "gelu_pytorch_tanh", "sliding_window_size": 8, "tie_word_embeddings": None},
        whole(ATTENTION + GATED + 4 * H, embeddings=TIED),
    ),
    "glm4": ({"attention_bias": True}, whole(ATTENTION + GATED + 4 * H + 12 * 16)),
    "granite": ({"embedding_multiplier": 12.0, "residual_multiplier": 0.2}, whole(ATTENTION + GATED + 2 * H)),
    "granitemoe": (
        {"num_local_experts": 8, "num_experts_per_tok": 2},
        whole(ATTENTION + 2 * H + moe(8, 96)),
    ),
    "hunyuan_v1_moe": (
        {"num_experts": 8, "moe_topk": [2] * L, "moe_intermediate_size": [96] * L, "num_shared_expert": [1] * L}
        | {"use_cla": False, "use_qk_norm": True, "tie_word_embeddings": True},
        whole(ATTENTION + 2 * H + 32 + moe(8, 96) + GATED, embeddings=TIED),
    ),
    "laguna": (
        EXPERTS | {"shared_expert_intermediate_size": 32, "gating": True, "mlp_layer_types": ["sparse"] * L},
        whole(ATTENTION + 2 * H + 32 + H * 8 + moe(8, 32) + 8 + 3 * H * 32),
    ),
    "minimax": (
        {"num_local_experts": 8, "num_experts_per_tok": 2, "attn_type_list": [0, 0, 0, 1]},
        EMBEDDINGS + H + L * (2 * H + moe(8, 96)) + ATTENTION + 3 * (5 * H * 128 + 128),
    ),
    "nemotron": ({"hidden_act": "relu2"}, whole(ATTENTION + PLAIN + 4 * H, final=2 * H)),
    "olmo": ({"head_dim": 8}, whole(ATTENTION // 2 + GATED, final=0)),
    "olmo3": ({"sliding_window": 8}, whole(ATTENTION + GATED + 2 * H + 128 + 32)),
    "olmoe": (
        {"num_experts": 8, "num_experts_per_tok": 2},
        whole(ATTENTION + 2 * H + 160 + moe(8, 96)),
    ),
    "phi": ({"head_dim": 8, "hidden_act": "gelu_new"}, 0),
    "phimoe": (
        {"num_local_experts": 8, "num_experts_per_tok": 2, "attention_bias": True, "lm_head_bias": True},
        whole(ATTENTION + 4 * H + 12 * 16 + H + moe(8, 96), final=2 * H) + V,
    ),
    "seed_oss": (
        {"attention_bias": True, "attention_out_bias": False},
        whole(ATTENTION + GATED + 2 * H + 12 * 16),
    ),
    "smollm3": (
        {"no_rope_layers": [1, 1, 1, 0], "use_sliding_window": False, "tie_word_embeddings": None},
        whole(ATTENTION + GATED + 2 * H, embeddings=TIED),
    ),
    "starcoder2": (
        {"use_bias": True, "hidden_act": "gelu_pytorch_tanh", "norm_type": "layer_norm", "mlp_type": "default"},
        whole(ATTENTION + PLAIN + 4 * H + 12 * 16 + H + 96 + H, final=2 * H),
    ),
    "gptj": (
        dict.fromkeys(("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"))
        | {"num_key_value_heads": None, "head_dim": None}
        | {"n_embd": H, "n_layer": L, "n_head": 8, "n_inner": None, "n_positions": 32, "rotary_dim": 8},
        # One norm; biases in an FFN of four widths and in the head.
        whole(4 * H * H + 8 * H * H + 5 * H + 2 * H, final=2 * H) + V,
    ),
    "gpt_neo": (
        {"num_layers": L, "num_heads": 8, "num_hidden_layers": None, "num_attention_heads": None, "head_dim": None}
        | {"num_key_value_heads": None, "max_position_embeddings": 32, "window_size": 8, "tie_word_embeddings": None}
        | {"attention_types": [[["global", "local"], 2]]},
        # A bias at attention's output alone; learned positions.
        whole(4 * H * H + H + PLAIN + 96 + H + 4 * H, embeddings=V * H + 32 * H, final=2 * H),
    ),
    # Recurrent layers.
    "mamba": (
        dict.fromkeys(("num_attention_heads", "num_key_value_heads", "head_dim", "intermediate_size"))
        | {"state_size": 8, "conv_kernel": 4, "expand": 2, "time_step_rank": "auto", "tie_word_embeddings": None},
        whole(H * 256 + 128 * 5 + 128 * 20 + 4 * 128 + 128 + 128 * 8 + 128 + 128 * H + H, embeddings=V * H),
    ),
    "mamba2": (
        dict.fromkeys(("num_attention_heads", "num_key_value_heads", "intermediate_size"))
        | {"num_heads": 8, "state_size": 32, "conv_kernel": 4, "n_groups": 1, "expand": 2, "chunk_size": 64},
        whole(MAMBA2 + H),
    ),
    "bamba": ({**HYBRID, "mamba_expand": 2, "attn_layer_indices": [1]}, 0),
    "falcon_h1": (
        {**HYBRID, "mamba_d_ssm": 128, "mamba_rms_norm": False, "mamba_chunk_size": 64},
        whole(ATTENTION + MAMBA2 - 128 + GATED + 2 * H),
    ),
    "granitemoehybrid": (
        {**HYBRID, "layer_types": ["mamba", "mamba", "attention", "mamba"], "shared_intermediate_size": 48}
        | {"num_local_experts": 8, "num_experts_per_tok": 2},
        whole(moe(8, 96) + 3 * H * 48 + 2 * H) + ATTENTION + 3 * MAMBA2,
    ),
    "jamba": (
        {"attn_layer_period": 4, "attn_layer_offset": 1, "expert_layer_period": 2, "expert_layer_offset": 1}
        | {"num_experts": 8, "num_experts_per_tok": 2, "mamba_dt_rank": "auto", "mamba_d_state": 8},
        EMBEDDINGS + H + L * 2 * H + 2 * (GATED + moe(8, 96)) + ATTENTION
        # in, convolution with bias, x, dt with bias, A, D, three norms, out
        + 3 * (H * 256 + 128 * 5 + 128 * 20 + 4 * 128 + 128 + 128 * 8 + 128 + 20 + 128 * H),
    ),
    "lfm2": (
        {"full_attn_idxs": [1], "conv_L_cache": 3, "block_auto_adjust_ff_dim": True, "block_multiple_of": 64}
        | {"tie_word_embeddings": None},
        # Two thirds of 96 are 64, a multiple of 64.
        V * H + H + L * (3 * H * 64 + 2 * H) + (ATTENTION + 32) + 3 * (4 * H * H + 3 * H),
    ),
    "kimi_linear": (
        {**MLA_TEXT, **EXPERTS, "linear_attn_config": {"kda_layers": [1, 2, 3], "full_attn_layers": [4]}
         | {"head_dim": 16, "num_heads": 8, "short_conv_kernel_size": 4}}
        | {"num_shared_experts": 1, "first_k_dense_replace": 1, "moe_renormalize": True, "head_dim": None},
        EMBEDDINGS + H + L * 2 * H + 3 * KDA + LATENT + GATED + 3 * (moe(8, 32) + 3 * H * 32),
    ),
    # Latent and sparse attention.
    "longcat_flash": (
        {k: v for k, v in MLA_TEXT.items() if k not in ("num_hidden_layers", "intermediate_size")}
        | {"num_layers": 2, "ffn_hidden_size": 96, "expert_ffn_hidden_size": 32, "n_routed_experts": 8}
        | {"zero_expert_num": 4, "moe_topk": 3, "head_dim": None, "num_hidden_layers": None, "intermediate_size": None},
        EMBEDDINGS + H + 4 * (LATENT + GATED + 2 * H) + 2 * moe(8, 32, router=12),
    ),
    "glm_moe_dsa": (
        MLA_TEXT | {"head_dim": None, "index_topk": 4, "index_n_heads": 2, "index_head_dim": 8, "index_topk_freq": 4}
        | {"n_routed_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "n_shared_experts": 1}
        | {"first_k_dense_replace": 1, "indexer_types": ["full", "shared", "shared", "full"]},
        EMBEDDINGS + H + L * (LATENT + 2 * H) + GATED + 3 * (moe(8, 32) + 3 * H * 32)
        + 2 * (24 * 16 + H * 8 + 16 + H * 2),
    ),
    "minimax_m3_vl_text": (
        {"num_local_experts": 8, "num_experts_per_tok": 2, "intermediate_size": 32, "shared_intermediate_size": 32}
        | {"dense_intermediate_size": 96, "n_shared_experts": 1, "moe_layer_freq": [0, 1, 1, 1]}
        | {"hidden_act": "swigluoai", "use_qk_norm": True, "qk_norm_type": "per_head"}
        | {"sparse_attention_config": {"sparse_num_index_heads": 2, "sparse_index_dim": 8, "sparse_block_size": 4}
           | {"sparse_topk_blocks": 2, "sparse_attention_freq": [0, 1, 1, 1], "sparse_local_block": 1}},
        EMBEDDINGS + H + L * (ATTENTION + 2 * H + 32) + GATED + 3 * (moe(8, 32) + 3 * H * 32)
        + 3 * (H * 16 + H * 8 + 16),
    ),
    "mimo_v2_flash": (
        {"n_routed_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "v_head_dim": 8}
        | {"hybrid_layer_pattern": [0, 1, 1, 0], "moe_layer_freq": [0, 1, 1, 1], "sliding_window_size": 8}
        | {"swa_num_attention_heads": 8, "swa_num_key_value_heads": 4, "swa_head_dim": 16, "swa_v_head_dim": 8}
        | {"add_swa_attention_sink_bias": True, "add_full_attention_sink_bias": False},
        EMBEDDINGS + H + L * 2 * H + GATED + 3 * moe(8, 32)
        + 2 * H * (128 + 32 + 16 + 64) + 2 * (H * (128 + 64 + 32 + 64) + 8),
    ),
    "deepseek_v4": (
        {"num_key_value_heads": 1, "q_lora_rank": 24, "qk_rope_head_dim": 8, "o_groups": 2, "o_lora_rank": 12}
        | {"index_n_heads": 2, "index_head_dim": 8, "index_topk": 4, "sliding_window": 8, "hc_mult": 2}
        | {"n_routed_experts": 8, "n_shared_experts": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
        | {"compress_ratios": [0, 128, 4, 128], "num_hash_layers": 1, "intermediate_size": None},
        EMBEDDINGS + H + (2 * 2 * H + 2 + 1)
        + L * (H * 40 + 40 + 8 + 24 * 128 + 64 * 24 + 24 * H + moe(8, 32) + 3 * H * 32 + 2 * H)
        + L * 2 * (2 * H * 8 + 8 + 3)  # hyper-connections: two streams, eight weights
        + 2 * (H * 32 + 128 * 16 + 16)  # one series, a bias a position, a norm
        + (H * 64 + 4 * 32 + 16) + (24 * 16 + H * 2 + H * 32 + 4 * 16 + 8),
    ),
    "nemotron-nas": (
        {"num_key_value_heads": None, "intermediate_size": None, "head_dim": None, "num_attention_heads": 4}
        | {"block_configs": [
            {"attention": {"n_heads_in_group": 2}, "ffn": {"ffn_mult": 6.0}},
            {"attention": {"no_op": True, "n_heads_in_group": None}, "ffn": {"ffn_mult": 3.0}},
            {"attention": {"n_heads_in_group": 4}, "ffn": {"no_op": True, "ffn_mult": None}},
            {"attention": {"n_heads_in_group": 1}, "ffn": {"ffn_mult": 12.0}},
        ]},
        # Widths are 256, 256 and 512: two thirds of the factor times 64, rounded up to 256.
        EMBEDDINGS + H + 6 * H + 3 * H * (256 + 256 + 512) + H * (128 + 64) + H * (128 + 32) + H * 256,
    ),
}  # fmt: skip
CONFIGS["phi"] = (
    CONFIGS["phi"][0],
    # One LayerNorm a layer, biases everywhere, also in the head.
    whole(H * 64 + H * 32 + H * 64 + 96 + H + PLAIN + 96 + H + 2 * H, final=2 * H) + V,
)
CONFIGS["bamba"] = (CONFIGS["bamba"][0], whole(GATED + 2 * H) + ATTENTION + 3 * MAMBA2)


def config_of(kind: str) -> dict[str, Any]:
    return {k: v for k, v in (TEXT | CONFIGS[kind][0] | {"model_type": kind}).items() if v is not None}


@pytest.mark.parametrize("kind", CONFIGS)
def test_count_by_hand(kind: str) -> None:
    assert parameters(read_architecture(config_of(kind), name=kind).architecture) == CONFIGS[kind][1]


@pytest.mark.parametrize("kind", CONFIGS)
def test_an_unknown_key_of_the_shape_is_refused(kind: str) -> None:
    with pytest.raises(ConfigError, match="sandwich_norm_width") as error:
        read_architecture(config_of(kind) | {"sandwich_norm_width": 3}, name=kind)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_vocabulary_must_be_said(kind: str) -> None:
    config = config_of(kind)
    del config["vocab_size"]
    with pytest.raises(ConfigError, match="vocab_size is missing"):
        read_architecture(config, name=kind)


WEIRD: tuple[Any, ...] = (
    None, True, 0, -1, 2.5, math.inf, 10**400, "", "auto", "LLLG", [], [1], ["x"], [[1, 2]], [None], {},
    {"head_dim": "x"}, {"05": {"head_dim": 3}},
)  # fmt: skip


@pytest.mark.parametrize("kind", [*CONFIGS, "gemma4_text", "dbrx"])
def test_whatever_stands_in_a_key_it_is_read_or_refused_in_one_line(kind: str) -> None:
    """Every key in turn: left out, or with a value of another kind."""
    config = config_of(kind) if kind in CONFIGS else dict(TEXT, model_type=kind)
    extra = ("attn_config", "ffn_config", "per_layer_config", "layer_types", "mlp_layer_types", "compress_rates")
    for key in (*config, *extra, "index_topk_pattern", "rope_parameters"):
        for value in WEIRD:
            changed = {k: v for k, v in config.items() if k != key} | ({} if value is None else {key: value})
            try:
                read_architecture(changed, name=kind)
            except ConfigError as error:
                assert "\n" not in str(error)


def _counts() -> list[dict[str, str]]:
    if not (CASES and CASES.is_dir()):
        return []
    with open(CASES / "parameters.csv", newline="") as file:
        return list(csv.DictReader(file))


@needs_cases
@pytest.mark.parametrize("row", [r for r in _counts() if r["vision_parameters"] == "0"], ids=lambda r: r["config"])
def test_published_text_models_are_exact(row: dict[str, str]) -> None:
    assert CASES is not None
    config = load_config_json(CASES / f"{row['config']}.json")
    config.pop("quantization_config", None)
    model = read_architecture(config, name=row["config"]).architecture
    assert parameters(model) == int(row["language_parameters"])
    assert model.vision_parameters == 0


def test_jamba_as_released() -> None:
    """Jamba 1.5 Mini: 52 billion parameters, 12 of them active (model card)."""
    config = {
        "model_type": "jamba", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 65536, "num_experts": 16,
        "num_experts_per_tok": 2, "attn_layer_period": 8, "attn_layer_offset": 4, "expert_layer_period": 2,
        "expert_layer_offset": 1, "mamba_d_state": 16, "mamba_d_conv": 4, "mamba_expand": 2, "mamba_dt_rank": 256,
        "mamba_conv_bias": True, "mamba_proj_bias": False, "tie_word_embeddings": False, "hidden_act": "silu",
    }  # fmt: skip
    model = read_architecture(config, name="jamba").architecture
    assert parameters(model) == 51_570_323_328
    assert round(active_parameters(model) / 1e9) == 12
