"""Attention and other mixers of each layer, from a config's fields."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from costmodel.architecture import Mixer
from costmodel.blocks import GatedDeltaNet, GroupedQueryAttention, Indexer, LatentAttention, Mamba2
from search.inputs.models.families import Family
from search.inputs.models.fields import ConfigError, Fields, divide, shown

LAYER_TYPES = ("full_attention", "sliding_attention", "chunked_attention", "linear_attention")
STATE_BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0}


def layer_types(fields: Fields, family: Family, layers: int) -> list[str]:
    """The kind of each layer: as ``layer_types`` says, else by the family's rule."""
    linear = fields.has("linear_num_value_heads")
    interval = fields.integer("full_attention_interval", default=4) if linear else None
    pattern = fields.integer("sliding_window_pattern", "_sliding_window_pattern", default=6)
    upper = fields.integer("max_window_layers", default=0, low=0)
    given = fields.items("layer_types", default=None)
    if given is not None:
        extra = fields.integer("num_nextn_predict_layers", default=0, low=0)
        if len(given) not in (layers, layers + extra):
            raise ConfigError(f"{fields.key('layer_types')} has {len(given)} entries for {layers} layers")
        for value in given:
            if value not in LAYER_TYPES:
                raise ConfigError(
                    f"{fields.key('layer_types')} = {shown(value)} must hold only {', '.join(LAYER_TYPES)}"
                )
        return given[:layers]
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
    if family.attention == "mla":
        return [_latent(fields, hidden)] * layers
    kinds = layer_types(fields, family, layers)
    if "linear_attention" in kinds and not fields.has("linear_num_value_heads"):
        raise ConfigError(f"{fields.key('linear_num_value_heads')} is missing; layer_types has linear_attention")
    by_kind: dict[str, Mixer] = {}
    full = grouped_query(fields, family, hidden)
    window: int | None = fields.integer("sliding_window", default=None)
    if not fields.flag("use_sliding_window", default=True):
        window = None
    chunk = fields.integer("attention_chunk_size", default=None)
    for kind in dict.fromkeys(kinds):
        if kind == "full_attention":
            by_kind[kind] = _global(fields, full)
        elif kind == "sliding_attention":
            if window is None and "layer_types" in fields.config and fields.config["layer_types"] is not None:
                raise ConfigError(f"{fields.key('sliding_window')} is missing; layer_types has sliding_attention")
            by_kind[kind] = replace(full, window=window)
        elif kind == "chunked_attention":
            by_kind[kind] = replace(full, chunk=chunk)
        else:
            by_kind[kind] = _delta_net(fields)
    _absent(fields, kinds)
    return [by_kind[kind] for kind in kinds]


def _absent(fields: Fields, kinds: list[str]) -> None:
    """Keys of mixers that these layers do not have would go unread; say that they were understood."""
    if "full_attention" not in kinds:
        fields.skip("global_head_dim", "num_global_key_value_heads", "attention_k_eq_v")


