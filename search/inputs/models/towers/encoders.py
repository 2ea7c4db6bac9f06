"""Vision encoders that several models share, without what projects their output to the language model's width.

Each is counted from the modules of transformers 5.24 (``models/<name>/modeling_<name>.py``): siglip, clip, pixtral,
internvl, qwen2_vl, qwen2_5_vl, qwen3_vl.
"""

from __future__ import annotations

from search.inputs.models.fields import Fields
from search.inputs.models.towers.pieces import (
    convolution,
    encoder,
    grid,
    layer_norm,
    linear,
    patch_elements,
)


def sizes(vision: Fields) -> tuple[int, int, int]:
    """Width, inner width of the FFNs, and layers."""
    layers = vision.integer("num_hidden_layers", "depth")
    return vision.integer("hidden_size"), vision.integer("intermediate_size"), layers


def siglip(vision: Fields) -> int:
    """SigLIP, with its pooling head where the config has not switched it off (``vision_use_head``)."""
    width, inner, layers = sizes(vision)
    total = linear(patch_elements(vision), width) + grid(vision) * width + layer_norm(width)
    total += encoder(width, inner, layers)
    return total + (siglip_head(width, inner) if vision.flag("vision_use_head", default=False) else 0)


def siglip_head(width: int, inner: int) -> int:
    """A probe that attends to the patches, a norm and an FFN."""
    attention = width + 4 * linear(width, width)
    return attention + layer_norm(width) + linear(width, inner) + linear(inner, width)


def rotary_siglip(vision: Fields) -> int:
    """VideoLLaMA 3's SigLIP: positions are rotated, not learned."""
    width, inner, layers = sizes(vision)
    return linear(patch_elements(vision), width) + encoder(width, inner, layers) + layer_norm(width)


def siglip2(vision: Fields) -> int:
    """SigLIP 2 for any resolution: a learned grid of positions whose number the config gives."""
    width, inner, layers = sizes(vision)
    total = linear(patch_elements(vision), width) + vision.integer("num_patches") * width + layer_norm(width)
    total += encoder(width, inner, layers)
    return total + (siglip_head(width, inner) if vision.flag("vision_use_head", default=False) else 0)


def clip(vision: Fields) -> int:
    """CLIP: a class token, no bias at the patches, norms before and after."""
    width, inner, layers = sizes(vision)
    total = linear(patch_elements(vision), width, bias=False) + width + (grid(vision) + 1) * width
    return total + 2 * layer_norm(width) + encoder(width, inner, layers)


def pixtral(vision: Fields) -> int:
    """Pixtral: rotary positions, RMS norms, gated FFNs, no biases."""
    width, inner, layers = sizes(vision)
    total = linear(patch_elements(vision), width, bias=False) + width
    return total + encoder(width, inner, layers, attention_bias=False, ffn_bias=False, gated=True, rms=True)


def internvl(vision: Fields) -> int:
    """InternViT: a class token, scales of both residuals; biases and QK norms as the config says."""
    width, inner, layers = sizes(vision)
    bias = vision.flag("attention_bias", default=False)
    rms = vision.choice("norm_type", ("layer_norm", "rms_norm"), default="layer_norm") == "rms_norm"
    norms = 2 * width if vision.flag("use_qk_norm", default=False) else 0
    # The output projection always has a bias.
    extra = 2 * width + norms + (0 if bias else width)
    total = linear(patch_elements(vision), width) + width
    total += width if vision.flag("use_mask_token", default=False) else 0
    total += (grid(vision) + 1) * width if vision.flag("use_absolute_position_embeddings", default=True) else 0
    total += encoder(width, inner, layers, attention_bias=bias, rms=rms, extra=extra)
    if not vision.flag("use_mean_pooling", default=True):
        total += layer_norm(width)
    return total


def merged(vision: Fields, width: int) -> int:
    """Width of the patches of one square together."""
    return width * vision.integer("spatial_merge_size", default=2) ** 2


def qwen2(vision: Fields) -> int:
    """Qwen2-VL's tower with its merger. ``hidden_size`` is the language model's width, ``embed_dim`` the tower's."""
    width = vision.integer("embed_dim")
    inner = int(width * float(vision.get("mlp_ratio", default=4)[1]))
    total = linear(patch_elements(vision), width, bias=False) + encoder(width, inner, vision.integer("depth"))
    square = merged(vision, width)
    return total + layer_norm(width) + linear(square, square) + linear(square, vision.integer("hidden_size"))


def qwen2_5(vision: Fields) -> int:
    """Qwen2.5-VL's tower with its merger: RMS norms and gated FFNs, all with biases but the patches."""
    width, inner, layers = sizes(vision)
    heads = vision.integer("num_heads")
    # EXAONE 4.5 has fewer heads of keys and values.
    fewer = 2 * (heads - vision.integer("num_key_value_heads", default=heads)) * (width // heads) * (width + 1)
    total = linear(patch_elements(vision), width, bias=False)
    total += encoder(width, inner, layers, gated=True, rms=True, extra=-fewer)
    square = merged(vision, width)
    return total + width + linear(square, square) + linear(square, vision.integer("out_hidden_size"))


def qwen3(vision: Fields) -> int:
    """Qwen3-VL's tower with its mergers: patches over time, learned positions, one merger more for each layer that
    feeds the language model's first layers (``deepstack_visual_indexes``)."""
    width, inner, layers = sizes(vision)
    square = merged(vision, width)
    merger = linear(square, square) + linear(square, vision.integer("out_hidden_size"))
    deep = len(vision.items("deepstack_visual_indexes", default=[]))
    total = linear(patch_elements(vision), width) + vision.integer("num_position_embeddings") * width
    total += encoder(width, inner, layers)
    return total + merger + layer_norm(width) + deep * (merger + layer_norm(square))


def whisper(audio: Fields, *, positions: bool = True, key_bias: bool = False) -> int:
    """Whisper's encoder: two convolutions over time, layers, a norm. ``positions``: they are parameters, though not
    trained (Qwen2.5-Omni computes them)."""
    width = audio.integer("d_model", "hidden_size")
    inner = audio.integer("encoder_ffn_dim", "intermediate_size")
    layers = audio.integer("encoder_layers", "num_hidden_layers")
    total = convolution(audio.integer("num_mel_bins"), width, 3) + convolution(width, width, 3)
    total += audio.integer("max_source_positions") * width if positions else 0
    return total + encoder(width, inner, layers, key_bias=key_bias) + layer_norm(width)
