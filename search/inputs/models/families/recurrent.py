"""Families with layers that hold a state instead of a growing cache (transformers 5.24,
``models/<type>/modeling_<type>.py``)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from search.inputs.models.families.family import Family

_TIED: dict[str, Any] = {"tie_word_embeddings": True}
_MAMBA2 = {
    "mamba_n_heads": "mamba_num_heads",
    "mamba_d_head": "mamba_head_dim",
    "mamba_n_groups": "n_groups",
    "mamba_d_state": "ssm_state_size",
    "mamba_d_conv": "conv_kernel",
    "mamba_expand": "expand",
    "mamba_conv_bias": "use_conv_bias",
}
_GRANITE = ("embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling")
_KIMI = {
    "num_experts_per_token": "num_experts_per_tok",
    "model_max_length": "max_position_embeddings",
}
_KIMI_SKIPPED = (
    "activation_situ_beta",
    "activation_situ_linear_beta",
    "moe_routed_scaling",
    "moe_renormalize",
    "num_expert_group",
    "use_grouped_topk",
    "mla_use_nope",
    "moe_router_activation_func",
)

# Nothing but state-space layers.
_MAMBA = Family(
    attention="state_space",
    linear="mamba1",
    windows="none",
    skipped=("time_step_scale", "time_step_init_scheme", "use_mambapy", "use_associative_scan", "use_mamba_kernels"),
    defaults=_TIED,
)

RECURRENT: dict[str, Family] = {
    "bailing_hybrid": Family(
        attention="mla",
        linear="kimi_delta",
        experts="fields",
        windows="none",
        head_gate=True,
        corrected=True,
        renames=_KIMI,
        skipped=(*_KIMI_SKIPPED, "kda_safe_gate", "kda_lower_bound", "mtp_loss_scaling_factor"),
        defaults={"first_k_dense_replace": 2, "short_conv_kernel_size": 4},
    ),
    "bamba": Family(
        linear="mamba2",
        windows="none",
        renames=_MAMBA2,
        skipped=("z_loss_coefficient",),
    ),
    "falcon_h1": Family(
        linear="mamba2",
        windows="none",
        renames=_MAMBA2,
        skipped=("attention_in_multiplier", "attention_out_multiplier", "embedding_multiplier", "key_multiplier")
        + ("lm_head_multiplier", "mamba_norm_before_gate", "mlp_multipliers", "ssm_in_multiplier")
        + ("ssm_multipliers", "ssm_out_multiplier", "mlp_expansion_factor"),
        expects={"projectors_bias": (False,), "mamba_use_mlp": (True,), "attn_layer_indices": ()},
    ),
    "granitemoehybrid": Family(
        linear="mamba2",
        experts="fields",
        windows="none",
        expert_key="intermediate_size",
        dense_key="shared_intermediate_size",
        may_be_dense=True,
        renames=_MAMBA2,
        skipped=(*_GRANITE, "position_embedding_type", "init_method", "normalization_function"),
    ),
    "jamba": Family(
        linear="mamba1",
        experts="fields",
        windows="none",
        expert_key="intermediate_size",
        may_be_dense=True,
        skipped=("mamba_use_mlp",),
        expects={"mamba_inner_layernorms": (True,)},
    ),
    "kimi_linear": Family(
        attention="mla",
        linear="kimi_delta",
        experts="fields",
        windows="none",
        corrected=True,
        renames=_KIMI,
        skipped=_KIMI_SKIPPED,
        defaults={"first_k_dense_replace": 1},
    ),
    "lfm2": Family(
        linear="short_convolution",
        windows="none",
        qk_norm="head",
        renames={"block_ff_dim": "intermediate_size", "tie_embedding": "tie_word_embeddings"},
        skipped=(
            "conv_L_cache",
            "conv_bias",
            "block_norm_eps",
            "block_use_swiglu",
            "block_use_xavier_init",
            "conv_use_xavier_init",
        )
        + ("block_mlp_init_scale", "block_out_init_scale", "theta", "use_pos_enc"),
        defaults=_TIED,
    ),
    "falcon_mamba": replace(_MAMBA, skipped=(*_MAMBA.skipped, "mixer_rms_eps")),
    "lara_mini": Family(linear="delta_net", experts="fields", qk_norm="head"),
    "lfm3": Family(
        linear="short_convolution",
        qk_norm="head",
        head_gate=True,
        norms=4,
        skipped=("conv_L_cache", "conv_bias"),
        expects={"use_sandwich_norm": (True,), "use_attention_gate": (True,)},
        defaults=_TIED,
    ),
    "mamba": _MAMBA,
    "mamba2": replace(
        _MAMBA,
        linear="mamba2",
        renames={"num_heads": "mamba_num_heads", "head_dim": "mamba_head_dim", "state_size": "ssm_state_size"},
        defaults={"tie_word_embeddings": False},
    ),
    "minimax": Family(
        linear="lightning",
        experts="fields",
        windows="none",
        expert_key="intermediate_size",
        dense_key="",
        skipped=("full_attn_alpha_factor", "full_attn_beta_factor", "linear_attn_alpha_factor")
        + ("linear_attn_beta_factor", "mlp_alpha_factor", "mlp_beta_factor", "layernorm_full_attention_alpha")
        + ("layernorm_full_attention_beta", "layernorm_linear_attention_alpha", "layernorm_linear_attention_beta")
        + ("layernorm_mlp_alpha", "layernorm_mlp_beta", "shared_moe_mode", "rotary_dim"),
        expects={"postnorm": (True,), "shared_intermediate_size": (0,), "sliding_window": ()},
    ),
    "olmo_hybrid": Family(
        windows="none",
        qk_norm="full",
        skipped=("linear_a_log_min", "linear_a_log_max", "linear_dt_min", "linear_dt_max", "linear_dt_init_floor")
        + ("linear_allow_neg_eigval",),
    ),
}
RECURRENT["lfm2_moe"] = replace(
    RECURRENT["lfm2"],
    experts="fields",
    corrected=True,
    renames={"tie_embedding": "tie_word_embeddings", "num_dense_layers": "first_k_dense_replace"},
    skipped=(*RECURRENT["lfm2"].skipped, "use_expert_bias"),
    defaults={**_TIED, "first_k_dense_replace": 2},
)
for _name in ("minimax_m1", "minimax_text_01"):
    RECURRENT[_name] = RECURRENT["minimax"]
