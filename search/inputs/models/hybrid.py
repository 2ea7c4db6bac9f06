"""Nemotron-H: every layer is one thing alone, a Mamba-2 mixer, attention, an FFN or experts (transformers 5.23
modeling_nemotron_h.py; NVIDIA, arXiv:2504.03624)."""

from __future__ import annotations

from costmodel.architecture import Layer
from costmodel.blocks import DenseFfn
from search.inputs.models.families import Family
from search.inputs.models.ffns import EXPERTS, read_experts
from search.inputs.models.fields import ConfigError, Fields, shown
from search.inputs.models.mixers import grouped_query, read_mamba

LETTERS = {"M": "mamba", "*": "attention", "E": "moe", "-": "mlp"}


def _pattern(fields: Fields, layers: int) -> list[str]:
    letters = fields.text("hybrid_override_pattern", default=None)
    names = fields.items("layers_block_type", default=None)
    if letters is None and names is None:
        raise ConfigError(f"{fields.key('hybrid_override_pattern')} is missing; the model's shape depends on it")
    kinds = [LETTERS.get(letter) for letter in letters] if letters is not None else list(names)
    if letters is not None and names is not None and kinds != names:
        raise ConfigError(f"{fields.key('layers_block_type')} contradicts hybrid_override_pattern")
    if len(kinds) != layers or any(kind not in LETTERS.values() for kind in kinds):
        raise ConfigError(
            f"{fields.key('hybrid_override_pattern')} = {shown(letters or names)} must hold M, *, E or - "
            f"for each of {layers} layers"
        )
    return [str(kind) for kind in kinds]


def read_hybrid(fields: Fields, family: Family, hidden: int, layers: int) -> list[Layer]:
    """One layer for each letter; only the parts that occur are read."""
    kinds = _pattern(fields, layers)
    fields.integer("intermediate_size", default=None)
    fields.flag("mlp_bias", default=False)
    fields.expect("sliding_window")
    built: dict[str, Layer] = {}
    for kind in dict.fromkeys(kinds):
        if kind == "mamba":
            built[kind] = Layer(read_mamba(fields), None, norms=1)
        elif kind == "attention":
            built[kind] = Layer(grouped_query(fields, family, hidden), None, norms=1)
        elif kind == "moe":
            built[kind] = Layer(None, read_experts(fields, family), norms=1)
        else:
            inner = fields.integer("intermediate_size")
            ffn = DenseFfn(inner, gated=False, bias=fields.flag("mlp_bias", default=False))
            built[kind] = Layer(None, ffn, norms=1)
    if "moe" not in kinds and fields.has(*EXPERTS):
        raise ConfigError(f"{fields.key(EXPERTS[2])}: the config has experts, but its pattern has no layer with them")
    return [built[kind] for kind in kinds]
