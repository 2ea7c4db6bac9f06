"""Families whose layers are put together in a way of their own."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from costmodel.architecture import Layer, Quantization
from costmodel.blocks import (
    CompressedAttention,
    CompressedIndexer,
    DenseFfn,
    GroupedQueryAttention,
    HyperConnections,
    Mamba1,
)
from costmodel.formats import FORMATS
from search.inputs.models.families.family import Family
from search.inputs.models.ffns import read_experts
from search.inputs.models.fields import ConfigError, Fields, divide, shown
from search.inputs.models.latent import read_latent
from search.inputs.models.quantizers import Formats
from search.inputs.models.recurrent import read_mamba


def read_shortcut(fields: Fields, family: Family, hidden: int, layers: int) -> list[Layer]:
    """LongCat-Flash (arXiv:2509.01322; transformers 5.24 modeling_longcat_flash.py): what its config calls a layer is
    two, each with attention and a dense FFN; experts run beside the first one's FFN and are added after the second."""
    attention = read_latent(fields, family, hidden, layers)[0]
    inner = fields.integer(family.dense_key)
    experts = read_experts(fields, family)
    if experts.shared_inner:
        raise ConfigError(f"{fields.key('n_shared_experts')}: shared experts beside the shortcut are not modelled")
    first = Layer(attention, replace(experts, shared_inner=inner))
    return [first, Layer(attention, DenseFfn(inner))] * layers


def read_state_space(fields: Fields, family: Family, hidden: int) -> list[Layer]:
    """Mamba, Falcon-Mamba and Mamba-2 alone: a mixer and a norm a layer (modeling_mamba.py, modeling_mamba2.py)."""
    layers = fields.integer("num_hidden_layers", high=2000)
    if family.linear == "mamba2":
        fields.skip("time_step_rank")
        return [Layer(read_mamba(fields), None, norms=1)] * layers
    inner = fields.integer("expand", default=2) * hidden
    inner = fields.integer("intermediate_size", default=inner)
    rank = fields.get("time_step_rank", default="auto")[1]
    mixer = Mamba1(
        inner=inner,
        state=fields.integer("state_size"),
        step_rank=math.ceil(hidden / 16) if rank == "auto" else fields.whole("time_step_rank", rank),
        kernel=fields.integer("conv_kernel", high=64),
        projection_bias=fields.flag("use_bias", default=False),
        convolution_bias=fields.flag("use_conv_bias", default=True),
        norms=False,
    )
    return [Layer(mixer, None, norms=1)] * layers


def read_nas(fields: Fields, family: Family, hidden: int) -> list[Layer]:
    """Llama-Nemotron found by architecture search (arXiv:2411.19146; vLLM 0.33 models/nemotron_nas.py): each layer has
    its own number of KV heads and width of FFN, or lacks either part and the norm before it."""
    heads = fields.integer("num_attention_heads")
    head_dim = fields.integer("head_dim", default=None) or divide(
        fields, "hidden_size", hidden, "num_attention_heads", heads
    )
    count = fields.integer("num_hidden_layers", high=2000)
    blocks = fields.items("block_configs")
    if len(blocks) != count:
        raise ConfigError(f"{fields.key('block_configs')} has {len(blocks)} entries for {count} layers")
    fields.skip("num_key_value_heads", "intermediate_size")  # null there: each layer has its own
    bias, ffn_bias = fields.flag("attention_bias", default=False), fields.flag("mlp_bias", default=False)
    layers = []
    for i, block in enumerate(blocks):
        where = f"{fields.key('block_configs')}[{i}]."
        attention, ffn = (_part(block, where, name) for name in ("attention", "ffn"))
        mixer = None
        if attention is not None:
            kv_heads = attention.integer("num_key_value_heads", default=None)
            if kv_heads is None:
                kv_heads = divide(
                    attention, "num_attention_heads", heads, "n_heads_in_group", attention.integer("n_heads_in_group")
                )
            mixer = GroupedQueryAttention(heads, kv_heads, head_dim, qkv_bias=bias, output_bias=bias)
        dense = None if ffn is None else DenseFfn(_nas_width(ffn, hidden), bias=ffn_bias)
        layers.append(Layer(mixer, dense, norms=(mixer is not None) + (dense is not None)))
    return layers


def _part(block: Any, where: str, name: str) -> Fields | None:
    """One part of a block, ``None`` where it is left out."""
    outer = Fields(block if isinstance(block, dict) else {}, where)
    part = outer.object(name)
    if part is None:
        raise ConfigError(f"{where}{name} is missing; the model's shape depends on it")
    part.expect("replace_with_linear", False)
    for key in ("window_length", "num_sink_tokens", "moe", "mamba", "llama4"):
        part.expect(key)
    return None if part.flag("no_op", default=False) else part


