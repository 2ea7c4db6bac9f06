"""Towers of one family each, projection to the language model's width included (transformers 5.24,
``models/<type>/modeling_<type>.py``)."""

from __future__ import annotations

from search.inputs.models.fields import ConfigError, Fields, shown
from search.inputs.models.towers.encoders import siglip_head, sizes
from search.inputs.models.towers.pieces import (
    convolution,
    encoder,
    grid,
    layer_norm,
    linear,
    patch_elements,
    product,
)


def gemma4(vision: Fields, hidden: int) -> int:
    """Gemma 4's tower: RMS norms, a gated FFN, no biases, two learned position tables."""
    width, inner, layers = sizes(vision)
    head_dim, heads = vision.integer("head_dim"), vision.integer("num_attention_heads")
    kv = vision.integer("num_key_value_heads", default=heads)
    layer = 2 * width * head_dim * (heads + kv) + 2 * head_dim + 3 * width * inner + 4 * width
    embedder = patch_elements(vision) * width + 2 * vision.integer("position_embedding_size") * width
    vision.expect("attention_bias", False)
    return embedder + layers * layer + width * hidden


def llama4(vision: Fields, hidden: int) -> int:
    """Llama 4's tower: a class token, learned positions, a pixel shuffle and its adapter."""
    width, inner, layers = sizes(vision)
    total = linear(patch_elements(vision), width, bias=False) + width + (grid(vision) + 1) * width
    total += 2 * layer_norm(width) + encoder(width, inner, layers)
    adapter_in, adapter_out = vision.integer("projector_input_dim"), vision.integer("projector_output_dim")
    # The shuffle stacks the patches of a square of side 1/ratio: 0.5, the only published ratio, gives four.
    vision.expect("pixel_shuffle_ratio", 0.5)
    return total + inner * adapter_in + adapter_out**2 + vision.integer("vision_output_dim") * hidden


def mllama(vision: Fields, hidden: int) -> int:
    """Llama 3.2 Vision's tower: tiles with positions of their own, layers without and with gates."""
    width, inner, layers = sizes(vision)
    tiles = vision.integer("max_num_tiles")
    ratios = len(vision.items("supported_aspect_ratios", default=_MLLAMA_RATIOS)) + 1
    patches = grid(vision) + 1
    total = linear(patch_elements(vision), width, bias=False) + width + 2 * layer_norm(width)
    total += 1 + patches * width + ratios * tiles * patches * width  # gated positions, by tile and without
    total += 2 * (1 + ratios * tiles * width)  # embeddings of tiles, before and after
    total += encoder(width, inner, layers, attention_bias=False)
    total += encoder(width, inner, vision.integer("num_global_layers"), attention_bias=False, extra=2)
    taken = len(vision.items("intermediate_layers_indices", default=_MLLAMA_TAKEN)) + 1
    return total + linear(vision.integer("vision_output_dim", default=taken * width), hidden)


_MLLAMA_RATIOS = [[1, 1], [1, 2], [1, 3], [1, 4], [2, 1], [2, 2], [3, 1], [4, 1]]
_MLLAMA_TAKEN = [3, 7, 15, 23, 30]


def step(vision: Fields, hidden: int, bias: bool) -> int:
    """Step-3.7's tower: scales of both residuals, two strided convolutions that quarter the patches twice."""
    width, layers = vision.integer("hidden_size", "width"), vision.integer("num_hidden_layers", "layers")
    ratio = vision.get("mlp_ratio", default=None)[1]
    inner = vision.integer("intermediate_size", default=None)
    if ratio is not None:
        if isinstance(ratio, bool) or not isinstance(ratio, (int, float)) or not 0 < ratio < 100:
            raise ConfigError(f"{vision.key('mlp_ratio')} = {shown(ratio)} must be a number from 0 to 100")
        inner = int(width * ratio)
    total = linear(patch_elements(vision), width, bias=False) + grid(vision) * width + layer_norm(width)
    total += encoder(width, inner, layers, extra=2 * width)
    total += convolution(width, 2 * width, 9) + convolution(2 * width, 4 * width, 9)
    return total + linear(4 * width, hidden, bias)


def glm4v(vision: Fields) -> int:
    """GLM-4.1V and 4.5V: RMS norms, gated FFNs as wide as the output, a strided convolution and a gated merger."""
    width, layers = vision.integer("hidden_size"), vision.integer("depth")
    out, inner = vision.integer("out_hidden_size"), vision.integer("intermediate_size")
    bias = vision.flag("attention_bias", default=False)
    total = linear(patch_elements(vision), width) + grid(vision) * width + 2 * width
    # The output projection has no bias, whatever the config says of the others.
    extra = -width if bias else 0
    total += encoder(width, out, layers, attention_bias=bias, ffn_bias=False, gated=True, rms=True, extra=extra)
    total += convolution(width, out, vision.integer("spatial_merge_size", default=2) ** 2)
    return total + out * out + layer_norm(out) + 3 * out * inner


