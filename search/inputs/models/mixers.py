"""Attention and other mixers of each layer, from a config's fields."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from costmodel.architecture import Mixer
from costmodel.blocks import BlockSelector, GroupedQueryAttention, ParallelMixers
from search.inputs.models.families.family import Family
from search.inputs.models.fields import ConfigError, Fields, divide, shown
from search.inputs.models.latent import read_latent
from search.inputs.models.recurrent import linear_mixer, read_mamba

# What configs call their layers, and what these are here.
LAYER_TYPES = {
    "full_attention": "full_attention",
    "attention": "full_attention",
    "deepseek_sparse_attention": "full_attention",
    "indexed_attention": "full_attention",
    "sliding_attention": "sliding_attention",
    "chunked_attention": "chunked_attention",
    "minimax_m3_sparse": "selected_attention",
    "linear_attention": "linear_attention",
    "mamba": "linear_attention",
    "conv": "linear_attention",
    "hybrid": "parallel",
}


def layer_types(fields: Fields, family: Family, layers: int) -> list[str]:
    """The kind of each layer: as ``layer_types`` says, else by the family's rule."""
    delta = fields.has("linear_num_value_heads") and family.linear == "delta_net"
    interval = fields.integer("full_attention_interval", default=4) if delta else None
    pattern = fields.integer("sliding_window_pattern", "_sliding_window_pattern", default=6)
    upper = fields.integer("max_window_layers", default=0, low=0)
    given = fields.items("layer_types", default=None)
    if given is not None:
        fields.skip("no_rope_layers", "no_rope_layer_interval")
        extra = fields.integer("num_nextn_predict_layers", default=0, low=0)
        if len(given) not in (layers, layers + extra):
            raise ConfigError(f"{fields.key('layer_types')} has {len(given)} entries for {layers} layers")
        for value in given:
            if not isinstance(value, str) or value not in LAYER_TYPES:
                raise ConfigError(
                    f"{fields.key('layer_types')} = {shown(value)} must hold only {', '.join(LAYER_TYPES)}"
                )
        return [LAYER_TYPES[value] for value in given[:layers]]
    if interval is not None:
        return ["linear_attention" if (i + 1) % interval else "full_attention" for i in range(layers)]
    if family.windows == "chunked":
        return _chunked(fields, layers)
    slides = {
        "none": lambda i: False,
        "all": lambda i: True,
        "upper": lambda i: i >= upper,
        "alternate": lambda i: i % 2 == 0,
        "pattern": lambda i: (i + 1) % pattern != 0,
    }[family.windows]
    return ["sliding_attention" if slides(i) else "full_attention" for i in range(layers)]


def _chunked(fields: Fields, layers: int) -> list[str]:
    """Llama 4: layers without rotary embedding see everything, the others their own chunk."""
    interval = fields.integer("no_rope_layer_interval", default=4)
    rope = fields.items("no_rope_layers", default=None) or [int((i + 1) % interval != 0) for i in range(layers)]
    if len(rope) != layers or any(isinstance(r, bool) or r not in (0, 1) for r in rope):
        raise ConfigError(
            f"{fields.key('no_rope_layers')} = {shown(rope)} must hold 0 or 1 for each of {layers} layers"
        )
    return ["chunked_attention" if r else "full_attention" for r in rope]


def read_mixers(fields: Fields, family: Family, hidden: int, layers: int) -> list[Mixer]:
    """One mixer a layer."""
    kinds = layer_types(fields, family, layers)
    if family.attention == "mla":
        latent = read_latent(fields, family, hidden, layers)
        linear = linear_mixer(fields, family, hidden) if "linear_attention" in kinds else None
        if set(kinds) - {"full_attention", "linear_attention"}:
            raise ConfigError(f"{fields.key('layer_types')}: windows under latent attention are not modelled")
        return [
            linear if linear is not None and k == "linear_attention" else m for k, m in zip(kinds, latent, strict=True)
        ]
    by_kind: dict[str, Mixer] = {}
    full = grouped_query(fields, family, hidden)
    window: int | None = fields.integer("sliding_window", default=None, low=0) or None  # Qwen2-MoE saves 0 for none
    if not fields.flag("use_sliding_window", default=True):
        window = None
    chunk = fields.integer("attention_chunk_size", default=None)
    for kind in dict.fromkeys(kinds):
        if kind == "full_attention":
            by_kind[kind] = _global(fields, full)
        elif kind == "sliding_attention":
            if window is None and "layer_types" in fields.config and fields.config["layer_types"] is not None:
                raise ConfigError(f"{fields.key('sliding_window')} is missing; layer_types has sliding_attention")
            by_kind[kind] = _sliding(fields, family, replace(full, window=window))
        elif kind == "chunked_attention":
            by_kind[kind] = replace(full, chunk=chunk)
        elif kind == "selected_attention":
            by_kind[kind] = replace(full, selector=_selector(fields))
        elif kind == "parallel":
            by_kind[kind] = ParallelMixers(full, read_mamba(fields))
        else:
            by_kind[kind] = linear_mixer(fields, family, hidden)
    _absent(fields, kinds)
    return [by_kind[kind] for kind in kinds]


def _absent(fields: Fields, kinds: list[str]) -> None:
    """Keys of mixers that these layers do not have would go unread; say that they were understood."""
    if "sliding_attention" not in kinds:
        fields.skip("num_sliding_attention_heads")
    if "full_attention" not in kinds:
        fields.skip("global_head_dim", "num_global_key_value_heads", "attention_k_eq_v")
    if not {"linear_attention", "parallel"} & set(kinds):
        fields.skip("mamba_num_heads", "mamba_head_dim", "n_groups", "ssm_state_size", "conv_kernel", "expand")
        fields.skip("use_conv_bias", "mamba_chunk_size", "mamba_proj_bias")
    if "selected_attention" not in kinds:
        fields.skip("index_n_heads", "index_head_dim", "index_block_size", "index_topk_blocks")


