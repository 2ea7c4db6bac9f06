"""Multimodal wrappers: where the language model stands in a config, and what stands beside it.

Towers are resident in memory; their work is not modelled. ``class_defaults.json`` holds what transformers' config
classes take for absent keys (scripts/counts/defaults.py, transformers 5.24): wrappers' files leave those out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from search.inputs.models.fields import ConfigError, Fields, shown
from search.inputs.models.towers import audio, encoders, whole
from search.inputs.models.towers.pieces import Parts, feature_layers, layer_norm, linear


@cache
def _table() -> dict[str, dict[str, Any]]:
    path = Path(__file__).parents[1] / "class_defaults.json"
    return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def class_defaults(kind: str | None) -> Mapping[str, Any]:
    """What the config class of a model type takes for absent keys; nothing where the type is not in the table."""
    return _table().get(kind or "", {})


@dataclass(frozen=True)
class Wrapper:
    """``count``: parameters of all that is not the language model. ``text``: the type of the language model where the
    config does not say. ``key``: the nested object that holds it; some configs are flat instead. ``note``: what is
    left out or taken, in one sentence. ``tied_by_text``: the language model's own key says whether its head is tied."""

    count: Callable[[Parts], int]
    text: str | None = None
    key: str = "text_config"
    note: str | None = None
    tied_by_text: bool = False


def part(parts: Parts, name: str, kind: str) -> Fields:
    """A nested object of the wrapper, with the defaults of its own type, else of ``kind``; absent, it is the one that
    transformers builds by default."""
    found = parts.outer.object(name)
    config = {} if found is None else found.config
    named = config.get("model_type")
    known = named if isinstance(named, str) and class_defaults(named) else kind
    fields = Fields(config, f"{parts.outer.where}{name}.", class_defaults(known))
    fields.skip("model_type")
    return fields


_SHARED: dict[str, Callable[[Fields], int]] = {
    "siglip_vision_model": encoders.siglip,
    "siglip2_vision_model": encoders.siglip2,
    "clip_vision_model": encoders.clip,
    "pixtral": encoders.pixtral,
    "internvl_vision": encoders.internvl,
    "idefics3_vision": encoders.siglip,
    "smolvlm_vision": encoders.siglip,
    "qwen2_5_vl_vision": encoders.qwen2_5,
}


def shared_tower(parts: Parts, kind: str) -> tuple[Fields, int]:
    """A tower that the config names, and its parameters."""
    vision = part(parts, "vision_config", kind)
    named = vision.config.get("model_type", kind)
    if named not in _SHARED:
        allowed = ", ".join(sorted(_SHARED))
        raise ConfigError(f"{vision.key('model_type')} = {shown(named)} is not modelled; allowed: {allowed}")
    return vision, _SHARED[named](vision)


def vision_width(vision: Fields) -> int:
    return vision.integer("hidden_size")


def _two_layers(parts: Parts, width: int, bias: bool = True) -> int:
    return linear(width, parts.hidden, bias) + linear(parts.hidden, parts.hidden, bias)


def _llava(parts: Parts, kind: str = "clip_vision_model", newline: bool = False) -> int:
    vision, total = shared_tower(parts, kind)
    bias = parts.outer.flag("multimodal_projector_bias", default=True)
    total += _two_layers(parts, vision_width(vision) * feature_layers(parts.outer), bias)
    return total + (parts.hidden if newline else 0)


def _vipllava(parts: Parts) -> int:
    vision, total = shared_tower(parts, "clip_vision_model")
    width = vision_width(vision) * len(parts.outer.items("vision_feature_layers", default=[-2, -5, -8, -11, 6]))
    return total + layer_norm(width) + _two_layers(parts, width)


def _video_llava(parts: Parts) -> int:
    vision, total = shared_tower(parts, "clip_vision_model")
    bias = parts.outer.flag("multimodal_projector_bias", default=True)
    return 2 * total + _two_layers(parts, vision_width(vision) * feature_layers(parts.outer), bias)


def _mistral3(parts: Parts) -> int:
    vision, total = shared_tower(parts, "pixtral")
    width, bias = vision_width(vision), parts.outer.flag("multimodal_projector_bias", default=False)
    square = width * parts.outer.integer("spatial_merge_size", default=2) ** 2
    return total + width + square * width + _two_layers(parts, width * feature_layers(parts.outer), bias)


def _gemma3(parts: Parts) -> int:
    vision, total = shared_tower(parts, "siglip_vision_model")
    return total + vision_width(vision) * parts.hidden + vision_width(vision)


