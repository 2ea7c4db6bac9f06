"""All that is not the language model of a wrapper: a shared encoder and what projects it, or a tower of its own
(transformers 5.24, ``models/<type>/modeling_<type>.py``)."""

from __future__ import annotations

from collections.abc import Callable

from search.inputs.models.fields import ConfigError, Fields, shown
from search.inputs.models.towers import audio, encoders, whole
from search.inputs.models.towers.defaults import class_defaults
from search.inputs.models.towers.pieces import Parts, feature_layers, layer_norm, linear

TEXT_ONLY = "model.text_only=true plans the language model alone"


def part(parts: Parts, name: str, kind: str) -> Fields:
    """A nested object of the wrapper with the defaults of a type; absent, it is the one that transformers builds."""
    found = parts.outer.object(name)
    fields = Fields({} if found is None else found.config, f"{parts.outer.where}{name}.", class_defaults(kind))
    fields.skip("model_type")
    return fields


_SHARED: dict[str, Callable[[Fields], int]] = {
    "siglip_vision_model": encoders.siglip,
    "siglip2_vision_model": encoders.siglip2,
    "clip_vision_model": encoders.clip,
    "pixtral": encoders.pixtral,
    "internvl_vision": encoders.internvl,
    "qianfan_ocr_vision": encoders.internvl,
    "idefics3_vision": encoders.siglip,
    "smolvlm_vision": encoders.siglip,
    "qwen2_5_vl_vision": encoders.qwen2_5,
}


def shared_tower(parts: Parts, kind: str) -> tuple[Fields, int]:
    """A tower that the config names, and its parameters."""
    vision = part(parts, "vision_config", kind)
    named = vision.config.get("model_type", kind)
    vision = part(parts, "vision_config", str(named))
    if named not in _SHARED:
        allowed = ", ".join(sorted(_SHARED))
        raise ConfigError(f"{vision.key('model_type')} = {shown(named)} is not modelled; allowed: {allowed}")
    return vision, _SHARED[named](vision)


def vision_width(vision: Fields) -> int:
    return vision.integer("hidden_size")


def _two_layers(parts: Parts, width: int, bias: bool = True) -> int:
    return linear(width, parts.hidden, bias) + linear(parts.hidden, parts.hidden, bias)


def llava(parts: Parts, kind: str = "clip_vision_model", newline: bool = False) -> int:
    vision, total = shared_tower(parts, kind)
    bias = parts.outer.flag("multimodal_projector_bias", default=True)
    total += _two_layers(parts, vision_width(vision) * feature_layers(parts.outer), bias)
    return total + (parts.hidden if newline else 0)


def vipllava(parts: Parts) -> int:
    vision, total = shared_tower(parts, "clip_vision_model")
    width = vision_width(vision) * len(parts.outer.items("vision_feature_layers", default=[-2, -5, -8, -11, 6]))
    return total + layer_norm(width) + _two_layers(parts, width)


def video_llava(parts: Parts) -> int:
    vision, total = shared_tower(parts, "clip_vision_model")
    bias = parts.outer.flag("multimodal_projector_bias", default=True)
    return 2 * total + _two_layers(parts, vision_width(vision) * feature_layers(parts.outer), bias)


def mistral3(parts: Parts) -> int:
    vision, total = shared_tower(parts, "pixtral")
    width, bias = vision_width(vision), parts.outer.flag("multimodal_projector_bias", default=False)
    square = width * parts.outer.integer("spatial_merge_size", default=2) ** 2
    return total + width + square * width + _two_layers(parts, width * feature_layers(parts.outer), bias)


def gemma3(parts: Parts) -> int:
    vision, total = shared_tower(parts, "siglip_vision_model")
    return total + vision_width(vision) * parts.hidden + vision_width(vision)


def hyperclovax(parts: Parts) -> int:
    vision, total = shared_tower(parts, "qwen2_5_vl_vision")
    return total + linear(vision.integer("out_hidden_size"), parts.hidden)


def video_llama(parts: Parts) -> int:
    vision = part(parts, "vision_config", "video_llama_3_vision")
    return encoders.rotary_siglip(vision) + _two_layers(parts, vision_width(vision))


def lfm2(parts: Parts) -> int:
    """LFM2-VL: squares of patches through a norm, where it is switched on, and two layers of a width of their own."""
    vision, total = shared_tower(parts, "siglip2_vision_model")
    square = vision_width(vision) * parts.outer.integer("downsample_factor", default=2) ** 2
    inner, bias = parts.outer.integer("projector_hidden_size"), parts.outer.flag("projector_bias", default=True)
    total += layer_norm(square) if parts.outer.flag("projector_use_layernorm", default=True) else 0
    return total + linear(square, inner, bias) + linear(inner, parts.hidden, bias)


