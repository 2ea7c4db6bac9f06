"""Configs of families with recurrent layers, in the reader's words (see ``legacy.py``)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from search.inputs.models.fields import ConfigError, Fields, shown

Config = dict[str, Any]


def _count(fields: Fields) -> int:
    return fields.integer("num_hidden_layers", high=2000)


def _types(config: Config, recurrent: list[bool]) -> Config:
    if config.get("layer_types") is None:
        config["layer_types"] = ["linear_attention" if r else "full_attention" for r in recurrent]
    return config


def _every(fields: Fields, kind: str, layers: int) -> list[bool]:
    """Layers i with ``i % period == offset``."""
    period, offset = fields.integer(f"{kind}_layer_period"), fields.integer(f"{kind}_layer_offset", low=0)
    if offset >= period:
        raise ConfigError(f"{fields.key(kind + '_layer_offset')} = {offset} must be below the period of {period}")
    return [i % period == offset for i in range(layers)]


def _jamba(config: Config, fields: Fields) -> Config:
    """Attention and experts in every so many layers."""
    layers = _count(fields)
    attention, experts = _every(fields, "attn", layers), _every(fields, "expert", layers)
    for name in ("attn_layer_period", "attn_layer_offset", "expert_layer_period", "expert_layer_offset"):
        config.pop(name)
    config.pop("layers_block_type", None)
    if config.get("mamba_dt_rank") in (None, "auto"):
        config["mamba_dt_rank"] = math.ceil(fields.integer("hidden_size") / 16)
    config["moe_layers"] = [i for i, e in enumerate(experts) if e]
    return _types(config, [not a for a in attention])


def _mamba_head(config: Config, fields: Fields) -> Config:
    """``auto`` is what is left of the inner width for a head; Falcon-H1 may give the inner width itself."""
    inner = config.pop("mamba_d_ssm", None)
    if inner is None:
        inner = fields.integer("expand", default=2) * fields.integer("hidden_size")
    inner = fields.whole("mamba_d_ssm", inner)
    heads = fields.integer("mamba_num_heads", default=128)
    if config.get("mamba_head_dim") in (None, "auto"):
        config["mamba_head_dim"] = inner // heads
    if fields.whole("mamba_head_dim", config["mamba_head_dim"]) * heads != inner:
        raise ConfigError(
            f"{fields.key('mamba_num_heads')} = {heads} heads of {shown(config['mamba_head_dim'])} must make up the "
            f"inner width of {inner}"
        )
    return config | {"mamba_num_heads": heads, "n_groups": fields.integer("n_groups", default=1)}


def _bamba(config: Config, fields: Fields) -> Config:
    """Attention in the layers that are listed."""
    layers = _count(fields)
    listed = fields.items("attn_layer_indices", default=None) or []
    attention = {fields.whole("attn_layer_indices", i, 0, layers - 1) for i in listed}
    config.pop("attn_layer_indices", None)
    return _types(_mamba_head(config, fields), [i not in attention for i in range(layers)])


def _falcon_h1(config: Config, fields: Fields) -> Config:
    """Every layer has attention and Mamba-2 side by side."""
    config = _mamba_head(config, fields)
    config.pop("layers_block_type", None)
    return config | {"layer_types": ["hybrid"] * _count(fields), "mamba_rms_norm": bool(config.get("mamba_rms_norm"))}


def _granite(config: Config, fields: Fields) -> Config:
    if config.get("layer_types") is None:
        config["layer_types"] = config.pop("layers_block_type", None)
    return _types(_mamba_head(config, fields), [True] * _count(fields))


def _lfm2(config: Config, fields: Fields) -> Config:
    """Attention in the layers that are listed; the FFN's width is two thirds of what is said, rounded up."""
    layers, hidden = _count(fields), fields.integer("hidden_size")
    listed = fields.items("full_attn_idxs", default=None)
    attention = set(range(layers)) if listed is None else {fields.whole("full_attn_idxs", i, 0) for i in listed}
    config.pop("full_attn_idxs", None)
    for name in ("block_dim", "conv_dim", "conv_dim_out"):
        fields.expect(name, hidden)
        config.pop(name, None)
    fields.expect("num_heads", fields.integer("num_attention_heads"))
    config.pop("num_heads", None)
    adjusts = fields.flag("block_auto_adjust_ff_dim", default=True)
    factor = fields.get("block_ffn_dim_multiplier", default=1.0)[1]
    multiple = fields.integer("block_multiple_of", default=256)
    for name in ("block_auto_adjust_ff_dim", "block_ffn_dim_multiplier", "block_multiple_of"):
        config.pop(name, None)
    if adjusts and "moe_intermediate_size" not in config:
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor < 100:
            raise ConfigError(f"{fields.key('block_ffn_dim_multiplier')} = {shown(factor)} must be a number above 0")
        inner = int(factor * int(2 * fields.integer("intermediate_size") / 3))
        config["intermediate_size"] = multiple * math.ceil(inner / multiple)
    return _types(config, [i not in attention for i in range(layers)])