def _nas_width(ffn: Fields, hidden: int) -> int:
    """Said, or a multiple of two thirds of the hidden width, rounded up to 256."""
    width: int | None = ffn.integer("intermediate_size", default=None)
    if width is not None:
        return width
    factor = ffn.get("ffn_mult")[1]
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor < 100:
        raise ConfigError(f"{ffn.key('ffn_mult')} = {shown(factor)} must be a number above 0")
    return 256 * math.ceil(int(2 * factor * hidden / 3) / 256)


_COMPRESSED = {
    "sliding_attention": 0,
    "compressed_sparse_attention": 4,
    "heavily_compressed_attention": 128,
}


def _rates(fields: Fields, layers: int) -> list[tuple[int, bool]]:
    """Tokens an entry of each layer, and whether an indexer chooses among them: by ``compress_ratios`` as published, by
    ``layer_types`` as transformers saves them, else two heavy layers and then heavy and light in turn."""
    rates = dict(_COMPRESSED)
    said = fields.object("compress_rates")
    if said is not None:
        rates |= {kind: said.integer(kind) for kind in rates if said.has(kind)}
    ratios, types = fields.items("compress_ratios", default=None), fields.items("layer_types", default=None)
    if types is None and ratios is not None:
        kinds = {ratio: kind for kind, ratio in _COMPRESSED.items()}
        if any(isinstance(r, bool) or not isinstance(r, int) or r not in kinds for r in ratios):
            raise ConfigError(f"{fields.key('compress_ratios')} = {shown(ratios)} must hold only 0, 4 or 128")
        types = [kinds[ratio] for ratio in ratios]
    if types is None:
        heavy, light = "heavily_compressed_attention", "compressed_sparse_attention"
        types = [heavy, heavy, *(light if i % 2 else heavy for i in range(max(layers - 2, 0)))][:layers]
    if len(types) < layers or any(not isinstance(t, str) or t not in rates for t in types):
        raise ConfigError(f"{fields.key('layer_types')} must hold {', '.join(rates)} for each of {layers} layers")
    return [(rates[kind], kind == "compressed_sparse_attention") for kind in types[:layers]]


def read_deepseek_v4(fields: Fields, family: Family, hidden: int) -> list[Layer]:
    """DeepSeek-V4: compressed attention, experts in every layer (the first few chosen by a hash of the token, which
    has the same weights), hyper-connections."""
    layers = fields.integer("num_hidden_layers", high=2000)
    fields.expect("num_key_value_heads", 1)
    fields.expect("attention_bias", False)
    fields.expect("mlp_bias", False)
    heads, head_dim = fields.integer("num_attention_heads"), fields.integer("head_dim")
    groups = fields.integer("o_groups")
    divide(fields, "num_attention_heads", heads, "o_groups", groups)
    rope = fields.integer("qk_rope_head_dim", default=head_dim // 8)
    indexer = CompressedIndexer(
        fields.integer("index_n_heads"), fields.integer("index_head_dim"), fields.integer("index_topk")
    )
    types = fields.items("mlp_layer_types", default=None) or []
    if any(t not in ("hash_moe", "moe") for t in types):
        raise ConfigError(f"{fields.key('mlp_layer_types')} must hold only hash_moe or moe")
    fields.integer("num_hash_layers", default=0, low=0)
    experts = read_experts(fields, family)
    residual = HyperConnections(fields.integer("hc_mult", high=64))
    built = []
    for rate, indexed in _rates(fields, layers):
        attention = CompressedAttention(
            heads=heads,
            head_dim=head_dim,
            rope_dim=rope,
            q_rank=fields.integer("q_lora_rank"),
            window=fields.integer("sliding_window"),
            rate=rate,
            out_groups=groups,
            out_rank=fields.integer("o_lora_rank"),
            indexer=indexer if indexed else None,
        )
        built.append(Layer(attention, experts, residual=residual))
    return built


def experts_apart(formats: Formats, fields: Fields, stored: bool, assumptions: list[str]) -> Formats:
    """DeepSeek-V4 says the format of its experts in a key of its own; without it, vLLM takes them as MXFP4 where the
    rest is FP8 (``DeepseekV4FP8Config``). Nothing to do where weights are cast (not ``stored``), or in another format
    than FP8: a quantiser's own word is the later one."""
    said = fields.choice("expert_dtype", ("fp4", "fp8"), default=None)
    default = formats.quantization.default
    if not stored or not default.name.startswith("fp8") or said == "fp8":
        return formats
    if said is None:
        assumptions.append("expert_dtype is absent: experts are taken as MXFP4, as vLLM takes them")
    experts = dict.fromkeys(("experts.up", "experts.down"), FORMATS["mxfp4"])
    quantization = Quantization(default, dict(formats.quantization.modules) | experts)
    return replace(formats, quantization=quantization)
