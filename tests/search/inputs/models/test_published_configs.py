"""Published configs of families beyond the data folder, keys and all, against the totals of their model cards, in
billions as rounded there; of active parameters where the card says how many. No key of theirs is passed over."""

from __future__ import annotations

from typing import Any

import pytest

from costmodel.parameters import active_parameters, parameters
from search.inputs.models import read_architecture

CARDS: dict[str, tuple[float, float | None, dict[str, Any]]] = {
    "Ling-flash-2.0": (103, 6.1, {
        "num_hidden_layers": 32, "hidden_size": 4096, "intermediate_size": 9216, "first_k_dense_replace": 1,
        "hidden_act": "silu", "model_type": "bailing_moe", "moe_intermediate_size": 1024, "num_experts_per_tok": 8,
        "num_attention_heads": 32, "num_experts": 256, "num_key_value_heads": 4, "tie_word_embeddings": False,
        "use_bias": False, "use_rmsnorm": True, "head_dim": 128, "num_shared_experts": 1, "use_qkv_bias": False,
        "embedding_dropout": 0.0, "norm_head": False, "norm_softmax": False, "num_nextn_predict_layers": 0,
        "output_dropout": 0.0, "rotary_dim": 64, "router_dtype": "fp32", "use_qk_norm": True,
        "score_function": "sigmoid", "moe_router_enable_expert_bias": True,
        "moe_shared_expert_intermediate_size": 1024, "n_group": 8, "topk_group": 4, "routed_scaling_factor": 2.5,
        "vocab_size": 157184, "mtp_loss_scaling_factor": 0, "num_mtp_layers": 0, "max_window_layers": 28,
    }),
    "MiniMax-M1": (456, None, {
        "attn_type_list": ([0] * 7 + [1]) * 10, "head_dim": 128, "hidden_act": "silu", "hidden_size": 6144,
        "intermediate_size": 9216, "layernorm_full_attention_alpha": 3.5565588200778455,
        "layernorm_full_attention_beta": 1.0, "layernorm_linear_attention_alpha": 3.55,
        "layernorm_linear_attention_beta": 1.0, "layernorm_mlp_alpha": 3.55, "layernorm_mlp_beta": 1.0,
        "model_type": "minimax_m1", "num_attention_heads": 64, "num_experts_per_tok": 2, "num_hidden_layers": 80,
        "num_key_value_heads": 8, "num_local_experts": 32, "postnorm": True, "rotary_dim": 64,
        "shared_intermediate_size": 0, "shared_moe_mode": "sigmoid", "sliding_window": None,
        "tie_word_embeddings": False, "vocab_size": 200064,
    }),
    "MiMo-V2-Flash": (309, 15, {
        "add_full_attention_sink_bias": False, "add_swa_attention_sink_bias": True, "attention_bias": False,
        "attention_chunk_size": 128, "attention_value_scale": 0.707, "head_dim": 192, "hidden_act": "silu",
        "hidden_size": 4096, "hybrid_block_size": None,
        "hybrid_layer_pattern": [0, 1, 1, 1, 1, 0] + [1, 1, 1, 1, 1, 0] * 7, "intermediate_size": 16384,
        "layernorm_epsilon": 1e-05, "model_type": "mimo_v2_flash", "moe_intermediate_size": 2048,
        "moe_layer_freq": [0] + [1] * 47, "n_group": 1, "n_routed_experts": 256, "n_shared_experts": None,
        "num_attention_heads": 64, "num_experts_per_tok": 8, "num_hidden_layers": 48, "num_key_value_heads": 4,
        "routed_scaling_factor": None, "scoring_func": "sigmoid", "sliding_window": 128, "sliding_window_size": 128,
        "swa_head_dim": 192, "swa_num_attention_heads": 64, "swa_num_key_value_heads": 8, "swa_rope_theta": 10000,
        "swa_v_head_dim": 128, "tie_word_embeddings": False, "topk_group": 1, "topk_method": "noaux_tc",
        "v_head_dim": 128, "vocab_size": 152576,
    }),
    "Granite-4.0-h-small": (32, 9, {
        "attention_bias": False, "attention_multiplier": 0.0078125, "embedding_multiplier": 12, "hidden_act": "silu",
        "hidden_size": 4096, "init_method": "mup", "intermediate_size": 768,
        "layer_types": (["mamba"] * 5 + ["attention"] + ["mamba"] * 4) * 4, "logits_scaling": 16,
        "mamba_chunk_size": 256, "mamba_conv_bias": True, "mamba_d_conv": 4, "mamba_d_head": 64,
        "mamba_d_state": 128, "mamba_expand": 2, "mamba_n_groups": 1, "mamba_n_heads": 128, "mamba_proj_bias": False,
        "model_type": "granitemoehybrid", "normalization_function": "rmsnorm", "num_attention_heads": 32,
        "num_experts_per_tok": 10, "num_hidden_layers": 40, "num_key_value_heads": 8, "num_local_experts": 72,
        "position_embedding_type": "nope", "residual_multiplier": 0.22, "shared_intermediate_size": 1536,
        "tie_word_embeddings": True, "vocab_size": 100352,
    }),
    "Falcon-H1-34B": (34, None, {
        "attention_bias": False, "attention_in_multiplier": 1.0, "attention_out_multiplier": 0.1,
        "attn_layer_indices": None, "embedding_multiplier": 5.6, "head_dim": 128, "hidden_act": "silu",
        "hidden_size": 5120, "intermediate_size": 21504, "key_multiplier": 0.01, "lm_head_multiplier": 0.01,
        "mamba_chunk_size": 128, "mamba_conv_bias": True, "mamba_d_conv": 4, "mamba_d_head": 128,
        "mamba_d_ssm": 4096, "mamba_d_state": 256, "mamba_expand": 2, "mamba_n_groups": 2, "mamba_n_heads": 32,
        "mamba_norm_before_gate": False, "mamba_proj_bias": False, "mamba_rms_norm": True, "mamba_use_mlp": True,
        "mlp_bias": False, "mlp_expansion_factor": 8, "mlp_multipliers": [0.4, 0.1], "model_type": "falcon_h1",
        "num_attention_heads": 20, "num_hidden_layers": 72, "num_key_value_heads": 4, "projectors_bias": False,
        "ssm_in_multiplier": 1.2, "ssm_multipliers": [0.3, 0.2, 0.1, 0.5, 0.3], "ssm_out_multiplier": 0.2,
        "tie_word_embeddings": False, "vocab_size": 261120,
    }),
    "LFM2-1.2B": (1.17, None, {
        "block_auto_adjust_ff_dim": True, "block_dim": 2048, "block_ff_dim": 12288, "block_ffn_dim_multiplier": 1.0,
        "block_mlp_init_scale": 1.0, "block_multiple_of": 256, "block_norm_eps": 1e-05, "block_out_init_scale": 1.0,
        "block_use_swiglu": True, "block_use_xavier_init": True, "conv_L_cache": 3, "conv_bias": False,
        "conv_dim": 2048, "conv_dim_out": 2048, "conv_use_xavier_init": True,
        "full_attn_idxs": [2, 5, 8, 10, 12, 14], "hidden_size": 2048, "model_type": "lfm2",
        "num_attention_heads": 32, "num_heads": 32, "num_hidden_layers": 16, "num_key_value_heads": 8,
        "use_pos_enc": True, "vocab_size": 65536,
    }),
    "Phi-4-mini": (3.8, None, {
        "attention_bias": False, "full_attn_mod": 1, "hidden_act": "silu", "hidden_size": 3072,
        "intermediate_size": 8192, "interpolate_factor": 1, "lm_head_bias": False, "mlp_bias": False,
        "model_type": "phi3", "num_attention_heads": 24, "num_hidden_layers": 32, "num_key_value_heads": 8,
        "original_max_position_embeddings": 4096, "sliding_window": 262144, "tie_word_embeddings": True,
        "vocab_size": 200064,
    }),
    "Command-R": (35, None, {
        "attention_bias": False, "hidden_act": "silu", "hidden_size": 8192, "intermediate_size": 22528,
        "logit_scale": 0.0625, "model_max_length": 131072, "model_type": "cohere", "num_attention_heads": 64,
        "num_hidden_layers": 40, "num_key_value_heads": 64, "vocab_size": 256000,
    }),
    "OLMoE-1B-7B": (6.9, 1.3, {
        "attention_bias": False, "clip_qkv": None, "hidden_act": "silu", "hidden_size": 2048,
        "intermediate_size": 1024, "model_type": "olmoe", "num_attention_heads": 16, "num_experts": 64,
        "num_experts_per_tok": 8, "num_hidden_layers": 16, "num_key_value_heads": 16, "tie_word_embeddings": False,
        "vocab_size": 50304,
    }),
    "Bamba-9B": (9.78, None, {
        "attention_bias": False, "attn_layer_indices": [9, 18, 27], "attn_rotary_emb": 64, "hidden_act": "silu",
        "hidden_size": 4096, "intermediate_size": 14336, "mamba_chunk_size": 256, "mamba_conv_bias": True,
        "mamba_d_conv": 4, "mamba_d_head": 64, "mamba_d_state": 128, "mamba_expand": 2, "mamba_n_groups": 1,
        "mamba_n_heads": 128, "mamba_proj_bias": False, "mlp_bias": False, "model_type": "bamba",
        "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8, "tie_word_embeddings": False,
        "vocab_size": 128256,
    }),
    "EXAONE-3.5-7.8B": (7.8, None, {
        "activation_function": "silu", "embed_dropout": 0.0, "head_dim": 128, "hidden_size": 4096,
        "intermediate_size": 14336, "model_type": "exaone", "num_attention_heads": 32, "num_key_value_heads": 8,
        "num_layers": 32, "tie_word_embeddings": False, "vocab_size": 102400,
    }),
    "Minitron-8B": (8.27, None, {
        "attention_bias": False, "hidden_act": "relu2", "hidden_size": 4096, "intermediate_size": 16384,
        "kv_channels": 128, "mlp_bias": False, "model_type": "nemotron", "num_attention_heads": 48, "head_dim": 128,
        "num_hidden_layers": 32, "num_key_value_heads": 8, "tie_word_embeddings": False, "vocab_size": 256000,
    }),
    "Falcon-7B": (6.92, None, {
        "alibi": False, "bias": False, "hidden_size": 4544, "model_type": "falcon", "multi_query": True,
        "new_decoder_architecture": False, "num_attention_heads": 71, "num_hidden_layers": 32, "parallel_attn": True,
        "vocab_size": 65024,
    }),
    "ERNIE-4.5-21B-A3B": (21.8, None, {
        "hidden_act": "silu", "hidden_size": 2560, "intermediate_size": 12288, "model_type": "ernie4_5_moe",
        "num_attention_heads": 20, "num_key_value_heads": 4, "num_hidden_layers": 28, "vocab_size": 103424,
        "use_rmsnorm": True, "use_bias": False, "moe_num_experts": 64, "moe_num_shared_experts": 2,
        "moe_layer_start_index": 1, "moe_layer_end_index": 27, "moe_intermediate_size": 1536,
        "moe_capacity": [64, 64, 64], "moe_gate": "topk", "moe_k": 6, "moe_layer_interval": 1,
        "moe_use_aux_free": True, "num_nextn_predict_layers": 1, "tie_word_embeddings": True,
        "weight_share_add_bias": True,
    }),
}  # fmt: skip


@pytest.mark.parametrize("name", CARDS)
def test_the_card_s_totals(name: str) -> None:
    total, active, config = CARDS[name]
    model = read_architecture(config, name=name)
    assert parameters(model.architecture) / 1e9 == pytest.approx(total, rel=0.016)
    if active is not None:
        assert active_parameters(model.architecture) / 1e9 == pytest.approx(active, rel=0.035)
    assert not [line for line in model.assumptions if "passed over" in line or "is unknown" in line]
