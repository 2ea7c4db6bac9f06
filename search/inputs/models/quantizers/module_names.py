"""What the modules of a layer are called in published checkpoints, below ``layers.<i>.``: each family's own tree.

A quantiser's lists name modules of the tree that transformers builds (``models/<type>/modeling_<type>.py``); an
operation of ours is one or several of them. Parents differ by family, leaves hardly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from costmodel.architecture import Layer, Quantization, Setting
from costmodel.formats import WeightFormat
from costmodel.layout import Layout
from costmodel.lengths import FixedLengths
from costmodel.operations import ACTIVATION_BYTES, Collective, Core


@dataclass(frozen=True)
class Tree:
    """Parents of attention, linear attention, state space, dense FFN, routed experts and shared experts."""

    attention: tuple[str, ...] = ("self_attn", "attention", "attn", "self_attention", "cross_attn")
    linear: tuple[str, ...] = ("linear_attn",)
    mamba: tuple[str, ...] = ("mamba", "mixer")
    dense: tuple[str, ...] = ("mlp", "feed_forward", "ffn")
    experts: tuple[str, ...] = ("mlp.experts", "block_sparse_moe.experts", "feed_forward.experts")
    shared: tuple[str, ...] = (
        "mlp.shared_experts",
        "mlp.shared_expert",
        "mlp.shared_mlp",
        "block_sparse_moe.shared_experts",
        "feed_forward.shared_experts",
    )
    latent: tuple[str, ...] = ("mixer", "mlp")
    convolution: tuple[str, ...] = ("conv",)


# Published before transformers 5, which renamed them, and since.
_BLOCK_SPARSE = Tree(
    experts=("block_sparse_moe.experts", "mlp.experts"),
    shared=("block_sparse_moe.shared_experts", "mlp.shared_experts"),
)
_GEMMA4 = Tree(attention=("self_attn",), dense=("mlp",), experts=("experts",), shared=("mlp",))
_FEED_FORWARD = Tree(dense=("feed_forward",), experts=("feed_forward.experts",), shared=("feed_forward.shared_expert",))
_MIXER = Tree(
    attention=("mixer",), mamba=("mixer",), dense=("mixer",), experts=("mixer.experts",),
    shared=("mixer.shared_experts",), latent=("mixer",),
)  # fmt: skip
_STEP = Tree(dense=("mlp",), experts=("moe",), shared=("share_expert",))

# By the beginning of a model type, the longest that fits.
TREES: Mapping[str, Tree] = {
    "": Tree(),
    "gemma4": _GEMMA4,
    "mixtral": _BLOCK_SPARSE,
    "phimoe": _BLOCK_SPARSE,
    "minimax": replace(_BLOCK_SPARSE, linear=("self_attn",)),
    "kimi_linear": replace(_BLOCK_SPARSE, linear=("self_attn",)),
    "llama4": _FEED_FORWARD,
    "jamba": replace(_FEED_FORWARD, mamba=("mamba",)),
    "lfm2": _FEED_FORWARD,
    "nemotron_h": _MIXER,
    "step3p5": _STEP,
    "step3p7": _STEP,
    "dbrx": Tree(attention=("norm_attn_norm.attn",), experts=("ffn.experts.mlp",)),
    "granitemoe": Tree(experts=("block_sparse_moe.experts", "block_sparse_moe"), shared=("shared_mlp",)),
    "deepseek_v4": Tree(
        attention=("self_attn", "attn"),
        experts=("mlp.experts", "ffn.experts"),
        shared=("mlp.shared_experts", "ffn.shared_experts"),
    ),
    "bailing": Tree(linear=("attention", "self_attn")),
    "kimi": Tree(linear=("self_attn",)),
    "longcat": Tree(attention=("self_attn.0", "self_attn.1"), dense=("mlps.0", "mlps.1"), experts=("mlp.experts",)),
}

# The leaves of each operation. A line is one way of spelling them: all that it names are one matrix for engines, which
# refuse them in different formats (is_layer_skipped in vllm/model_executor/layers/quantization/utils/quant_utils.py,
# should_ignore_layer in compressed_tensors/utils.py). ``#`` stands for the number of an expert.
_UP = (
    ("gate_proj", "up_proj"), ("gate_up_proj",), ("w1", "w3"), ("input_linear",), ("fc1",), ("c_fc",),
    ("dense_h_to_4h",),
)  # fmt: skip
_DOWN = (("down_proj",), ("w2",), ("output_linear",), ("fc2",), ("c_proj",), ("dense_4h_to_h",))
_EACH_UP = (
    ("#.gate_proj", "#.up_proj"), ("#.w1", "#.w3"), ("gate_up_proj",), ("gate_proj", "up_proj"), ("input_linear",),
    ("w1", "v1"),
)  # fmt: skip
_EACH_DOWN = (("#.down_proj",), ("#.w2",), ("down_proj",), ("output_linear",), ("w2",))
_QKV = (
    ("q_proj", "k_proj", "v_proj"), ("qkv_proj",), ("query_key_value",), ("Wqkv",), ("c_attn",), ("qkv",),
)  # fmt: skip
LEAVES: Mapping[str, tuple[str, tuple[tuple[str, ...], ...]]] = {
    "attention.qkv": ("attention", _QKV),
    "attention.gate": ("attention", (("g_proj",), ("gate_proj",))),
    "attention.output": ("attention", (("o_proj",), ("o_b_proj",), ("wo_b",), ("out_proj",), ("dense",), ("wo",))),
    "attention.output_down": ("attention", (("o_a_proj",), ("wo_a",))),
    "attention.compressor": ("attention", (("compressor.gate_proj", "compressor.kv_proj"), ("compressor.wkv",))),
    "attention.qkv_down": (
        "attention",
        (
            ("q_a_proj", "kv_a_proj_with_mqa"),
            ("fused_qkv_a_proj",),
            ("kv_a_proj_with_mqa",),
            ("q_a_proj", "kv_proj"),
            ("wq_a", "wkv"),
        ),
    ),
    "attention.q_up": ("attention", (("q_b_proj",), ("q_proj",), ("wq_b",))),
    "attention.kv_up": ("attention", (("kv_b_proj",),)),
    "attention.indexer.query": (
        "attention",
        (("indexer.wq_b",), ("indexer.q_proj",), ("index_q_proj",), ("compressor.indexer.q_b_proj",)),
    ),
    "attention.indexer.compressor": (
        "attention",
        (("compressor.indexer.gate_proj", "compressor.indexer.kv_proj"), ("indexer.compressor.wkv",)),
    ),
    "attention.indexer.key": ("attention", (("indexer.wk",), ("indexer.k_proj",), ("index_k_proj",))),
    "linear_attention.qkvz": (
        "linear",
        (("in_proj_qkv", "in_proj_z"), ("in_proj_qkvz",), ("q_proj", "k_proj", "v_proj"), ("qkv_proj",)),
    ),
    "linear_attention.gates": ("linear", (("in_proj_a", "in_proj_b"), ("in_proj_ba",), ("a_proj",), ("b_proj",))),
    "linear_attention.output": ("linear", (("out_proj",), ("o_proj",))),
    "mamba.input": ("mamba", (("in_proj",),)),
    "mamba.output": ("mamba", (("out_proj",),)),
    "mamba.selection": ("mamba", (("x_proj",),)),
    "mamba.step": ("mamba", (("dt_proj",),)),
    "convolution.input": ("convolution", (("in_proj",),)),
    "convolution.output": ("convolution", (("out_proj",),)),
    "dense.up": ("dense", _UP),
    "dense.down": ("dense", _DOWN),
    "shared.up": ("shared", _UP),
    "shared.down": ("shared", _DOWN),
    "experts.latent_down": ("latent", (("fc1_latent_proj",),)),
    "experts.latent_up": ("latent", (("fc2_latent_proj",),)),
    "experts.up": ("experts", _EACH_UP),
    "experts.down": ("experts", _EACH_DOWN),
}
HEAD = ("lm_head", "embed_out", "output")
EMBEDDING = ("embed_tokens", "wte", "word_embeddings", "embed_in")


def tree_of(model_type: str) -> Tree:
    """The tree of a family, by the longest beginning of its ``model_type`` that is known."""
    return TREES[max((start for start in TREES if model_type.startswith(start)), key=len)]


def spellings(tree: Tree, operation: str, layer: Layer) -> list[tuple[str, ...]]:
    """Every way to name an operation's modules below ``layers.<i>.``; none for an operation that is not in the table.
    A layer whose keys serve as values has no ``v_proj``, a plain FFN no gate."""
    if operation not in LEAVES:
        return []
    part, ways = LEAVES[operation]
    absent = set()
    if getattr(layer.mixer, "shared_kv", False):
        absent.add("v_proj")
    if not getattr(layer.ffn, "gated", True):
        absent |= {"gate_proj", "#.gate_proj"}
    if getattr(layer.mixer, "q_rank", 0) is None:
        absent.add("q_a_proj")
    kept = dict.fromkeys(tuple(leaf for leaf in way if leaf not in absent) for way in ways)
    return [tuple(f"{parent}.{leaf}" for leaf in way) for parent in getattr(tree, part) for way in kept if way]


class _Asked(Quantization):
    """Answers each name with a format of that name."""

    def of(self, name: str) -> WeightFormat:
        return WeightFormat(name, 8.0, 0.0, "bf16")


def weights_by_operation(layer: Layer, hidden: int) -> dict[str, float]:
    """Number of weights of each module that a layer's blocks ask a format for: names to weights."""
    setting = Setting(hidden, Layout.single(), _Asked(), ACTIVATION_BYTES, "bf16", FixedLengths(1, 2))
    found: dict[str, float] = {}
    for name, weights in _asked(replace(layer, formats=()), setting):
        found[name] = found.get(name, 0.0) + weights
    return found


def _asked(layer: Layer, setting: Setting) -> Iterator[tuple[str, float]]:
    for operation in layer.operations(setting):
        if not isinstance(operation, Collective | Core):
            yield operation.format.name, float(np.sum(np.asarray(operation.weights, dtype=float)))
