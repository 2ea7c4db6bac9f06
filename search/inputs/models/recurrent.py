"""Recurrent mixers of each layer, from a config's fields: what a family's ``linear_attention`` layers are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from costmodel.architecture import Mixer
from costmodel.blocks import (
    GatedDeltaNet,
    KimiDeltaAttention,
    LightningAttention,
    Mamba1,
    Mamba2,
    ShortConvolution,
)
from search.inputs.models.families.family import Family
from search.inputs.models.fields import ConfigError, Fields, divide

STATE_BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0}


def linear_mixer(fields: Fields, family: Family, hidden: int) -> Mixer:
    """The family's recurrent mixer."""
    readers: dict[str, Callable[[Fields, int], Mixer]] = {
        "delta_net": _delta_net,
        "kimi_delta": _kimi_delta,
        "lightning": _lightning,
        "mamba1": _mamba1,
        "mamba2": lambda fields, hidden: read_mamba(fields),
        "short_convolution": _short_convolution,
    }
    return readers[family.linear](fields, hidden)


def _state_bytes(fields: Fields) -> float:
    """Bytes of an element of the state: float32 where the config does not say."""
    stored: Any = fields.choice(
        "mamba_ssm_dtype" if fields.has("mamba_ssm_dtype") else "mamba_ssm_cache_dtype",
        tuple(STATE_BYTES),
        default="float32",
    )
    return STATE_BYTES[stored]


def _delta_net(fields: Fields, hidden: int) -> GatedDeltaNet:
    if not fields.has("linear_num_value_heads"):
        raise ConfigError(f"{fields.key('linear_num_value_heads')} is missing; layer_types has linear_attention")
    keys, values = fields.integer("linear_num_key_heads"), fields.integer("linear_num_value_heads")
    divide(fields, "linear_num_value_heads", values, "linear_num_key_heads", keys)
    return GatedDeltaNet(
        key_heads=keys,
        value_heads=values,
        key_dim=fields.integer("linear_key_head_dim"),
        value_dim=fields.integer("linear_value_head_dim"),
        kernel=fields.integer("linear_conv_kernel_dim", high=64),
        state_element_bytes=_state_bytes(fields),
    )


def _kimi_delta(fields: Fields, hidden: int) -> KimiDeltaAttention:
    """Kimi Linear's, Kimi K3's and Ling-3's; ``recurrent_words.py`` says which projections have a low rank."""
    return KimiDeltaAttention(
        heads=fields.integer("linear_num_heads"),
        head_dim=fields.integer("linear_head_dim"),
        kernel=fields.integer("linear_conv_kernel_dim", high=64),
        low_rank_decay=fields.flag("linear_low_rank_decay", default=True),
        low_rank_gate=fields.flag("linear_low_rank_gate", default=True),
        decays=fields.integer("linear_decays", default=None),
        state_element_bytes=_state_bytes(fields),
    )


def _lightning(fields: Fields, hidden: int) -> LightningAttention:
    heads = fields.integer("num_attention_heads")
    head_dim = fields.integer("head_dim", default=None)
    if head_dim is None:
        head_dim = divide(fields, "hidden_size", hidden, "num_attention_heads", heads)
    return LightningAttention(
        heads, head_dim, fields.integer("block_size", default=256), state_element_bytes=_state_bytes(fields)
    )


def _mamba1(fields: Fields, hidden: int) -> Mamba1:
    """Jamba's state-space layer."""
    fields.integer("mamba_chunk_size", default=None)
    return Mamba1(
        inner=fields.integer("mamba_expand", default=2) * hidden,
        state=fields.integer("mamba_d_state", default=16),
        step_rank=fields.integer("mamba_dt_rank"),
        kernel=fields.integer("mamba_d_conv", default=4, high=64),
        projection_bias=fields.flag("mamba_proj_bias", default=False),
        convolution_bias=fields.flag("mamba_conv_bias", default=True),
        state_element_bytes=_state_bytes(fields),
    )


def read_mamba(fields: Fields) -> Mamba2:
    """The state-space layer of Nemotron-H, Granite 4, Bamba and Falcon-H1."""
    heads, dim = fields.integer("mamba_num_heads"), fields.integer("mamba_head_dim")
    groups = fields.integer("n_groups")
    divide(fields, "mamba_num_heads", heads, "n_groups", groups)
    fields.integer("expand", default=2)  # superseded by mamba_num_heads * mamba_head_dim
    return Mamba2(
        heads=heads,
        head_dim=dim,
        state=fields.integer("ssm_state_size"),
        groups=groups,
        kernel=fields.integer("conv_kernel", high=64),
        chunk=fields.integer("chunk_size", "mamba_chunk_size", default=128),
        projection_bias=fields.flag("mamba_proj_bias", default=False) or fields.flag("use_bias", default=False),
        convolution_bias=fields.flag("use_conv_bias", default=True),
        state_element_bytes=_state_bytes(fields),
        norm=fields.flag("mamba_rms_norm", default=True),
    )


def _short_convolution(fields: Fields, hidden: int) -> ShortConvolution:
    return ShortConvolution(
        hidden, fields.integer("conv_L_cache", default=3, high=64), fields.flag("conv_bias", default=False)
    )
