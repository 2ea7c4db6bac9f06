"""Nemotron-H: every layer is one thing alone, a Mamba-2 mixer, attention, an FFN or experts (transformers 5.23
modeling_nemotron_h.py; NVIDIA, arXiv:2504.03624)."""

from __future__ import annotations

from costmodel.architecture import Layer
from costmodel.blocks import DenseFfn
from search.inputs.models.families.family import Family
from search.inputs.models.ffns import EXPERTS, TOP_K, read_experts
from search.inputs.models.fields import ConfigError, Fields, shown
from search.inputs.models.mixers import grouped_query
from search.inputs.models.recurrent import read_mamba

LETTERS = {"M": "mamba", "*": "attention", "E": "moe", "-": "mlp"}
# What transformers 5 calls the same kinds when it saves a config again.
NAMES = {"linear_attention": "mamba", "full_attention": "attention"}


def _kinds(fields: Fields, prefix: str, low: int) -> list[str] | None:
    """The kinds of ``<prefix>hybrid_override_pattern`` or ``<prefix>layers_block_type``; both must agree."""
    pattern, listed = f"{prefix}hybrid_override_pattern", f"{prefix}layers_block_type"
    letters, names = fields.text(pattern, default=None), fields.items(listed, default=None)
    if letters is None and names is None:
        return None
    by_letter = None if letters is None else [LETTERS.get(letter) for letter in letters]
    by_name = None if names is None else [NAMES.get(n, n) if isinstance(n, str) else None for n in names]
    if by_letter is not None and by_name is not None and by_letter != by_name:
        raise ConfigError(f"{fields.key(listed)} contradicts {pattern.removeprefix(prefix)}")
    kinds = by_letter if by_letter is not None else by_name
    if kinds is None or len(kinds) < low or any(kind not in LETTERS.values() for kind in kinds):
        given = fields.key(pattern if letters is not None else listed)
        raise ConfigError(
            f"{given} = {shown(letters if letters is not None else names)} must hold only M, *, E or - "
            "(mamba, attention, moe or mlp)"
        )
    return [str(kind) for kind in kinds]


def _pattern(fields: Fields) -> list[str]:
    """The kind of each layer. Their number may be absent, as transformers 5 saves it; if it is there it must agree."""
    kinds = _kinds(fields, "", 1)
    if kinds is None:
        raise ConfigError(f"{fields.key('hybrid_override_pattern')} is missing; the model's shape depends on it")
    layers = fields.integer("num_hidden_layers", default=len(kinds), high=2000)
    if len(kinds) != layers or len(kinds) > 2000:
        raise ConfigError(
            f"{fields.key('hybrid_override_pattern')} has {len(kinds)} layers, where num_hidden_layers = {layers}"
        )
    return kinds


def _built(fields: Fields, family: Family, hidden: int, kind: str) -> Layer:
    if kind == "mamba":
        return Layer(read_mamba(fields), None, norms=1)
    if kind == "attention":
        return Layer(grouped_query(fields, family, hidden), None, norms=1)
    if kind == "moe":
        return Layer(None, read_experts(fields, family), norms=1)
    inner = fields.integer("intermediate_size")
    return Layer(None, DenseFfn(inner, gated=False, bias=fields.flag("mlp_bias", default=False)), norms=1)


def read_hybrid(fields: Fields, family: Family, hidden: int) -> list[Layer]:
    """One layer for each letter; only the parts that occur are read."""
    kinds = _pattern(fields)
    fields.integer("intermediate_size", default=None)
    fields.flag("mlp_bias", default=False)
    fields.expect("sliding_window")
    fields.choice("mlp_hidden_act", ("relu2",), default="relu2")
    built = {kind: _built(fields, family, hidden, kind) for kind in dict.fromkeys(kinds)}
    if "moe" not in kinds:
        # transformers 5 saves what its class would take for them.
        fields.skip(*EXPERTS, *TOP_K, "n_shared_experts", "moe_intermediate_size", "moe_latent_size")
        fields.skip("moe_shared_expert_intermediate_size", "moe_shared_expert_overlap", "mtp_layers_block_type")
    if "mamba" not in kinds:
        fields.skip("mamba_num_heads", "mamba_head_dim", "n_groups", "expand", "ssm_state_size", "conv_kernel")
    return [built[kind] for kind in kinds]


def read_hybrid_mtp(fields: Fields, family: Family, hidden: int) -> list[Layer] | None:
    """The layers of one multi-token-prediction module, by a pattern of its own; ``None`` without one."""
    kinds = _kinds(fields, "mtp_", 1)
    return None if kinds is None else [_built(fields, family, hidden, kind) for kind in kinds]
