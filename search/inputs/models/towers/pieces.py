"""What towers are made of, in parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from search.inputs.models.fields import ConfigError, Fields, shown


@dataclass(frozen=True)
class Parts:
    """The outer object of a wrapper's config (its class's defaults known) and the language model's width."""

    outer: Fields
    hidden: int


def linear(inputs: int, outputs: int, bias: bool = True) -> int:
    return inputs * outputs + (outputs if bias else 0)


def layer_norm(width: int) -> int:
    return 2 * width


def convolution(inputs: int, outputs: int, kernel: int, bias: bool = True) -> int:
    """``kernel``: elements of one filter, over all of its dimensions."""
    return inputs * kernel * outputs + (outputs if bias else 0)


def encoder(
    width: int,
    inner: int,
    layers: int,
    *,
    attention_bias: bool = True,
    ffn_bias: bool = True,
    gated: bool = False,
    rms: bool = False,
    key_bias: bool = True,
    extra: int = 0,
) -> int:
    """Layers of two norms, attention with four square matrices, and an FFN. ``key_bias`` False: as in Whisper, keys
    alone have none; ``extra``: further parameters of each layer (scales of the residuals, QK norms)."""
    attention = 4 * linear(width, width, attention_bias) - (0 if key_bias or not attention_bias else width)
    ffn = (2 if gated else 1) * linear(width, inner, ffn_bias) + linear(inner, width, ffn_bias)
    norms = 2 * (width if rms else layer_norm(width))
    return layers * (attention + ffn + norms + extra)


def side(fields: Fields, name: str) -> int:
    """A length that some configs give as one number and others as two equal ones."""
    _, value = fields.get(name)
    if isinstance(value, list):
        if len(value) != 2 or value[0] != value[1]:
            raise ConfigError(f"{fields.key(name)} = {shown(value)} must be one number or two equal ones")
        value = value[0]
    return fields.whole(name, value)


def grid(fields: Fields) -> int:
    """Patches of the square image that the tower has positions for."""
    return (side(fields, "image_size") // side(fields, "patch_size")) ** 2


def patch_elements(fields: Fields, channels: tuple[str, ...] = ("num_channels", "in_channels", "in_chans")) -> int:
    """Elements of one patch, frames that are taken together included."""
    frames = fields.integer("temporal_patch_size", default=1)
    return fields.integer(*channels, default=3) * frames * side(fields, "patch_size") ** 2


def feature_layers(fields: Fields, name: str = "vision_feature_layer") -> int:
    """From how many of the tower's layers a projector takes its features."""
    value: Any = fields.get(name, default=-1)[1]
    return len(value) if isinstance(value, list) else 1


def product(fields: Fields, name: str) -> int:
    """The product of a list of lengths."""
    total = 1
    for value in fields.items(name):
        total *= fields.whole(name, value, high=1024)
    return total
