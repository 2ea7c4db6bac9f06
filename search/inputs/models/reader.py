"""From a Hugging Face config.json to an ``Architecture``.

Known model types are read with their family's traits. An unknown one is read by its fields alone, and only if every
field is understood. Nothing is guessed in silence: what was assumed is listed beside the architecture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from costmodel.architecture import Architecture, Layer, LayerRun
from costmodel.blocks import GatedDeltaNet
from costmodel.formats import FORMATS, WeightFormat
from search.inputs.models.families import FAMILIES, REFUSED, Family
from search.inputs.models.ffns import read_ffns
from search.inputs.models.fields import ConfigError, Fields, shown
from search.inputs.models.harmless import is_harmless, may_change_shape, mentions_experts
from search.inputs.models.hybrid import read_hybrid
from search.inputs.models.legacy import modern
from search.inputs.models.mixers import read_mixers
from search.inputs.models.mtp import mtp_parameters
from search.inputs.models.positions import longest_context
from search.inputs.models.quantization import read_quantization
from search.inputs.models.vision import vision_parameters

MAX_LAYERS = 2000


@dataclass(frozen=True)
class ReadModel:
    """``architecture`` and, one sentence each, what the config does not say and was ``assumptions``."""

    architecture: Architecture
    assumptions: tuple[str, ...]


def read_architecture(
    config: Mapping[str, Any], *, name: str, weights: str | None = None, kv_cache: str | None = None
) -> ReadModel:
    """Read a config. ``weights`` casts all linear layers to a number format, ``kv_cache`` sets that of the cache
    (default: what the config's quantization says, else bf16). ``ConfigError`` in one line if anything is wrong,
    contradictory or not understood."""
    if not isinstance(config, Mapping):
        raise ConfigError(f"a model's config must be an object, not {shown(config)}")
    cast = _format("weights", weights)
    cache = _format("kv_cache", kv_cache)
    assumptions: list[str] = []
    outer = Fields(config)
    outer.skip("model_type")
    text = outer.object("text_config") or outer.object("llm_config")
    nested = text is not None
    kind = _model_type(outer, text)
    family = _family(kind, outer if text is None else text, assumptions)
    fields = Fields(
        modern(kind, outer.config if text is None else text.config, outer if text is None else text),
        "" if text is None else text.where,
        family.defaults,
    )
    fields.skip("model_type", "quantization_config", "compression_config", *(() if nested else _WRAPPER))
    hidden = fields.integer("hidden_size", "n_embd", "d_model", high=1_000_000)
    layers = _layers(fields, family, hidden)
    vocabulary = fields.integer("vocab_size")
    tied = _tied(fields, outer, nested)
    vision = vision_parameters(outer, family.vision, hidden, assumptions)
    mtp = mtp_parameters(fields, hidden, layers, assumptions)
    quantization, kv_format = read_quantization(outer, fields, layers, cast, assumptions)
    position = fields.integer("max_position_embeddings", "n_positions", default=0, low=0, high=10**9)
    position = longest_context(fields.config, kind, position)
    _all_understood(fields, kind, assumptions)
    if nested:
        _all_understood(outer, kind, assumptions, wrapper=True)
    if family.note:
        assumptions.append(f"model_type {kind}: {family.note}")
    runs = tuple(LayerRun(layer, len(list(group))) for layer, group in groupby(layers))
    architecture = Architecture(
        name=name,
        hidden=hidden,
        vocabulary=vocabulary,
        runs=runs,
        tied_embeddings=tied,
        quantization=quantization,
        vision_parameters=vision,
        mtp_parameters=mtp,
        max_position=position,
        kv_format=cache or kv_format,
        final_norm_bias=hidden if family.norm_bias else 0,
    )
    if any(isinstance(layer.mixer, GatedDeltaNet) for layer in layers) and not fields.has("mamba_ssm_dtype"):
        assumptions.append("mamba_ssm_dtype is absent: the recurrent state is kept in float32")
    return ReadModel(architecture, tuple(assumptions))


# Keys of the outer object of a multimodal config.
_WRAPPER = ("text_config", "llm_config", "vision_config", "audio_config", "tie_word_embeddings")


def _format(argument: str, value: str | None) -> WeightFormat | None:
    if value is None:
        return None
    if not isinstance(value, str) or value not in FORMATS:
        raise ConfigError(f"{argument} = {shown(value)} must be one of {', '.join(FORMATS)}")
    return FORMATS[value]


def _model_type(outer: Fields, text: Fields | None) -> str:
    """The outer type where it is known, else the language model's own."""
    kind = outer.text("model_type", default=None)
    if text is None:
        if kind is None:
            raise ConfigError("model_type is missing; it names the architecture")
        return kind
    inner = text.text("model_type", default=None)
    if kind is not None and (kind in FAMILIES or kind in REFUSED):
        return kind
    if inner is None:
        raise ConfigError(f"{text.key('model_type')} is missing; it names the architecture")
    return inner


# An unknown type has no defaults to fall back on.
_DEMANDED = ("num_attention_heads", "num_key_value_heads", "hidden_act", "tie_word_embeddings")


def _family(kind: str, fields: Fields, assumptions: list[str]) -> Family:
    if kind in REFUSED:
        raise ConfigError(f"model_type = {shown(kind)} is known and refused: {REFUSED[kind]}")
    if kind in FAMILIES:
        return FAMILIES[kind]
    if "kv_lora_rank" in fields.config:
        family = Family(attention="mla", experts="fields", windows="none")
    else:
        family = Family(experts="fields", qk_norm="head_if_set", windows="all")
    if not any(mentions_experts(str(name)) for name in fields.config):
        family = replace(family, experts="none")
    missing = [k for k in _DEMANDED if k not in fields.config]
    if missing:
        raise ConfigError(f"model_type = {shown(kind)} is unknown and its config does not say {', '.join(missing)}")
    parts = "multi-head latent" if family.attention == "mla" else "grouped-query"
    ffn = "dense FFNs" if family.experts == "none" else "experts"
    assumptions.append(
        f"model_type {kind} is unknown: read by its fields as {parts} attention and {ffn}, two norms a layer, "
        "gated FFNs, and no bias or QK norm that its keys do not name"
    )
    return family


def _layers(fields: Fields, family: Family, hidden: int) -> list[Layer]:
    count = fields.integer("num_hidden_layers", "n_layer", high=MAX_LAYERS)
    if family.attention == "hybrid":
        return read_hybrid(fields, family, hidden, count)
    mixers = read_mixers(fields, family, hidden, count)
    ffns = read_ffns(fields, family, hidden, count)
    norms = family.norms
    if fields.has("enable_moe_block") and fields.flag("enable_moe_block"):
        norms += 3  # before and after the experts, and after the dense FFN beside them
    extra = norms * hidden if family.norm_bias else 0
    return [Layer(m, f, norms, extra) for m, f in zip(mixers, ffns, strict=True)]


def _tied(fields: Fields, outer: Fields, nested: bool) -> bool:
    """Whether head and embedding are one matrix. A multimodal model goes by its outer key; families that tie without
    saying so have it in their defaults."""
    own = fields.flag("tie_word_embeddings", default=False)
    return outer.flag("tie_word_embeddings", default=own) if nested else own


def _all_understood(fields: Fields, kind: str, assumptions: list[str], wrapper: bool = False) -> None:
    """No key is passed over that could change a shape; of an unknown model type none at all."""
    fields.skip(*_WRAPPER, *("quantization_config", "compression_config") if wrapper else ())
    unread = [name for name in fields.unread() if not is_harmless(name)]
    if not unread:
        return
    serious = [n for n in unread if may_change_shape(n) and not _off(fields.config[n])]
    if kind not in FAMILIES or any(mentions_experts(n) for n in unread):
        serious = unread
    if serious:
        names = ", ".join(fields.key(shown(n)[1:-1]) for n in serious[:6]) + (", ..." if len(serious) > 6 else "")
        raise ConfigError(f"model_type = {shown(kind)}: not understood and may change the model's shape: {names}")
    assumptions.append("keys not understood and passed over: " + ", ".join(shown(n)[1:-1] for n in unread[:6]))


def _off(value: Any) -> bool:
    return value is None or value is False
