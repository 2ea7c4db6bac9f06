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
from costmodel.blocks import (
    AttentionResiduals,
    DenseFfn,
    GatedDeltaNet,
    GroupedQueryAttention,
    HyperConnections,
    KimiDeltaAttention,
    LightningAttention,
    Mamba1,
    Mamba2,
    ParallelMixers,
)
from costmodel.formats import FORMATS, WeightFormat
from search.inputs.models.crossed import crossed, image_rows
from search.inputs.models.families import FAMILIES, REFUSED
from search.inputs.models.families.family import Family
from search.inputs.models.ffns import read_ffns
from search.inputs.models.fields import ConfigError, Fields, shown
from search.inputs.models.harmless import harmless_beside, is_harmless, may_change_shape, mentions_experts
from search.inputs.models.hybrid import read_hybrid, read_hybrid_mtp
from search.inputs.models.legacy import modern
from search.inputs.models.mixers import read_mixers
from search.inputs.models.mtp import mtp_modules, mtp_parameters
from search.inputs.models.positions import longest_context
from search.inputs.models.quantizers import read_quantization
from search.inputs.models.special import experts_apart, read_deepseek_v4, read_nas, read_shortcut, read_state_space
from search.inputs.models.towers import (
    INNER,
    INNER_TRAITS,
    UNTIED,
    LanguagePart,
    class_defaults,
    language_part,
    rows,
    tower_parameters,
)

MAX_LAYERS = 2000


@dataclass(frozen=True)
class ReadModel:
    """``architecture`` and, one sentence each, what the config does not say and was ``assumptions``; ``files``: what
    was read from which file of a checkpoint."""

    architecture: Architecture
    assumptions: tuple[str, ...]
    files: tuple[str, ...] = ()


def read_architecture(
    config: Mapping[str, Any],
    *,
    name: str,
    weights: str | None = None,
    kv_cache: str | None = None,
    text_only: bool = False,
) -> ReadModel:
    """Read a config. ``weights`` casts all linear layers to a number format, ``kv_cache`` sets that of the cache
    (default: what the config's quantization says, else bf16); ``text_only``: vision and audio towers are not loaded.
    ``ConfigError`` in one line if anything is wrong, contradictory or not understood."""
    if not isinstance(config, Mapping):
        raise ConfigError(f"a model's config must be an object, not {shown(config)}")
    cast = _format("weights", weights)
    cache = _format("kv_cache", kv_cache)
    assumptions: list[str] = []
    outer = Fields(config)
    outer.skip("model_type")
    found = language_part(outer, outer.text("model_type", default=None))
    nested = found.fields is not outer
    kind = _model_type(outer, found)
    family = _family(kind, found.fields, assumptions)
    defaults = _defaults(found, family)
    theirs = found.fields.renamed(family.renames, defaults)
    fields = Fields(modern(kind, theirs.config, theirs), theirs.where, defaults, theirs.spelled)
    fields.skip("model_type", *_QUANTISED, *(() if nested else _WRAPPER))
    fields.skip(*family.skipped)
    for key, allowed in family.expects.items():
        fields.expect(key, *allowed)
    hidden = fields.integer("hidden_size", "n_embd", "d_model", high=1_000_000)
    layers = crossed(fields, _layers(fields, family, hidden), assumptions)
    vocabulary = rows(found, fields.integer("vocab_size"), assumptions)
    tied = _tied(fields, found)
    vision = tower_parameters(found, hidden, text_only, assumptions)
    own = read_hybrid_mtp(fields, family, hidden) if family.attention == "hybrid" else None
    mtp = mtp_parameters(fields, hidden, layers, assumptions, own)
    formats = read_quantization(kind, outer, fields, layers, hidden, cast, assumptions)
    if family.attention == "compressed":
        formats = experts_apart(formats, fields, cast is None, assumptions)
    position = fields.integer("max_position_embeddings", "n_positions", default=0, low=0, high=10**9)
    position = longest_context(fields.config, kind, position)
    head_bias = fields.flag("lm_head_bias", default=family.head_bias)
    if found.above and not nested:
        fields.seen |= outer.seen
    _all_understood(fields, kind, assumptions)
    for above in found.above if nested and not text_only else ():
        # Copies of the language model's keys that an older form of the file leaves behind; its class reads none.
        above.skip(*(fields.seen | set(theirs.spelled.values()) if found.wrapper else ()))
        _all_understood(above, kind, assumptions, wrapper=found.wrapper is not None)
    if family.note:
        assumptions.append(f"model_type {kind}: {family.note}")
    runs = tuple(LayerRun(layer, len(list(group))) for layer, group in groupby(formats.layers))
    architecture = Architecture(
        name=name,
        hidden=hidden,
        vocabulary=vocabulary,
        runs=runs,
        tied_embeddings=tied,
        quantization=formats.quantization,
        vision_parameters=vision,
        whole_towers=found.wrapper is not None and found.wrapper.whole,
        mtp_parameters=mtp,
        mtp_modules=mtp_modules(fields),
        max_position=position,
        kv_format=cache or formats.cache,
        final_norm_bias=_final_parameters(layers, family, hidden),
        norm_weights=family.norm_weights,
        embedding_parameters=_embedding_parameters(fields, family, hidden) + hidden * image_rows(layers),
        head_bias=head_bias,
    )
    if architecture.has_mixer(*_RECURRENT) and not fields.has("mamba_ssm_dtype", "mamba_ssm_cache_dtype"):
        assumptions.append("mamba_ssm_dtype is absent: the recurrent state is kept in float32")
    return ReadModel(architecture, tuple(assumptions))


