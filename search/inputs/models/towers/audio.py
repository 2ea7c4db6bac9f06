"""Audio towers and what projects them to the language model's width (transformers 5.24,
``models/<type>/modeling_<type>.py``)."""

from __future__ import annotations

from search.inputs.models.fields import Fields
from search.inputs.models.towers.encoders import whisper
from search.inputs.models.towers.pieces import convolution, encoder, layer_norm, linear


def qwen2_5_omni(audio: Fields) -> int:
    """Qwen2.5-Omni: Whisper's encoder without stored positions, a projection, two learned marks."""
    width, out = audio.integer("d_model"), audio.integer("output_dim")
    return whisper(audio, positions=False) + linear(width, out) + 2 * out


def convolved(audio: Fields) -> int:
    """Qwen3-Omni's encoder: three strided convolutions over time and pitch, layers with all biases, a norm."""
    width, channels = audio.integer("d_model"), audio.integer("downsample_hidden_size")
    pitches = audio.integer("num_mel_bins")
    for _ in range(3):
        pitches = (pitches + 1) // 2
    total = convolution(1, channels, 9) + 2 * convolution(channels, channels, 9)
    total += linear(channels * pitches, width, bias=False) + layer_norm(width)
    return total + encoder(width, audio.integer("encoder_ffn_dim"), audio.integer("encoder_layers"))


def qwen3_omni(audio: Fields) -> int:
    width = audio.integer("d_model")
    return convolved(audio) + linear(width, width) + linear(width, audio.integer("output_dim"))


def voxtral(audio: Fields, hidden: int) -> int:
    """Voxtral: Whisper's encoder; frames are stacked until they are as wide as its FFN, then projected twice."""
    return whisper(audio) + audio.integer("intermediate_size") * hidden + hidden**2


def qwen2_audio(audio: Fields, hidden: int) -> int:
    return whisper(audio) + linear(audio.integer("d_model"), hidden)


def phi4(audio: Fields, hidden: int) -> int:
    """Phi-4-multimodal's conformer: strided convolutions, layers of half an FFN, attention, convolutions and half an
    FFN, a table of relative positions; two projections, for speech alone and for speech with images."""
    width, inner = audio.integer("hidden_size"), audio.integer("intermediate_size")
    channels, kernel = audio.integer("nemo_conv_channels"), audio.integer("kernel_size")
    outer = audio.integer("ext_pw_out_channel")
    depth = audio.integer("depthwise_multiplier", default=1) * width
    separable = audio.integer("depthwise_separable_out_channel")
    reductions = audio.integer("time_reduction").bit_length() - 1
    rest = audio.integer("input_size")
    for _ in range(reductions):
        rest = (rest + 1) // 2
    stem = convolution(1, channels, 9)
    stem += (reductions - 1) * (convolution(1, channels, 9) + convolution(channels, channels, 1))
    half = layer_norm(width) + linear(width, 2 * inner) + linear(inner, width)
    convolutions = layer_norm(width) + 2 * outer + linear(width, 2 * outer)
    convolutions += depth * kernel + depth + linear(depth, separable) + linear(separable, outer)
    layer = 2 * half + 4 * linear(width, width) + convolutions + 2 * layer_norm(width)
    rows = audio.integer("bias_max_distance") * (1 if audio.flag("bias_symmetric", default=False) else 2)
    total = stem + linear(channels * rest, width) + rows * audio.integer("num_attention_heads")
    total += audio.integer("num_blocks") * layer
    factor = audio.integer("downsample_rate", default=1)
    return total + 2 * (linear(width * factor, hidden) + linear(hidden, hidden))