def _selector(fields: Fields) -> BlockSelector:
    """MiniMax-M3's choice of blocks."""
    return BlockSelector(
        fields.integer("index_n_heads"),
        fields.integer("index_head_dim"),
        fields.integer("index_block_size"),
        fields.integer("index_topk_blocks"),
    )


_NORMS: dict[str, Literal["none", "head", "each", "full"]] = {
    "none": "none",
    "head": "head",
    "each": "each",
    "full": "full",
}


def _qk_norm(fields: Fields, family: Family) -> Literal["none", "head", "each", "full"]:
    """The family's norm of queries and keys, if its flag does not switch it off."""
    names = ("use_qk_norm", "qk_norm", "qk_layernorm")
    said = fields.get(*names, default=None)[1]
    if said is not None and not isinstance(said, bool):
        raise ConfigError(f"{fields.key(fields.get(*names)[0])} = {shown(said)} must be true or false")
    if not family.qk_norm.endswith("_if_set"):
        return _NORMS[family.qk_norm]
    kind = _NORMS[family.qk_norm.removesuffix("_if_set")]
    by_default = kind == "full"  # MiniMax-M2, whose class has it on
    return kind if (by_default if said is None else said) else "none"


def grouped_query(fields: Fields, family: Family, hidden: int) -> GroupedQueryAttention:
    """Full attention of a layer; windows are set by the caller."""
    heads = fields.integer("num_attention_heads", "n_head")
    kv_heads = fields.integer("num_key_value_heads", "num_kv_heads", "n_head_kv", default=heads)
    divide(fields, "num_attention_heads", heads, "num_key_value_heads", kv_heads)
    head_dim = fields.integer("head_dim", default=None)
    if head_dim is None and family.uneven_heads:
        head_dim = hidden // heads
    elif head_dim is None:
        head_dim = divide(fields, "hidden_size", hidden, "num_attention_heads", heads)
    bias = fields.flag("attention_bias", default=False)
    fields.expect("qk_norm_type", "per_layer")  # MiniMax: one vector over all heads
    fields.expect("attn_output_gate", family.gate)
    if any(kind != 1 for kind in fields.items("attn_type_list", default=[])):
        raise ConfigError(f"{fields.key('attn_type_list')} must hold only 1: lightning attention is not modelled")
    fields.expect("num_kv_shared_layers", 0)
    out = family.forced_bias == "all" or (bias and family.bias == "all" and family.forced_bias == "none")
    return GroupedQueryAttention(
        heads,
        kv_heads,
        head_dim,
        qkv_bias=bias or family.forced_bias != "none",
        output_bias=fields.flag("attention_out_bias", default=out),
        qk_norm=_qk_norm(fields, family),
        output_gate=family.gate,
        sinks=_sinks(fields, family),
        v_dim=_value_dim(fields, head_dim),
        head_gate=family.head_gate,
    )


def _value_dim(fields: Fields, head_dim: int) -> int | None:
    """MiMo-V2: values narrower than keys."""
    width: int | None = fields.integer("v_head_dim", default=None)
    return None if width == head_dim else width


def _sinks(fields: Fields, family: Family) -> bool:
    """gpt-oss has them in every layer; MiMo-V2 says where."""
    said: bool | None = (
        fields.flag("add_full_attention_sink_bias") if fields.has("add_full_attention_sink_bias") else None
    )
    return family.sinks and not family.sliding_differs if said is None else said


def _sliding(fields: Fields, family: Family, attention: GroupedQueryAttention) -> GroupedQueryAttention:
    """MiMo-V2's sliding layers: twice the KV heads, sinks, and heads of their own where the config names them.
    Step-3.5's may have more heads, which its saved config says a second time, layer by layer (transformers 5.24)."""
    if not family.sliding_differs:
        heads = fields.integer("num_sliding_attention_heads", default=attention.heads)
        divide(fields, "num_sliding_attention_heads", heads, "num_key_value_heads", attention.kv_heads)
        again = fields.get("per_layer_config", default=None)[1] or {}
        if not isinstance(again, dict) or any(each != {"num_attention_heads": heads} for each in again.values()):
            raise ConfigError(f"{fields.key('per_layer_config')} = {shown(again)} is not modelled")
        return replace(attention, heads=heads)
    heads = fields.integer("swa_num_attention_heads", default=attention.heads)
    kv_heads = fields.integer("swa_num_key_value_heads", default=2 * attention.kv_heads)
    divide(fields, "swa_num_attention_heads", heads, "swa_num_key_value_heads", kv_heads)
    head_dim = fields.integer("swa_head_dim", default=attention.head_dim)
    v_dim = fields.integer("swa_v_head_dim", default=attention.value_dim)
    return replace(
        attention,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        v_dim=None if v_dim == head_dim else v_dim,
        sinks=fields.flag("add_swa_attention_sink_bias", default=True),
    )


def _global(fields: Fields, attention: GroupedQueryAttention) -> GroupedQueryAttention:
    """Gemma 4: full-attention layers have their own head dimension, and, where keys serve as values, KV heads."""
    head_dim = fields.integer("global_head_dim", default=attention.head_dim)
    shared = fields.flag("attention_k_eq_v", default=False)
    kv_heads = fields.integer("num_global_key_value_heads", default=attention.kv_heads)
    divide(fields, "num_attention_heads", attention.heads, "num_global_key_value_heads", kv_heads)
    if not shared:
        kv_heads = attention.kv_heads
    return replace(attention, head_dim=head_dim, kv_heads=kv_heads, shared_kv=shared)