def paligemma(parts: Parts) -> int:
    vision, total = shared_tower(parts, "siglip_vision_model")
    out = vision.integer("projection_dim", default=None) or parts.outer.integer("projection_dim", default=parts.hidden)
    return total + linear(vision_width(vision), out)


def gemma4(parts: Parts) -> int:
    if parts.outer.has("audio_config"):
        raise ConfigError(f"{parts.outer.key('audio_config')}: Gemma 4's audio tower is not modelled; {TEXT_ONLY}")
    if not parts.outer.has("vision_config"):
        return 0
    return whole.gemma4(part(parts, "vision_config", "gemma4_vision"), parts.hidden)


def without_towers(parts: Parts) -> int:
    """A wrapper that may stand without any, and whose towers are not modelled."""
    for key in ("vision_config", "audio_config"):
        if parts.outer.has(key):
            raise ConfigError(f"{parts.outer.key(key)}: the tower of this model_type is not modelled; {TEXT_ONLY}")
    return 0


def internvl(parts: Parts, kind: str = "internvl_vision") -> int:
    vision, total = shared_tower(parts, kind)
    ratio = parts.outer.get("downsample_ratio", default=0.5)[1]
    if ratio not in (0.5, 0.25, 1.0, 1):
        raise ConfigError(f"{parts.outer.key('downsample_ratio')} = {shown(ratio)} must be 0.25, 0.5 or 1")
    square = vision_width(vision) * round(1 / ratio) ** 2
    return total + layer_norm(square) + _two_layers(parts, square)


def internvl_chat(parts: Parts) -> int:
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


def shuffled(parts: Parts, kind: str) -> int:
    """Idefics 3 and SmolVLM: squares of patches in one row, and one matrix."""
    vision, total = shared_tower(parts, kind)
    factor = parts.outer.integer("scale_factor", default=2)
    return total + vision_width(vision) * factor**2 * parts.hidden


def cohere(parts: Parts, norm: bool) -> int:
    """Aya Vision and Command A Vision: squares of patches through a gated projection."""
    vision, total = shared_tower(parts, "siglip_vision_model")
    square = vision_width(vision) * parts.outer.integer("downsample_factor", default=2) ** 2
    inner = parts.outer.integer("alignment_intermediate_size", default=parts.hidden)
    total += layer_norm(square) if norm else 0
    return total + linear(square, inner) + linear(inner // 2, parts.hidden)


def deepseek_vl(parts: Parts) -> int:
    vision, total = shared_tower(parts, "siglip_vision_model")
    return total + _two_layers(parts, vision_width(vision))


def omni(parts: Parts, version: str) -> int:
    """The thinker of Qwen-Omni: eyes and ears."""
    prefix = {"2.5": "qwen2_5_omni", "3": "qwen3_omni_moe"}[version]
    eyes = part(parts, "vision_config", f"{prefix}_vision_encoder")
    ears = part(parts, "audio_config", f"{prefix}_audio_encoder")
    if version == "2.5":
        return encoders.qwen2_5(eyes) + audio.qwen2_5_omni(ears)
    return encoders.qwen3(eyes) + audio.qwen3_omni(ears)


def qwen3_asr(parts: Parts) -> int:
    ears = part(parts, "audio_config", "qwen3_asr_encoder")
    width = ears.integer("d_model")
    return audio.convolved(ears) + linear(width, width) + linear(width, ears.integer("output_dim"))


def kimi(parts: Parts) -> int:
    return whole.moonvit(part(parts, "vision_config", "kimi_k25_vision"), parts.outer, parts.hidden)


def step(parts: Parts) -> int:
    bias = parts.outer.flag("projector_bias", default=False)
    return whole.step(part(parts, "vision_config", "step3p5_vision"), parts.hidden, bias)


def phi4(parts: Parts) -> int:
    eyes = whole.phi4(part(parts, "vision_config", "phi4_multimodal_vision"), parts.hidden)
    return eyes + audio.phi4(part(parts, "audio_config", "phi4_multimodal_audio"), parts.hidden)


def of_tower(tower: Callable[[Fields], int], kind: str) -> Callable[[Parts], int]:
    """A tower that projects by itself."""
    return lambda parts: tower(part(parts, "vision_config", kind))


def to_width(tower: Callable[[Fields, int], int], kind: str, name: str = "vision_config") -> Callable[[Parts], int]:
    """A tower that is told the language model's width."""
    return lambda parts: tower(part(parts, name, kind), parts.hidden)