def glm_ocr(vision: Fields) -> int:
    """GLM-OCR: as GLM-4.1V without learned positions, with QK norms and biases."""
    width, inner, layers = sizes(vision)
    out = vision.integer("out_hidden_size")
    bias = vision.flag("attention_bias", default=True)
    norms = 2 * (width // vision.integer("num_heads"))
    total = linear(patch_elements(vision), width) + width
    total += encoder(width, inner, layers, attention_bias=bias, ffn_bias=bias, gated=True, rms=True, extra=norms)
    total += convolution(width, out, vision.integer("spatial_merge_size", default=2) ** 2)
    return total + out * out + layer_norm(out) + 3 * out * out * vision.integer("in_channels", default=3)


def moonvit(vision: Fields, outer: Fields, hidden: int) -> int:
    """Kimi's MoonViT: learned positions in a grid, a final LayerNorm, a patch merger to the language width, whose norm
    has a width of its own."""
    width = vision.integer("vt_hidden_size", "hidden_size")
    inner = vision.integer("vt_intermediate_size", "intermediate_size")
    layers = vision.integer("vt_num_hidden_layers", "num_hidden_layers")
    cells = vision.integer("init_pos_emb_height", "pos_emb_height") * vision.integer(
        "init_pos_emb_width", "pos_emb_width"
    )
    square = width * product(vision, "merge_kernel_size")
    total = linear(patch_elements(vision), width) + cells * width + layer_norm(width)
    total += layer_norm(outer.integer("projection_hidden_size", default=width))
    total += encoder(width, inner, layers)
    return total + linear(square, square) + linear(square, vision.integer("text_hidden_size", default=hidden))


def minimax_m3(vision: Fields, outer: Fields, hidden: int) -> int:
    """MiniMax-M3: CLIP-like layers on patches over time, a projection of each patch, then one of each square."""
    width, inner, layers = sizes(vision)
    projected = outer.integer("projector_hidden_size", default=hidden)
    total = linear(patch_elements(vision), width, bias=False) + layer_norm(width) + encoder(width, inner, layers)
    total += linear(width, projected) + linear(projected, projected)
    square = projected * vision.integer("spatial_merge_size", default=2) ** 2
    return total + linear(square, hidden) + linear(hidden, hidden)


def minicpm(vision: Fields, outer: Fields, hidden: int) -> int:
    """MiniCPM-V 4.6: SigLIP, a merger within the tower, and one or more behind it."""
    width, inner, layers = sizes(vision)
    total = linear(patch_elements(vision), width) + grid(vision) * width + layer_norm(width)
    total += encoder(width, inner, layers)
    cells = product(vision, "window_kernel_size")
    total += 4 * linear(width, width) + layer_norm(width) + layer_norm(cells * width)
    total += linear(cells * width, cells * inner) + linear(cells * inner, width)
    square = width * product(outer, "merge_kernel_size")
    outer.expect("merger_times", 1)
    return total + layer_norm(square) + linear(square, square) + linear(square, hidden)


def ovis2(vision: Fields, outer: Fields) -> int:
    """Ovis 2: an encoder of RMS norms and gated FFNs, a head that chooses from a table of visual words."""
    width, inner, layers = sizes(vision)
    bias, ffn = vision.flag("qkv_bias", default=False), vision.flag("mlp_bias", default=False)
    words, marks = vision.integer("vocab_size"), vision.integer("num_visual_indicator_tokens")
    stride = vision.integer("hidden_stride", default=1)
    total = linear(patch_elements(vision), width) + grid(vision) * width + 2 * width
    total += encoder(width, inner, layers, attention_bias=bias, ffn_bias=ffn, gated=True, rms=True)
    total += (words - marks) * width * stride**2 + layer_norm(words - marks)
    return total + words * outer.integer("hidden_size")


def phi4(vision: Fields, hidden: int) -> int:
    """Phi-4-multimodal's image part: SigLIP with its head, two learned separators, two projections."""
    width, inner, layers = sizes(vision)
    total = linear(patch_elements(vision), width) + grid(vision) * width + layer_norm(width)
    total += encoder(width, inner, layers) + siglip_head(width, inner)
    return total + 2 * width + linear(width, hidden) + linear(hidden, hidden)
