"""Parameters of vision towers and their projectors. They are resident in memory; their work is not modelled.

Counted from the modules of transformers 5.23 (``modeling_<type>.py``); Kimi's from its published
``modeling_kimi_k25.py``, unchecked against a built model.
"""

from __future__ import annotations

from collections.abc import Callable

from search.inputs.models.fields import ConfigError, Fields


def _linear(inputs: int, outputs: int, bias: bool = True) -> int:
    return inputs * outputs + (outputs if bias else 0)


def _encoder(width: int, inner: int, layers: int) -> int:
    """Layers of two LayerNorms, attention and a two-matrix FFN, all with biases."""
    attention = 4 * _linear(width, width)
    return layers * (attention + _linear(width, inner) + _linear(inner, width) + 4 * width)


def qwen3(vision: Fields, hidden: int) -> int:
    """Qwen3-VL's tower: patches over time, learned positions, a merger to the language width."""
    width, inner = vision.integer("hidden_size"), vision.integer("intermediate_size")
    patch = vision.integer("in_channels", default=3) * vision.integer("temporal_patch_size", default=2)
    pixels = patch * vision.integer("patch_size") ** 2
    merged = width * vision.integer("spatial_merge_size", default=2) ** 2
    out = vision.integer("out_hidden_size", default=hidden)
    merger = _linear(merged, merged) + _linear(merged, out)
    deep = len(vision.items("deepstack_visual_indexes", default=[]))
    total = _linear(pixels, width) + vision.integer("num_position_embeddings") * width
    total += _encoder(width, inner, vision.integer("depth"))
    return total + merger + 2 * width + deep * (merger + 2 * merged)


def gemma4(vision: Fields, hidden: int) -> int:
    """Gemma 4's tower: RMS norms, a gated FFN, no biases, two learned position tables."""
    width, inner = vision.integer("hidden_size"), vision.integer("intermediate_size")
    head_dim, heads = vision.integer("head_dim"), vision.integer("num_attention_heads")
    kv = vision.integer("num_key_value_heads", default=heads)
    attention = 2 * width * head_dim * (heads + kv) + 2 * head_dim
    layer = attention + 3 * width * inner + 4 * width
    pixels = 3 * vision.integer("patch_size") ** 2
    embedder = pixels * width + 2 * vision.integer("position_embedding_size") * width
    return embedder + vision.integer("num_hidden_layers") * layer + width * hidden


def llama4(vision: Fields, hidden: int) -> int:
    """Llama 4's tower: a class token, learned positions, a pixel shuffle and its adapter."""
    width, inner = vision.integer("hidden_size"), vision.integer("intermediate_size")
    patch = vision.integer("patch_size")
    patches = (vision.integer("image_size") // patch) ** 2
    total = 3 * patch**2 * width + width + (patches + 1) * width + 4 * width
    total += _encoder(width, inner, vision.integer("num_hidden_layers"))
    adapter_in, adapter_out = vision.integer("projector_input_dim"), vision.integer("projector_output_dim")
    # The shuffle stacks the patches of a square of side 1/ratio: 0.5, the only published ratio, gives four.
    vision.expect("pixel_shuffle_ratio", 0.5)
    total += inner * adapter_in + adapter_out**2
    return total + vision.integer("vision_output_dim") * hidden


def siglip(vision: Fields, hidden: int) -> int:
    """Gemma 3's SigLIP tower and projection."""
    width, inner = vision.integer("hidden_size"), vision.integer("intermediate_size")
    patch = vision.integer("patch_size")
    positions = (vision.integer("image_size") // patch) ** 2
    total = _linear(3 * patch**2, width) + positions * width + 2 * width
    total += _encoder(width, inner, vision.integer("num_hidden_layers"))
    return total + width * hidden + width


def moonvit(vision: Fields, hidden: int) -> int:
    """Kimi's MoonViT: learned positions in a grid, a final LayerNorm, a patch merger to the language width."""
    width, inner = vision.integer("vt_hidden_size"), vision.integer("vt_intermediate_size")
    grid = vision.integer("init_pos_emb_height") * vision.integer("init_pos_emb_width")
    merge = vision.items("merge_kernel_size")
    merged = width
    for side in merge:
        merged *= vision.whole("merge_kernel_size", side, high=16)
    total = _linear(3 * vision.integer("patch_size") ** 2, width) + grid * width + 2 * width
    total += _encoder(width, inner, vision.integer("vt_num_hidden_layers"))
    out = vision.integer("text_hidden_size", default=hidden)
    return total + 2 * width + _linear(merged, merged) + _linear(merged, out)


TOWERS: dict[str, Callable[[Fields, int], int]] = {
    "qwen3": qwen3,
    "gemma4": gemma4,
    "llama4": llama4,
    "siglip": siglip,
    "moonvit": moonvit,
}

# What the config classes take for absent keys (configuration_llama4.py, configuration_siglip.py).
DEFAULTS = {
    "llama4": {
        "hidden_size": 768,
        "intermediate_size": 5632,
        "num_hidden_layers": 34,
        "image_size": 448,
        "patch_size": 14,
        "vision_output_dim": 7680,
        "projector_input_dim": 4096,
        "projector_output_dim": 4096,
    },
    "siglip": {
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "image_size": 224,
        "patch_size": 16,
    },
}


def vision_parameters(config: Fields, tower: str | None, hidden: int, assumptions: list[str]) -> int:
    """Parameters of everything that is not the language model; ``tower`` names the family's kind."""
    config.expect("audio_config")
    vision = config.object("vision_config", DEFAULTS.get(tower or ""))
    if vision is None:
        if tower != "llama4" or not config.has("text_config"):
            return 0
        vision = Fields({}, f"{config.where}vision_config.", DEFAULTS["llama4"])
        assumptions.append("vision_config is absent: the vision tower is the one transformers builds by default")
    if tower is None:
        raise ConfigError(f"{config.key('vision_config')}: the vision tower of this model_type is not modelled")
    return TOWERS[tower](vision, hidden)