def _minimax(config: Config, fields: Fields) -> Config:
    """Lightning attention where the list says 0, in every other layer without one."""
    layers = _count(fields)
    given = fields.items("attn_type_list", default=None)
    config.pop("attn_type_list", None)
    if given is None:
        return _types(config, [i % 2 == 1 for i in range(layers)])
    if len(given) != layers or any(isinstance(g, bool) or g not in (0, 1) for g in given):
        raise ConfigError(f"{fields.key('attn_type_list')} must hold 0 or 1 for each of {layers} layers")
    return _types(config, [g == 0 for g in given])


def _kimi_linear(config: Config, fields: Fields) -> Config:
    """Delta attention's figures from an object of their own, which counts layers from one."""
    layers = _count(fields)
    own = fields.object("linear_attn_config")
    config.pop("linear_attn_config", None)
    config.pop("head_dim", None)  # a figure of transformers' own, used by nothing
    if own is not None:
        names = {"linear_head_dim": "head_dim", "linear_num_heads": "num_heads"}
        names |= {"linear_conv_kernel_dim": "short_conv_kernel_size"}
        config |= {ours: own.integer(theirs) for ours, theirs in names.items()}
        if own.flag("use_full_rank_gate", default=False):  # Kimi K3, whose checkpoint has as many decays as channels
            config |= {"linear_low_rank_gate": False, "linear_decays": config["linear_head_dim"]}
        full = {own.whole("full_attn_layers", i, 1, layers) for i in own.items("full_attn_layers")}
        delta = {own.whole("kda_layers", i, 1, layers) for i in own.items("kda_layers")}
        if full & delta or len(full | delta) != layers:
            raise ConfigError(f"{own.key('kda_layers')} and full_attn_layers must make up the {layers} layers")
        return _types(config, [i + 1 in delta for i in range(layers)])
    return _types(config, [not (i and i % 4 == 0) for i in range(layers)])


def _bailing_hybrid(config: Config, fields: Fields) -> Config:
    """The last layer of every group sees everything."""
    every = fields.integer("layer_group_size", default=6)
    kernel = fields.integer("short_conv_kernel_size", default=4, high=64)
    heads = fields.integer("num_attention_heads")
    saved = fields.has("linear_head_dim")  # as transformers saves it: there head_dim is the rotary part
    dim = fields.integer("linear_head_dim") if saved else fields.integer("head_dim", default=128)
    for name in ("layer_group_size", "short_conv_kernel_size"):
        config.pop(name, None)
    if not saved:
        config.pop("head_dim", None)
    config |= {"linear_head_dim": dim, "linear_num_heads": heads, "linear_conv_kernel_dim": kernel}
    config |= {"linear_low_rank_decay": False, "linear_low_rank_gate": False}
    return _types(config, [(i + 1) % every != 0 for i in range(_count(fields))])


RECURRENT_WORDS: dict[str, Callable[[Config, Fields], Config]] = {
    "bailing_hybrid": _bailing_hybrid,
    "bamba": _bamba,
    "falcon_h1": _falcon_h1,
    "granitemoehybrid": _granite,
    "jamba": _jamba,
    "kimi_linear": _kimi_linear,
    "lfm2": _lfm2,
    "lfm2_moe": _lfm2,
    "minimax": _minimax,
    "minimax_m1": _minimax,
    "minimax_text_01": _minimax,
}
