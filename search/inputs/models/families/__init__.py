"""Model families: what a ``model_type`` fixes that its config.json does not say.

Each trait was read from transformers 5.24 (``models/<type>/modeling_<type>.py`` and ``configuration_<type>.py``), for
``mimo`` and ``step3p7`` from vLLM 0.33 (``model_executor/models/mimo.py``, ``step3p5.py``). Here are the families that
most people serve; ``dense.py``, ``experts.py`` and ``recurrent.py`` hold the others.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from search.inputs.models.families.dense import DENSE
from search.inputs.models.families.experts import EXPERTS
from search.inputs.models.families.family import Family
from search.inputs.models.families.recurrent import RECURRENT

_QWEN_WINDOW = {"use_sliding_window": False}
_QWEN2 = Family(forced_bias="qkv", windows="upper", defaults=_QWEN_WINDOW)
_QWEN3 = Family(qk_norm="head", windows="upper", defaults={**_QWEN_WINDOW, "head_dim": 128})
_QWEN_MOE: dict[str, Any] = {"decoder_sparse_step": 1, "mlp_only_layers": [], "norm_topk_prob": False}
_QWEN3_NEXT = Family(
    experts="fields",
    qk_norm="head",
    gate=True,
    windows="none",
    shared_gate=True,
    defaults={**_QWEN_MOE, **_QWEN_WINDOW, "head_dim": 256, "full_attention_interval": 4, "tie_word_embeddings": False},
)
_QWEN3_5 = replace(
    _QWEN3_NEXT, experts="none", shared_gate=False, expects={"mlp_only_layers": ([],), "output_gate_type": ("swish",)}
)
_DEEPSEEK_V2 = Family(attention="mla", experts="fields", windows="none", defaults={"moe_layer_freq": 1})
_DEEPSEEK = replace(_DEEPSEEK_V2, corrected=True)
_TIED = {"tie_word_embeddings": True, "head_dim": 256}
# Sizes per layer must be said: the class would take 256 for an absent one, and they are not modelled.
_GEMMA4_DEFAULTS = {**_TIED, "enable_moe_block": False, "hidden_size_per_layer_input": 256}
_GEMMA4 = Family(qk_norm="head", norms=4, windows="pattern", experts="fields", defaults=_GEMMA4_DEFAULTS)
# Gemma 3's published configs leave out what the class would take anyway.
_GEMMA3_DEFAULTS = {
    **_TIED,
    "sliding_window": 4096,
    "sliding_window_pattern": 6,
    "vocab_size": 262_208,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "intermediate_size": 9216,
}
_GEMMA3 = Family(qk_norm="head", norms=4, windows="pattern", defaults=_GEMMA3_DEFAULTS)
# What searching left behind in the config: how its blocks were trained and scored.
_NEMOTRON_NAS = Family(attention="nas", windows="none", skipped=("num_key_value_heads",))
_LLAMA4 = Family(
    experts="fields",
    windows="chunked",
    expert_key="intermediate_size",
    dense_key="intermediate_size_mlp",
    defaults={"attention_chunk_size": 8192, "head_dim": 128, "interleave_moe_layer_step": 1},
    vision="llama4",
)

FAMILIES: dict[str, Family] = {
    **DENSE,
    **EXPERTS,
    **RECURRENT,
    "llama": Family(windows="none"),
    "mistral": Family(),
    "mixtral": Family(experts="fields", expert_key="intermediate_size"),
    "phi3": Family(
        skipped=("full_attn_mod", "interpolate_factor"), expects={"embd_layer": ()}, defaults={"attention_bias": False}
    ),
    "qwen2": _QWEN2,
    "qwen3": _QWEN3,
    "mimo": _QWEN2,
    "qwen2_moe": replace(
        _QWEN2,
        experts="fields",
        shared_gate=True,
        renames={"qkv_bias": "attention_bias"},
        defaults={**_QWEN_MOE, **_QWEN_WINDOW, "attention_bias": True},
    ),
    "qwen3_moe": replace(_QWEN3, experts="fields", defaults={**_QWEN_MOE, **_QWEN_WINDOW}),
    # Its config is silent about the prediction module of the released checkpoints; vLLM 0.33 takes one
    # (model_executor/models/qwen3_next_mtp.py).
    "qwen3_next": replace(_QWEN3_NEXT, defaults={**_QWEN3_NEXT.defaults, "num_nextn_predict_layers": 1}),
    "qwen3_5_moe": replace(_QWEN3_NEXT, vision="qwen3"),
    "qwen3_5_moe_text": _QWEN3_NEXT,
    "qwen3_5": replace(_QWEN3_5, vision="qwen3"),
    "qwen3_5_text": _QWEN3_5,
    "gemma": Family(windows="none", defaults=_TIED),
    "gemma2": Family(
        norms=4,
        windows="alternate",
        skipped=("sliding_window_size",),
        defaults={**_TIED, "sliding_window": 4096},
    ),
    "gemma3_text": _GEMMA3,
    "gemma3": replace(_GEMMA3, vision="siglip"),
    "gemma4_text": _GEMMA4,
    "gemma4_unified_text": replace(_GEMMA4, experts="none"),
    "gemma4": replace(_GEMMA4, vision="gemma4"),
    "glm4_moe": Family(
        experts="fields", bias="qkv", qk_norm="head_if_set", windows="none", corrected=True, uneven_heads=True
    ),
    "minimax_m2": Family(
        experts="fields", qk_norm="full_if_set", windows="none", expert_key="intermediate_size", dense_key=""
    ),
    "gpt_oss": Family(
        experts="fields",
        sinks=True,
        windows="alternate",
        expert_key="intermediate_size",
        dense_key="",
        router_bias=True,
        expert_bias=True,
        defaults={"attention_bias": True, "sliding_window": 128},
    ),
    "llama4": _LLAMA4,
    "llama4_text": replace(_LLAMA4, vision=None),
    "deepseek_v2": _DEEPSEEK_V2,
    "deepseek_v3": _DEEPSEEK,
    "deepseek_v32": _DEEPSEEK,
    "kimi_k2": _DEEPSEEK,
    "kimi_k25": replace(_DEEPSEEK, vision="moonvit"),
    "glm_moe_dsa": _DEEPSEEK,
    "step3p7": Family(
        experts="fields",
        qk_norm="head",
        head_gate=True,
        windows="pattern",
        expects={"gating": (True, "per-head")},
        note="norms of queries and keys and a gate a head as in transformers' modeling_step3p7.py; heads are equal in "
        "all layers where the config does not name those of sliding ones",
    ),
    "nemotron_h": Family(
        attention="hybrid",
        experts="fields",
        windows="none",
        gated_ffn=False,
        norms=1,
        corrected=True,
        renames={
            "layer_types": "layers_block_type",
            "mamba_n_groups": "n_groups",
            "mamba_d_conv": "conv_kernel",
            "mamba_expand": "expand",
            "mamba_conv_bias": "use_conv_bias",
        },
        skipped=("moe_shared_expert_overlap", "mamba_dt_min", "mamba_dt_max", "mamba_dt_limit", "mamba_dt_init_floor"),
    ),
    "nemotron-nas": _NEMOTRON_NAS,
    "nemotron_nas": _NEMOTRON_NAS,
    "falcon": Family(
        norm_bias=True, gated_ffn=False, windows="none", skipped=("alibi",), defaults={"tie_word_embeddings": True}
    ),
}

# Families that are known and not modelled, with what stands in the way.
REFUSED = {
    "gemma3n": "its per-layer embeddings and shared caches are not modelled",
    "gemma3n_text": "its per-layer embeddings and shared caches are not modelled",
    "llada2_moe": "it is a diffusion model: it does not decode token by token",
    "t5": "encoder-decoder models are not modelled",
    "whisper": "encoder-decoder models are not modelled",
}
