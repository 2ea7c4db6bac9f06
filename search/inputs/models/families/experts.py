"""Families with experts whose attention keeps a growing cache (transformers 5.24,
``models/<type>/modeling_<type>.py``; ``bailing_moe``: vLLM 0.33 ``model_executor/models/bailing_moe.py``)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from search.inputs.models.families.family import Family

_TIED: dict[str, Any] = {"tie_word_embeddings": True}
_GRANITE = ("embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling")
# Experts alone, as wide as ``intermediate_size`` says.
_MIXTRAL = Family(experts="fields", windows="none", expert_key="intermediate_size", dense_key="")
_GRANITE_MOE = replace(_MIXTRAL, skipped=_GRANITE)
_BAILING = Family(
    experts="fields",
    windows="none",
    bias="qkv",
    qk_norm="head_if_set",
    renames={"use_qkv_bias": "attention_bias"},
    skipped=("embedding_dropout", "output_dropout", "max_window_layers", "norm_head", "norm_softmax", "score_function")
    + (
        "router_type",
        "rotary_dim",
        "use_rmsnorm",
        "moe_router_topk_scaling_factor",
        "mtp_loss_scaling_factor",
        "num_mtp_layers",
    ),
    expects={
        "group_norm_size": (),
        "multi_gate": (False,),
        "use_bias": (False,),
        "use_sliding_window": (False,),
        "using_split_qkv_in_self_attention": (False,),
    },
    defaults={"use_qk_norm": False, "first_k_dense_replace": 0},
)
_MINIMAX_M3 = Family(
    experts="fields",
    qk_norm="head",
    windows="none",
    expert_key="intermediate_size",
    dense_key="dense_intermediate_size",
    corrected=True,
    skipped=("swiglu_alpha", "use_gemma_norm", "index_local_blocks", "rotary_dim"),
    expects={"attention_output_gate": (False,), "use_qk_norm": (True,)},
)
_MIMO_V2 = Family(
    experts="fields",
    bias="qkv",
    sinks=True,
    sliding_differs=True,
    corrected=True,
    skipped=("attention_value_scale", "attention_projection_layout", "hybrid_block_size"),
    defaults={"head_dim": 192, "v_head_dim": 128, "sliding_window": 129},
)

EXPERTS: dict[str, Family] = {
    "afmoe": Family(
        experts="fields",
        qk_norm="head",
        gate=True,
        norms=4,
        windows="pattern",
        corrected=True,
        counted_correction=True,
        renames={"num_dense_layers": "first_k_dense_replace", "global_attn_every_n_layers": "sliding_window_pattern"},
        skipped=("mup_enabled", "route_norm", "route_scale", "score_func", "load_balance_coeff", "num_expert_groups")
        + ("num_limited_groups", "use_grouped_mm"),
        defaults={"sliding_window": 1024, "sliding_window_pattern": 4, "first_k_dense_replace": 1},
    ),
    "aria_text": replace(_MIXTRAL, renames={"moe_num_shared_experts": "n_shared_experts"}),
    "axk1": Family(attention="mla", experts="fields", windows="none", corrected=True, sparse_norms=1),
    "bailing_moe": _BAILING,
    "bailing_moe_v2": replace(_BAILING, corrected=True, defaults={"use_qk_norm": True, "first_k_dense_replace": 0}),
    "cohere2_moe": Family(
        experts="fields",
        windows="pattern",
        norms=1,
        expert_key="intermediate_size",
        dense_key="prefix_dense_intermediate_size",
        skipped=("logit_scale", "shared_expert_combination_strategy", "expert_selection_fn")
        + ("prefix_dense_sliding_window_pattern",),
        defaults={**_TIED, "sliding_window": 4096, "sliding_window_pattern": 4, "head_dim": 128},
    ),
    "dbrx": replace(
        _MIXTRAL,
        renames={"d_model": "hidden_size", "n_heads": "num_attention_heads", "n_layers": "num_hidden_layers"}
        | {"max_seq_len": "max_position_embeddings"},
    ),
    "deepseek_v4": Family(
        attention="compressed",
        experts="fields",
        windows="none",
        corrected=True,
        skipped=("hc_eps", "hc_sinkhorn_iters", "compress_rope_theta"),
        defaults={"index_topk": 512, "sliding_window": 128},
    ),
    "dots1": Family(experts="fields", qk_norm="head", windows="upper", corrected=True),
    "ernie4_5_moe": Family(
        experts="fields",
        windows="none",
        corrected=True,
        counted_correction=True,
        renames={"moe_k": "num_experts_per_tok", "moe_num_shared_experts": "n_shared_experts"},
        skipped=("moe_capacity", "moe_gate", "moe_use_aux_free", "moe_norm_min", "weight_share_add_bias"),
        expects={"use_rmsnorm": (True,)},
        defaults={**_TIED, "moe_layer_start_index": 1, "moe_layer_interval": 1, "n_shared_experts": 2},
    ),
    "exaone_moe": Family(experts="fields", qk_norm="head", corrected=True),
    "flex_olmo": replace(_MIXTRAL, qk_norm="full"),
    "flint": Family(experts="fields", qk_norm="head", sinks=True),
    "glm4_moe_lite": Family(attention="mla", experts="fields", windows="none", corrected=True),
    "granitemoe": _GRANITE_MOE,
    "granitemoe_swa": replace(_GRANITE_MOE, windows="all", sinks=True, skipped=(*_GRANITE, "layer_rope_theta")),
    "granitemoeshared": _GRANITE_MOE,
    "hunyuan_v1_moe": Family(
        experts="fields",
        windows="none",
        qk_norm="head",
        renames={"attention_head_dim": "head_dim", "num_shared_expert": "n_shared_experts"},
        skipped=("add_classification_head", "cla_share_factor", "class_num", "dense_list", "enable_lm_head_fp32")
        + ("group_limited_greedy", "im_end_id", "im_newline_id", "im_start_id", "kv_lora_rank", "mask_init_id")
        + ("moe_drop_tokens", "moe_random_routing_dropped_token", "norm_type", "num_media_embeds", "org_vocab_size")
        + ("pad_id", "pool_type", "position_embedding_xdrope", "q_lora_rank", "qk_nope_head_dim")
        + ("qk_rope_head_dim", "use_rotary_pos_emb", "v_head_dim", "vit_path", "anyres_pooling_size", "anyres_vit_max")
        + ("anyres_vit_two_views", "use_mixed_mlp_moe", "sep_id", "text_start_id", "text_end_id", "eod_token_id"),
        expects={
            "moe_layer_num_skipped": (0,),
            "use_cla": (False,),
            "use_mla": (False,),
            "use_qk_norm": (True,),
        },
        defaults={"n_shared_experts": 1},
    ),
    "hy_v3": Family(
        experts="fields",
        windows="none",
        qk_norm="head",
        corrected=True,
        skipped=("enable_moe_fp32_combine", "router_scaling_factor", "enable_attention_fp32_softmax")
        + ("enable_lm_head_fp32", "moe_router_enable_expert_bias", "moe_router_use_sigmoid", "route_norm"),
        expects={"qk_norm": (True,)},
        defaults={"first_k_dense_replace": 1, "head_dim": 128},
    ),
    "kolibri1": Family(experts="fields", qk_norm="head", norms=4),
    "laguna": Family(
        experts="fields",
        qk_norm="head",
        head_gate=True,
        corrected=True,
        counted_correction=True,
        skipped=("moe_routed_scaling_factor", "moe_apply_router_weight_on_input", "moe_router_logit_softcapping"),
        expects={"gating": (True, "per-head")},
    ),
    "longcat_flash": Family(
        attention="mla",
        experts="fields",
        windows="none",
        expert_key="expert_ffn_hidden_size",
        dense_key="ffn_hidden_size",
        corrected=True,
        shortcut=True,
        renames={"num_layers": "num_hidden_layers"},
        skipped=("attention_method", "mla_scale_q_lora", "mla_scale_kv_lora", "norm_topk_prob"),
        expects={"router_bias": (False,), "zero_expert_type": ("identity",)},
    ),
    "mellum": Family(experts="fields", qk_norm="head", expects={"mtp_layer_types": (), "mtp_mlp_layer_types": ()}),
    "mimo_v2": _MIMO_V2,
    "mimo_v2_flash": _MIMO_V2,
    "minimax_m3_vl_text": _MINIMAX_M3,
    "minimax_m3_vl": _MINIMAX_M3,
    "olmoe": replace(_MIXTRAL, qk_norm="full", skipped=("clip_qkv",)),
    "phimoe": replace(_MIXTRAL, windows="all", norm_bias=True),
    "sarvam_moe": Family(experts="fields", bias="qkv", qk_norm="head_if_set", windows="none", corrected=True),
    "solar_open": Family(experts="fields", bias="qkv", qk_norm="head_if_set", windows="none", corrected=True),
}
