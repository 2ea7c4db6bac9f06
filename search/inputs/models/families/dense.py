"""Families without experts (transformers 5.24, ``models/<type>/modeling_<type>.py``)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from search.inputs.models.families.family import Family

_TIED: dict[str, Any] = {"tie_word_embeddings": True}
_LLAMA = Family(windows="none")
_GRANITE = ("embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling")
# GPT's layers: LayerNorms, two matrices, biases everywhere.
_GPT = Family(windows="none", norm_bias=True, gated_ffn=False, forced_bias="all", ffn_bias=True)
_GPT2_NAMES = {"n_embd": "hidden_size", "n_layer": "num_hidden_layers", "n_head": "num_attention_heads"}
_GPT2_SKIPPED = (
    "attention_softmax_in_fp32",
    "n_ctx",
    "reorder_and_upcast_attn",
    "scale_attention_softmax_in_fp32",
    "scale_attn_by_inverse_layer_idx",
    "scale_attn_weights",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
    "inference_runner",
    "pad_key_length",
    "pre_allocate_kv_cache",
    "validate_runner_input",
    "max_batch_size",
    "max_sequence_length",
)
# Attention and FFN side by side after one norm; biases in the FFN and the head alone.
_GPTJ = replace(
    _GPT, norms=1, forced_bias="none", head_bias=True, renames=_GPT2_NAMES, skipped=(*_GPT2_SKIPPED, "rotary")
)
_COHERE = Family(
    windows="none",
    norms=1,
    qk_norm="each_if_set",
    skipped=("logit_scale", "model_max_length"),
    defaults={**_TIED, "use_qk_norm": False},
)

DENSE: dict[str, Family] = {
    "apertus": Family(
        windows="none",
        qk_norm="head",
        gated_ffn=False,
        ffn_scalars=2,
        expects={"qk_norm": (True,), "post_norm": (False,)},
    ),
    "arcee": Family(windows="none", gated_ffn=False),
    "biogpt": replace(_GPT, positions=2, skipped=("activation_dropout", "scale_embedding"), defaults=_TIED),
    "bitnet": replace(_LLAMA, sub_norms=True),
    "mpt": Family(
        windows="none",
        gated_ffn=False,
        renames={
            "d_model": "hidden_size",
            "n_heads": "num_attention_heads",
            "n_layers": "num_hidden_layers",
            "max_seq_len": "max_position_embeddings",
        },
        skipped=(
            "learned_pos_emb",
            "init_device",
            "no_bias",
            "embedding_fraction",
            "norm_type",
            "logit_scale",
            "emb_pdrop",
        ),
        defaults=_TIED,
    ),
    "bloom": replace(
        _GPT,
        embedding_norm=True,
        renames={"n_embed": "hidden_size", "n_head": "num_attention_heads", "n_layer": "num_hidden_layers"},
        skipped=(
            "apply_residual_connection_post_layernorm",
            "attention_softmax_in_fp32",
            "bias_dropout_fusion",
            "masked_softmax_fusion",
            "offset_alibi",
            "skip_bias_add",
            "skip_bias_add_qkv",
            "slow_but_exact",
        ),
        defaults=_TIED,
    ),
    "codegen": _GPTJ,
    "cohere": _COHERE,
    "cohere2": replace(
        _COHERE,
        windows="pattern",
        qk_norm="none",
        skipped=(*_COHERE.skipped, "layer_switch", "order_of_interleaved_layers", "position_embedding_type"),
        expects={
            "use_embedding_sharing": (True,),
            "use_gated_activation": (True,),
            "use_parallel_block": (True,),
            "use_parallel_embedding": (False,),
        },
        defaults={**_TIED, "sliding_window": 4096, "sliding_window_pattern": 4},
    ),
    "ctrl": replace(
        _GPT,
        head_bias=True,
        renames={**_GPT2_NAMES, "dff": "intermediate_size"},
        skipped=_GPT2_SKIPPED,
        defaults=_TIED,
    ),
    "cwm": Family(),
    "ernie4_5": Family(windows="none", defaults={**_TIED, "head_dim": 128}),
    "exaone": replace(_LLAMA, renames={"num_layers": "num_hidden_layers"}),
    "exaone4": Family(qk_norm="head"),
    "glm": Family(windows="none", bias="qkv", defaults={"attention_bias": True, "head_dim": 128}),
    "glm4": Family(windows="none", bias="qkv", norms=4, defaults={"attention_bias": True, "head_dim": 128}),
    "gpt_neo": replace(
        _GPT,
        forced_bias="none",
        positions=0,
        renames={
            "num_heads": "num_attention_heads",
            "num_layers": "num_hidden_layers",
            "window_size": "sliding_window",
        },
        skipped=("attention_types", "embed_dropout", *_GPT2_SKIPPED),
        defaults={**_TIED, "attention_out_bias": True, "sliding_window": 256},
    ),
    "gptj": _GPTJ,
    "gpt_neox": replace(
        _GPT,
        forced_bias="none",
        skipped=("use_parallel_residual",),
        defaults={"attention_bias": True},
    ),
    "gpt2": replace(_GPT, positions=0, renames=_GPT2_NAMES, skipped=_GPT2_SKIPPED, defaults=_TIED),
    "gpt_bigcode": replace(_GPT, positions=0, renames=_GPT2_NAMES, skipped=_GPT2_SKIPPED, defaults=_TIED),
    "granite": replace(_LLAMA, skipped=_GRANITE),
    "granite_swa": Family(sinks=True, skipped=(*_GRANITE, "layer_rope_theta")),
    "helium": Family(windows="none", bias="qkv", defaults={"head_dim": 128}),
    "hunyuan_v1_dense": Family(
        windows="none",
        qk_norm="head",
        renames={"attention_head_dim": "head_dim"},
        skipped=("add_classification_head", "cla_share_factor", "class_num", "enable_lm_head_fp32", "norm_type")
        + ("org_vocab_size", "pad_id", "pool_type", "position_embedding_xdrope", "use_rotary_pos_emb")
        + ("dense_list", "im_end_id", "im_newline_id", "im_start_id", "mask_init_id", "kv_lora_rank", "q_lora_rank")
        + ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "use_mixed_mlp_moe"),
        expects={"use_cla": (False,), "use_mla": (False,), "use_qk_norm": (True,), "num_experts": (1,)},
    ),
    "hyperclovax": Family(windows="none", norms=4, skipped=_GRANITE, expects={"use_post_norm": (True,)}),
    "jais2": replace(_GPT, forced_bias="none", ffn_bias=False, defaults={"attention_bias": True, "mlp_bias": True}),
    "minicpm3": Family(
        attention="mla",
        windows="none",
        skipped=("dim_model_base", "scale_depth", "scale_emb", "use_cache"),
        defaults=_TIED,
    ),
    "ministral": Family(),
    "ministral3": Family(),
    "nanochat": Family(windows="none", norm_weights=False, gated_ffn=False),
    "nemotron": Family(windows="none", norm_bias=True, gated_ffn=False, renames={"kv_channels": "head_dim"}),
    "olmo": Family(windows="none", norm_weights=False, skipped=("clip_qkv",)),
    "olmo2": Family(windows="none", qk_norm="full"),
    "olmo3": Family(windows="pattern", qk_norm="full", defaults={"sliding_window": 4096, "sliding_window_pattern": 4}),
    "opt": replace(
        _GPT,
        positions=2,
        renames={"ffn_dim": "intermediate_size"},
        expects={
            "_remove_final_layer_norm": (False,),
            "do_layer_norm_before": (True,),
            "enable_bias": (True,),
            "layer_norm_elementwise_affine": (True,),
        },
        defaults=_TIED,
    ),
    "phi": replace(_GPT, norms=1, head_bias=True, expects={"qk_layernorm": (False,)}),
    "seed_oss": Family(windows="none", bias="qkv", skipped=("residual_dropout",), defaults={"attention_bias": True}),
    "smollm3": Family(
        windows="none",
        skipped=("no_rope_layers", "no_rope_layer_interval"),
        expects={"use_sliding_window": (False,)},
        defaults=_TIED,
    ),
    "stablelm": Family(
        windows="none",
        bias="qkv",
        norm_bias=True,
        renames={"use_qkv_bias": "attention_bias"},
        expects={"qk_layernorm": (False,), "use_parallel_residual": (False,)},
    ),
    "starcoder2": replace(
        _GPT,
        windows="all",
        forced_bias="none",
        ffn_bias=False,
        skipped=("residual_dropout",),
        expects={"mlp_type": ("default",), "norm_type": ("layer_norm",)},
        defaults=_TIED,
    ),
    "vaultgemma": Family(windows="alternate", defaults={**_TIED, "head_dim": 256, "sliding_window": 4096}),
    "xglm": replace(
        _GPT,
        renames={"attention_heads": "num_attention_heads", "num_layers": "num_hidden_layers", "d_model": "hidden_size"}
        | {"ffn_dim": "intermediate_size"},
        skipped=("activation_dropout", "scale_embedding"),
        defaults=_TIED,
    ),
    "youtu": Family(attention="mla", windows="none", defaults=_TIED),
}