def grouped_query(fields: Fields, family: Family, hidden: int) -> GroupedQueryAttention:
    """Full attention of a layer; windows are set by the caller."""
    heads = fields.integer("num_attention_heads", "n_head")
    kv_heads = fields.integer("num_key_value_heads", "num_kv_heads", "n_head_kv", default=heads)
    divide(fields, "num_attention_heads", heads, "num_key_value_heads", kv_heads)
    head_dim = fields.integer("head_dim", default=None)
    if head_dim is None:
        head_dim = divide(fields, "hidden_size", hidden, "num_attention_heads", heads)
    bias = fields.flag("attention_bias", default=False)
    follows = fields.flag("use_qk_norm", default=True)
    fields.expect("qk_norm_type", "per_layer")  # MiniMax: one vector over all heads
    norms: dict[str, Literal["none", "head", "full"]] = {
        "none": "none",
        "head": "head",
        "full": "full",
        "head_if_set": "head" if follows and fields.has("use_qk_norm") else "none",
        "full_if_set": "full" if follows else "none",
    }
    fields.expect("attn_output_gate", family.gate)
    if any(kind != 1 for kind in fields.items("attn_type_list", default=[])):
        raise ConfigError(f"{fields.key('attn_type_list')} must hold only 1: lightning attention is not modelled")
    fields.expect("num_kv_shared_layers", 0)
    return GroupedQueryAttention(
        heads,
        kv_heads,
        head_dim,
        qkv_bias=bias or family.forced_bias == "qkv",
        output_bias=bias and family.bias == "all" and family.forced_bias == "none",
        qk_norm=norms[family.qk_norm],
        output_gate=family.gate,
        sinks=family.sinks,
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


def _latent(fields: Fields, hidden: int) -> LatentAttention:
    heads = fields.integer("num_attention_heads")
    nope, rope = fields.integer("qk_nope_head_dim"), fields.integer("qk_rope_head_dim")
    if fields.integer("num_key_value_heads", default=heads) != heads:
        raise ConfigError(f"{fields.key('num_key_value_heads')} must equal num_attention_heads = {heads} under MLA")
    if fields.integer("qk_head_dim", default=nope + rope) != nope + rope:
        raise ConfigError(f"{fields.key('qk_head_dim')} must be qk_nope_head_dim + qk_rope_head_dim = {nope + rope}")
    fields.integer("head_dim", default=None)  # the rotary part, by another name
    fields.skip("indexer_rope_interleave")
    q_rank = fields.integer("q_lora_rank", default=None)
    indexer = None
    if any(fields.has(key) for key in ("index_topk", "index_n_heads", "index_head_dim")):
        if q_rank is None:
            raise ConfigError(f"{fields.key('q_lora_rank')} is missing; the indexer's queries come from it")
        _every_layer_indexed(fields)
        indexer = Indexer(
            fields.integer("index_n_heads"), fields.integer("index_head_dim"), fields.integer("index_topk")
        )
    return LatentAttention(
        heads=heads,
        q_rank=q_rank,
        kv_rank=fields.integer("kv_lora_rank"),
        nope_dim=nope,
        rope_dim=rope,
        v_dim=fields.integer("v_head_dim"),
        bias=fields.flag("attention_bias", default=False),
        indexer=indexer,
    )


def _every_layer_indexed(fields: Fields) -> None:
    types = fields.items("indexer_types", default=None)
    if types is not None and any(t != "full" for t in types):
        raise ConfigError(f"{fields.key('indexer_types')} shares an indexer between layers, which is not modelled")


def _delta_net(fields: Fields) -> GatedDeltaNet:
    keys, values = fields.integer("linear_num_key_heads"), fields.integer("linear_num_value_heads")
    divide(fields, "linear_num_value_heads", values, "linear_num_key_heads", keys)
    return GatedDeltaNet(
        key_heads=keys,
        value_heads=values,
        key_dim=fields.integer("linear_key_head_dim"),
        value_dim=fields.integer("linear_value_head_dim"),
        kernel=fields.integer("linear_conv_kernel_dim", high=64),
        state_element_bytes=STATE_BYTES[fields.choice("mamba_ssm_dtype", tuple(STATE_BYTES), default="float32")],
    )


def read_mamba(fields: Fields) -> Mamba2:
    """The state-space layer of Nemotron-H."""
    heads, dim = fields.integer("mamba_num_heads"), fields.integer("mamba_head_dim")
    groups = fields.integer("n_groups")
    divide(fields, "mamba_num_heads", heads, "n_groups", groups)
    fields.integer("expand", default=2)  # superseded by mamba_num_heads * mamba_head_dim
    stored: Any = fields.choice("mamba_ssm_cache_dtype", tuple(STATE_BYTES), default="float32")
    return Mamba2(
        heads=heads,
        head_dim=dim,
        state=fields.integer("ssm_state_size"),
        groups=groups,
        kernel=fields.integer("conv_kernel", high=64),
        chunk=fields.integer("chunk_size", "mamba_chunk_size", default=128),
        projection_bias=fields.flag("mamba_proj_bias", default=False) or fields.flag("use_bias", default=False),
        convolution_bias=fields.flag("use_conv_bias", default=True),
        state_element_bytes=STATE_BYTES[stored],
    )