def _defaults(found: LanguagePart, family: Family) -> Mapping[str, Any]:
    """What is taken for absent keys. A wrapper's file leaves out what its parts' classes take anyway; a part that has
    another family's layers has a class, and so a width of heads, of its own."""
    known = class_defaults(found.kind) if found.above else {}
    traits = dict(family.defaults)
    if known and found.kind not in FAMILIES and "head_dim" not in known:
        traits.pop("head_dim", None)
    return {**known, **traits, **INNER_TRAITS.get(found.kind or "", {})}


_RECURRENT = (GatedDeltaNet, KimiDeltaAttention, LightningAttention, Mamba1, Mamba2, ParallelMixers)

_QUANTISED = ("quantization_config", "compression_config", "quantization")  # read in quantization.py

# Parts of a multimodal config that are read elsewhere.
_WRAPPER = (
    *("text_config", "llm_config", "language_config", "thinker_config", "talker_config", "code2wav_config"),
    *("token2wav_config", "vision_config", "audio_config", "tie_word_embeddings", "model_type"),
)


def _format(argument: str, value: str | None) -> WeightFormat | None:
    if value is None:
        return None
    if not isinstance(value, str) or value not in FORMATS:
        raise ConfigError(f"{argument} = {shown(value)} must be one of {', '.join(FORMATS)}")
    return FORMATS[value]


def _model_type(outer: Fields, found: LanguagePart) -> str:
    """The language model's own type, where it is known, else the outer one, where that is."""
    kind = outer.text("model_type", default=None)
    if kind in REFUSED:
        return str(kind)
    inner = INNER.get(found.kind or "", found.kind) if found.kind not in FAMILIES else found.kind
    if inner is not None and (inner in FAMILIES or inner in REFUSED or kind not in FAMILIES):
        return inner
    if kind is not None and kind in FAMILIES:
        return kind
    raise ConfigError(f"{found.fields.key('model_type')} is missing; it names the architecture")


# An unknown type has no defaults to fall back on.
_DEMANDED = ("num_attention_heads", "num_key_value_heads", "hidden_act", "tie_word_embeddings")


# Gemma 2's logits, with its four norms in most of those that took them over.
_CAPPED = ("final_logit_softcapping", "attn_logit_softcapping")


def _family(kind: str, fields: Fields, assumptions: list[str]) -> Family:
    if kind in REFUSED:
        raise ConfigError(f"model_type = {shown(kind)} is known and refused: {REFUSED[kind]}")
    if kind in FAMILIES:
        return FAMILIES[kind]
    if "kv_lora_rank" in fields.config:
        family = Family(attention="mla", experts="fields", windows="none", gated_ffn=None)
    else:
        family = Family(experts="fields", qk_norm="head_if_set", windows="all", gated_ffn=None)
    if not any(mentions_experts(str(name)) for name in fields.config):
        family = replace(family, experts="none")
    missing = [k for k in _DEMANDED if k not in fields.config]
    if missing:
        raise ConfigError(f"model_type = {shown(kind)} is unknown and its config does not say {', '.join(missing)}")
    capped = next((k for k in _CAPPED if fields.config.get(k) is not None), None)
    if capped and "norms_per_layer" not in fields.config:
        raise ConfigError(
            f"model_type = {shown(kind)} is unknown and has {fields.key(capped)}, as models with two and with four "
            f"norms a layer do; add {fields.key('norms_per_layer')}"
        )
    parts = "multi-head latent" if family.attention == "mla" else "grouped-query"
    ffn = "dense FFNs" if family.experts == "none" else "experts"
    assumptions.append(
        f"model_type {kind} is unknown: read by its fields as {parts} attention and {ffn}, two norms a layer "
        "(norms_per_layer says otherwise), FFNs with a gate or without as its activation has, and no bias, QK norm, "
        "output gate or sink that its keys do not name"
    )
    return family


