"""What a ``model_type`` can fix that its config.json does not say. The tables are in the modules beside this one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Norm = Literal["none", "head", "each", "full", "head_if_set", "each_if_set", "full_if_set"]
Linear = Literal["delta_net", "kimi_delta", "lightning", "mamba1", "mamba2", "short_convolution"]
Windows = Literal["none", "all", "upper", "alternate", "pattern", "chunked"]


@dataclass(frozen=True)
class Family:
    """``attention``: the kind of mixer; ``linear``: what ``linear_attention`` layers are; ``experts``: whether layers
    have them (``fields``: the keys decide; ``may_be_dense``: none, or one, means dense FFNs).

    Attention. ``bias``: which projections ``attention_bias`` gives a bias (``qkv``, or ``all`` with the output);
    ``forced_bias``: those that always have one. ``qk_norm``: ``_if_set`` follows ``use_qk_norm``. ``gate``: queries
    carry an output gate; ``head_gate``: a gate of one number a head. ``sinks``: a logit a head; ``sliding_differs``:
    sliding layers have heads and sinks of their own; ``uneven_heads``: the width need be no multiple of them (an absent
    ``head_dim`` is rounded down, as the class does). ``windows``: which layers slide where ``layer_types`` is absent.

    Norms. ``norms`` a layer, ``sparse_norms`` more where it has experts, with weights or without (``norm_weights``);
    ``norm_bias``: LayerNorms, with a bias; ``sub_norms``: one of attention's output and one of the FFN's inner width;
    ``embedding_norm``: one after the embedding. ``positions``: they are learned, so many more than the longest length.

    FFNs. ``gated_ffn``: ``None`` where ``hidden_act`` must tell; ``ffn_bias``: always; ``ffn_scalars``: trained numbers
    of the activation (xIELU). ``expert_key`` names the key of an expert's width, ``dense_key`` that of a dense FFN.
    ``router_bias``: a trained bias (correction vectors are buffers and not counted, but where transformers makes them
    parameters: ``counted_correction``). ``corrected``: routers choose with a correction vector
    (``e_score_correction_bias``), whether a flag says so or not. ``shared_gate``: on the shared experts. ``shortcut``:
    layers are pairs, with experts beside the first one's dense FFN (LongCat).

    Keys. ``renames``: their key to ours; ``skipped``: those that say nothing of shapes or work; ``expects``: those
    whose other values mean a structure that is not modelled; ``defaults``: what the config class takes for absent ones.
    ``head_bias``: always. ``vision``: how the vision tower is counted.
    """

    attention: Literal["gqa", "mla", "hybrid", "compressed", "nas", "state_space"] = "gqa"
    linear: Linear = "delta_net"
    experts: Literal["none", "fields"] = "none"
    bias: Literal["qkv", "all"] = "all"
    forced_bias: Literal["none", "qkv", "all"] = "none"
    qk_norm: Norm = "none"
    gate: bool = False
    head_gate: bool = False
    sinks: bool = False
    sliding_differs: bool = False
    uneven_heads: bool = False
    norms: int = 2
    norm_bias: bool = False
    norm_weights: bool = True
    embedding_norm: bool = False
    sparse_norms: int = 0
    sub_norms: bool = False
    positions: int | None = None
    gated_ffn: bool | None = True
    ffn_bias: bool = False
    ffn_scalars: int = 0
    head_bias: bool = False
    windows: Windows = "all"
    expert_key: str = "moe_intermediate_size"
    dense_key: str = "intermediate_size"
    router_bias: bool = False
    corrected: bool = False
    counted_correction: bool = False
    expert_bias: bool = False
    shared_gate: bool = False
    may_be_dense: bool = False
    shortcut: bool = False
    renames: Mapping[str, str] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    expects: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    vision: str | None = None
    note: str | None = None
