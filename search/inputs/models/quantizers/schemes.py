"""What a checkpoint's quantisation says, whoever wrote it: formats of linear layers, experts, head and cache, and the
modules that differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from costmodel.formats import BF16, FORMATS, WeightFormat
from search.inputs.models.fields import ConfigError, Fields, shown
from search.inputs.models.quantizers.patterns import Rule

FP8, NVFP4, MXFP4, INT8, INT4 = (FORMATS[name] for name in ("fp8", "nvfp4", "mxfp4", "int8", "int4"))
FP8_BLOCK = FORMATS["fp8_block"]
# One 8-bit scale for 32 elements (OCP Microscaling Formats v1.0, table 1).
MXFP8 = FORMATS["mxfp8"]
MXFP6 = WeightFormat("mxfp6", 6, 1 / 32, "fp8", blocks=True)


@dataclass(frozen=True)
class Scheme:
    """``linear``: the format of linear layers that no rule names, ``experts`` of experts (``None``: as linear layers),
    ``head`` of a head that no rule names (``None``: rules do not reach it, it stays bf16). The first of ``rules`` that
    names a module decides. ``key`` is where the rules stand. ``notes`` are assumptions."""

    linear: WeightFormat
    rules: tuple[Rule, ...] = ()
    cache: WeightFormat = BF16
    experts: WeightFormat | None = None
    head: WeightFormat | None = None
    embedding: WeightFormat = BF16
    key: str = "quantization_config.ignore"
    notes: tuple[str, ...] = ()


def excluded(names: Iterable[Any], format: WeightFormat = BF16) -> tuple[Rule, ...]:
    """Rules that keep these modules in ``format``; what is not text is shown and matches nothing."""
    return tuple(Rule(name if isinstance(name, str) else shown(name), format) for name in names)


EXCLUSIONS = (
    "modules_to_not_convert", "ignored_layers", "ignore", "exclude_modules", "exclude", "llm_int8_skip_modules",
    "skip_modules",
)  # fmt: skip


def exclusions(fields: Fields) -> tuple[Rule, ...]:
    """Names of modules left unquantised, under whichever key."""
    return excluded(item for key in EXCLUSIONS for item in fields.items(key, default=[]))


def weight_only(stored: WeightFormat) -> WeightFormat:
    """The same in memory, multiplied in bf16: nothing quantises the inputs."""
    return replace(stored, compute="bf16", fusable=False)


def integers(fields: Fields, bits: int, group: Any, scale_bytes: float = 2.0, zero: bool = False) -> WeightFormat:
    """Whole numbers of ``bits`` with a scale, and a zero point of as many bits, for ``group`` of them; a group of -1,
    0 or none is a column: nothing worth counting."""
    if bits not in (2, 3, 4, 5, 6, 8):
        raise ConfigError(f"{fields.key('bits')} = {bits} must be 2 to 6 or 8")
    stored = weight_only(INT8 if bits == 8 else replace(INT4, name=f"int{bits}", bits=float(bits)))
    if group is None or (group in (-1, 0) and not isinstance(group, bool)):
        return stored.grouped(0, 1)
    size = fields.whole("group_size", group)
    return stored.grouped(scale_bytes + (bits / 8 if zero else 0.0), size)


def block_of(fields: Fields, name: str) -> int | None:
    """Elements of a block of weights that share a scale, ``None`` where the key is absent."""
    block = fields.items(name, default=None)
    if block is None:
        return None
    if len(block) != 2:
        raise ConfigError(f"{fields.key(name)} = {shown(block)} must be two whole numbers")
    rows, columns = (fields.whole(name, side, high=65_536) for side in block)
    return rows * columns