def _layers(fields: Fields, family: Family, hidden: int) -> list[Layer]:
    special = {"hybrid": read_hybrid, "compressed": read_deepseek_v4, "nas": read_nas, "state_space": read_state_space}
    if family.attention in special:
        return special[family.attention](fields, family, hidden)
    count = fields.integer("num_hidden_layers", "n_layer", high=MAX_LAYERS)
    if family.shortcut:
        return read_shortcut(fields, family, hidden, count)
    mixers = read_mixers(fields, family, hidden, count)
    ffns = read_ffns(fields, family, hidden, count)
    norms = fields.integer("norms_per_layer", default=family.norms, high=8)
    if fields.has("enable_moe_block") and fields.flag("enable_moe_block"):
        norms += 3  # before and after the experts, and after the dense FFN beside them
    extra = (norms * hidden if family.norm_bias else 0) + family.ffn_scalars
    block = fields.integer("attn_res_block_size", default=None)
    residual = None if block is None else AttentionResiduals(block, count)
    layers = [
        Layer(m, f, norms, extra, family.norm_weights, residual=residual) for m, f in zip(mixers, ffns, strict=True)
    ]
    return [_more_norms(layer, family) for layer in layers]


def _more_norms(layer: Layer, family: Family) -> Layer:
    """Norms that some layers have and others not, or that are not of the hidden width."""
    if family.sparse_norms and layer.has_experts:
        layer = replace(layer, norms=layer.norms + family.sparse_norms)
    if family.sub_norms and isinstance(layer.mixer, GroupedQueryAttention) and isinstance(layer.ffn, DenseFfn):
        inside = layer.mixer.heads * layer.mixer.head_dim + layer.ffn.inner
        layer = replace(layer, extra_parameters=layer.extra_parameters + inside)
    return layer


def _final_parameters(layers: list[Layer], family: Family, hidden: int) -> int:
    """Beside the final norm's weight: its bias, and what gathers several streams into one."""
    residual = layers[-1].residual
    gathered = residual.head_parameters(hidden) if isinstance(residual, HyperConnections | AttentionResiduals) else 0
    return gathered + (hidden if family.norm_bias else 0)


def _embedding_parameters(fields: Fields, family: Family, hidden: int) -> int:
    """Beside the table: a norm, and learned positions."""
    norm = hidden * (1 + family.norm_bias) if family.embedding_norm else 0
    if family.positions is None:
        return norm
    return norm + hidden * (fields.integer("max_position_embeddings", "n_positions") + family.positions)


def _tied(fields: Fields, found: LanguagePart) -> bool:
    """Whether head and embedding are one matrix. A wrapper's own key decides, else its class (transformers 5.24,
    modeling_utils.py get_expanded_tied_weights_keys: each class goes by its own config); families that tie without
    saying so have it in their defaults; some classes never tie."""
    own = fields.flag("tie_word_embeddings", default=False)
    if found.kind in UNTIED or (found.above and found.above[-1].config.get("model_type") in UNTIED):
        return False
    if not found.above or (found.wrapper and found.wrapper.tied_by_text):
        return own
    wrapper = found.above[-1]
    known = class_defaults(wrapper.config.get("model_type"))
    return wrapper.flag("tie_word_embeddings", default=known.get("tie_word_embeddings", own))


def _all_understood(fields: Fields, kind: str, assumptions: list[str], wrapper: bool = False) -> None:
    """No key is passed over that could change a shape; of an unknown model type none at all."""
    fields.skip(*_WRAPPER, *_QUANTISED if wrapper else ())
    unread = [n for n in fields.unread() if not is_harmless(n) and not (wrapper and harmless_beside(n))]
    if not unread:
        return
    serious = [n for n in unread if may_change_shape(n) and not _off(fields.config[n])]
    if (kind not in FAMILIES and not wrapper) or any(mentions_experts(n) for n in unread):
        serious = unread
    if serious:
        names = ", ".join(fields.key(shown(n)[1:-1]) for n in serious[:6]) + (", ..." if len(serious) > 6 else "")
        raise ConfigError(f"model_type = {shown(kind)}: not understood and may change the model's shape: {names}")
    assumptions.append("keys not understood and passed over: " + ", ".join(shown(n)[1:-1] for n in unread[:6]))


def _off(value: Any) -> bool:
    return value is None or value is False or value in ({}, [])