def _paligemma(parts: Parts) -> int:
    vision, total = shared_tower(parts, "siglip_vision_model")
    return total + linear(vision_width(vision), parts.hidden)


def _gemma4(parts: Parts) -> int:
    if parts.outer.has("audio_config"):
        raise ConfigError(f"{parts.outer.key('audio_config')}: Gemma 4's audio tower is not modelled; {TEXT_ONLY}")
    if not parts.outer.has("vision_config"):
        return 0
    return whole.gemma4(part(parts, "vision_config", "gemma4_vision"), parts.hidden)


def _internvl(parts: Parts) -> int:
    vision, total = shared_tower(parts, "internvl_vision")
    ratio = parts.outer.get("downsample_ratio", default=0.5)[1]
    if ratio not in (0.5, 0.25, 1.0, 1):
        raise ConfigError(f"{parts.outer.key('downsample_ratio')} = {shown(ratio)} must be 0.25, 0.5 or 1")
    square = vision_width(vision) * round(1 / ratio) ** 2
    return total + layer_norm(square) + _two_layers(parts, square)


def _internvl_chat(parts: Parts) -> int:
    """InternVL as published with its own code (modeling_internvl_chat.py, modeling_intern_vit.py): a qkv product with
    or without bias, RMS norms and QK norms in the 6B tower."""
    vision = part(parts, "vision_config", "internvl_vision")
    vision.skip("use_flash_attn", "qk_normalization", "qkv_bias")
    renamed = dict(vision.config)
    renamed["use_qk_norm"] = bool(renamed.get("qk_normalization", False))
    renamed["attention_bias"] = bool(renamed.get("qkv_bias", False))
    fields = Fields(renamed, vision.where, class_defaults("internvl_vision"))
    total = encoders.internvl(fields)
    ratio = parts.outer.get("downsample_ratio", default=0.5)[1]
    if ratio not in (0.5, 0.25, 1.0, 1):
        raise ConfigError(f"{parts.outer.key('downsample_ratio')} = {shown(ratio)} must be 0.25, 0.5 or 1")
    square = vision_width(fields) * round(1 / ratio) ** 2
    return total + layer_norm(square) + _two_layers(parts, square)


def _shuffled(parts: Parts, kind: str) -> int:
    """Idefics 3 and SmolVLM: squares of patches in one row, and one matrix."""
    vision, total = shared_tower(parts, kind)
    factor = parts.outer.integer("scale_factor", default=2)
    return total + vision_width(vision) * factor**2 * parts.hidden


def _cohere(parts: Parts, norm: bool) -> int:
    """Aya Vision and Command A Vision: squares of patches through a gated projection."""
    vision, total = shared_tower(parts, "siglip_vision_model")
    square = vision_width(vision) * parts.outer.integer("downsample_factor", default=2) ** 2
    inner = parts.outer.integer("alignment_intermediate_size", default=parts.hidden)
    total += layer_norm(square) if norm else 0
    return total + linear(square, inner) + linear(inner // 2, parts.hidden)


def _deepseek_vl(parts: Parts) -> int:
    vision, total = shared_tower(parts, "siglip_vision_model")
    return total + _two_layers(parts, vision_width(vision))


def _lighton(parts: Parts) -> int:
    """LightOnOCR: Pixtral with Mistral 3's merging projector."""
    return _mistral3(parts)


def _omni(parts: Parts, version: str) -> int:
    """The thinker of Qwen-Omni: eyes and ears."""
    prefix = {"2.5": "qwen2_5_omni", "3": "qwen3_omni_moe"}[version]
    eyes = part(parts, "vision_config", f"{prefix}_vision_encoder")
    ears = part(parts, "audio_config", f"{prefix}_audio_encoder")
    if version == "2.5":
        return encoders.qwen2_5(eyes) + audio.qwen2_5_omni(ears)
    return encoders.qwen3(eyes) + audio.qwen3_omni(ears)


def _qwen3_asr(parts: Parts) -> int:
    ears = part(parts, "audio_config", "qwen3_asr_encoder")
    width = ears.integer("d_model")
    return audio.convolved(ears) + linear(width, width) + linear(width, ears.integer("output_dim"))


def _step(parts: Parts) -> int:
    bias = parts.outer.flag("projector_bias", default=False)
    return whole.step(part(parts, "vision_config", "step3p5_vision"), parts.hidden, bias)


def _phi4(parts: Parts) -> int:
    eyes = whole.phi4(part(parts, "vision_config", "phi4_multimodal_vision"), parts.hidden)
    return eyes + audio.phi4(part(parts, "audio_config", "phi4_multimodal_audio"), parts.hidden)


def _of(tower: Callable[[Fields], int], kind: str) -> Callable[[Parts], int]:
    """A tower that projects by itself."""
    return lambda parts: tower(part(parts, "vision_config", kind))


def _to(tower: Callable[[Fields, int], int], kind: str, name: str = "vision_config") -> Callable[[Parts], int]:
    """A tower that is told the language model's width."""
    return lambda parts: tower(part(parts, name, kind), parts.hidden)


TEXT_ONLY = "model.text_only=true plans the language model alone"
_THINKER = "only the thinker is planned: engines do not load the parts that speak (talker, code2wav, token2wav)"

WRAPPERS: dict[str, Wrapper] = {
    "qwen2_vl": Wrapper(_of(encoders.qwen2, "qwen2_vl_vision"), "qwen2_vl_text"),
    "qwen2_5_vl": Wrapper(_of(encoders.qwen2_5, "qwen2_5_vl_vision"), "qwen2_5_vl_text"),
    "qwen3_vl": Wrapper(_of(encoders.qwen3, "qwen3_vl_vision"), "qwen3_vl_text"),
    "qwen3_vl_moe": Wrapper(_of(encoders.qwen3, "qwen3_vl_moe_vision"), "qwen3_vl_moe_text"),
    "qwen3_5": Wrapper(_of(encoders.qwen3, "qwen3_5_vision"), "qwen3_5_text"),
    "qwen3_5_moe": Wrapper(_of(encoders.qwen3, "qwen3_5_moe_vision"), "qwen3_5_moe_text"),
    "cosmos3_omni": Wrapper(_of(encoders.qwen3, "qwen3_vl_vision"), "qwen3_vl_text"),
    "qwen2_5_omni_thinker": Wrapper(lambda p: _omni(p, "2.5"), "qwen2_5_omni_text"),
    "qwen2_5_omni": Wrapper(lambda p: _omni(p, "2.5"), "qwen2_5_omni_text", "thinker_config", note=_THINKER),
    "qwen3_omni_moe_thinker": Wrapper(lambda p: _omni(p, "3"), "qwen3_omni_moe_text"),
    "qwen3_omni_moe": Wrapper(lambda p: _omni(p, "3"), "qwen3_omni_moe_text", "thinker_config", note=_THINKER),
    "qwen3_asr": Wrapper(_qwen3_asr, "qwen3"),
    "qwen2_audio": Wrapper(_to(audio.qwen2_audio, "qwen2_audio_encoder", "audio_config"), "qwen2"),
    "voxtral": Wrapper(_to(audio.voxtral, "voxtral_encoder", "audio_config"), "llama"),
    "gemma3": Wrapper(_gemma3, "gemma3_text"),
    "shieldgemma2": Wrapper(_gemma3, "gemma3_text"),
    "gemma4": Wrapper(_gemma4, "gemma4_text"),
    "paligemma": Wrapper(_paligemma, "gemma"),
    "mllama": Wrapper(_to(whole.mllama, "mllama_vision_model"), "mllama_text_model"),
    "llama4": Wrapper(_to(whole.llama4, "llama4_vision_model"), "llama4_text"),
    "mistral3": Wrapper(_mistral3, "mistral"),
    "lighton_ocr": Wrapper(_lighton, "qwen3"),
    "internvl": Wrapper(_internvl, "qwen2"),
    "internvl_chat": Wrapper(_internvl_chat, None, "llm_config", tied_by_text=True),
    "llava": Wrapper(_llava, "llama"),
    "llava_next": Wrapper(lambda p: _llava(p, newline=True), "llama"),
    "llava_next_video": Wrapper(lambda p: _llava(p, newline=True), "llama"),
    "llava_onevision": Wrapper(lambda p: _llava(p, "siglip_vision_model", True), "qwen2"),
    "vipllava": Wrapper(_vipllava, "llama"),
    "video_llava": Wrapper(_video_llava, "llama"),
    "idefics3": Wrapper(lambda p: _shuffled(p, "idefics3_vision"), "llama"),
    "smolvlm": Wrapper(lambda p: _shuffled(p, "smolvlm_vision"), "llama"),
    "aya_vision": Wrapper(lambda p: _cohere(p, norm=True), "cohere2"),
    "cohere2_vision": Wrapper(lambda p: _cohere(p, norm=False), "cohere2"),
    "deepseek_vl": Wrapper(_deepseek_vl, "llama"),
    "glm4v": Wrapper(_of(whole.glm4v, "glm4v_vision"), "glm4v_text"),
    "glm46v": Wrapper(_of(whole.glm4v, "glm4v_vision"), "glm4v_text"),
    "glmga": Wrapper(_of(whole.glm4v, "glm4v_vision"), "glm4v_text"),
    "glm4v_moe": Wrapper(_of(whole.glm4v, "glm4v_moe_vision"), "glm4v_moe_text"),
    "glm_ocr": Wrapper(_of(whole.glm_ocr, "glm_ocr_vision"), "glm_ocr_text"),
    "kimi_k25": Wrapper(_to(whole.moonvit, "kimi_k25_vision"), "deepseek_v3"),
    "kimi_vl": Wrapper(_to(whole.moonvit, "kimi_k25_vision"), "deepseek_v3", tied_by_text=True),
    "step3p7": Wrapper(
        lambda p: whole.step(
            part(p, "vision_config", "step3p5_vision"), p.hidden, p.outer.flag("projector_bias", default=False)
        ),
        "step3p5",
    ),
    "minimax_m3_vl": Wrapper(
        lambda p: whole.minimax_m3(part(p, "vision_config", "minimax_m3_vl_vision"), p.outer, p.hidden),
        "minimax_m3_vl_text",
    ),
    "ovis2": Wrapper(lambda p: whole.ovis2(part(p, "vision_config", "ovis2_vision"), p.outer), "qwen2"),
    "phi4_multimodal": Wrapper(_phi4, "phi3"),
    **{
        kind: Wrapper(
            lambda p, kind=kind: whole.minicpm(part(p, "vision_config", f"{kind}_vision"), p.outer, p.hidden),  # type: ignore[misc]
            "qwen3_5_text",
        )
        for kind in ("minicpmv4_6", "minicpmv4_7", "minicpm_ocr")
    },
}

# Types of language models that stand only inside a wrapper, and the text family whose layers they have (transformers
# 5.24: their modeling files say so or inherit from it).
INNER = {
    "qwen2_vl_text": "qwen2",
    "qwen2_5_vl_text": "qwen2",
    "qwen2_5_omni_text": "qwen2",
    "qwen3_vl_text": "qwen3",
    "qwen3_vl_moe_text": "qwen3_moe",
    "qwen3_omni_moe_text": "qwen3_moe",
    "glm4v_text": "glm4",
    "glm_ocr_text": "glm4",
    "glm4v_moe_text": "glm4_moe",
    "step3p5": "step3p7",
}

# Nested objects that may hold a language model, in a wrapper that is not in the table.
_KEYS = ("text_config", "llm_config", "language_config", "thinker_config")


@dataclass(frozen=True)
class LanguagePart:
    """``fields`` of the language model (``outer``'s own where the config is flat), its ``kind`` if anything says it,
    the objects ``above`` it from the outermost in, and the ``wrapper``, if known."""

    fields: Fields
    kind: str | None
    above: tuple[Fields, ...]
    wrapper: Wrapper | None


def language_part(outer: Fields, kind: str | None) -> LanguagePart:
    """Find the language model in a config: nested once or twice (Omni's thinker), or not at all."""
    wrapper = WRAPPERS.get(kind or "")
    above: list[Fields] = []
    here = outer
    for _ in range(2):
        inner = None
        for key in (wrapper.key, *_KEYS) if wrapper else _KEYS:
            inner = inner or here.object(key)
        if inner is None:
            break
        above.append(here)
        here = inner
    if not above:
        return LanguagePart(outer, wrapper.text if wrapper else kind, (outer,) if wrapper else (), wrapper)
    named = here.text("model_type", default=None)
    return LanguagePart(here, named or (wrapper.text if wrapper else None), tuple(above), wrapper)


def tower_parameters(found: LanguagePart, hidden: int, text_only: bool, assumptions: list[str]) -> int:
    """Parameters of all that is not the language model; none of a text model."""
    places = found.above or (found.fields,)
    towers = [f for f in places if any([f.has("vision_config"), f.has("audio_config")])]
    if text_only:
        if found.above:
            assumptions.append("text_only: vision and audio towers are not loaded")
        return 0
    if found.wrapper is None:
        if towers:
            names = " and ".join(k for k in ("vision_config", "audio_config") if towers[0].has(k))
            raise ConfigError(f"{towers[0].key(names)}: the tower of this model_type is not modelled; {TEXT_ONLY}")
        return 0
    above = found.above[-1]
    parts = Parts(Fields(above.config, above.where, class_defaults(str(above.config.get("model_type")))), hidden)
    total = found.wrapper.count(parts)
    above.seen |= parts.outer.seen
    if total and not towers:
        assumptions.append("no vision_config or audio_config: the towers are those that transformers builds by default")
    if found.wrapper.note:
        assumptions.append(found.wrapper.note)
    return total
