"""The worked case of docs/design, built by hand from blocks: the reader of configs has no part in these tests."""

from __future__ import annotations

from typing import Any

from costmodel.architecture import Architecture, Layer, LayerRun, Quantization
from costmodel.blocks import DenseFfn, GroupedQueryAttention, MoeFfn
from costmodel.cluster import Cluster, Tier
from costmodel.efficiency import FlatLaw
from costmodel.engine import Engine
from costmodel.formats import FORMATS
from costmodel.hardware import Accelerator
from costmodel.lengths import FixedLengths
from costmodel.plans import Plans
from costmodel.scenario import Limits, Scenario

FP8 = FORMATS["fp8"]
DTYPES = ("fp32", "bf16", "fp8", "int8", "fp4")


def qwen3(layers: int = 94, **changes: Any) -> Architecture:
    """Qwen3-235B-A22B with every linear layer and the cache in FP8, or a shallower sister."""
    layer = Layer(GroupedQueryAttention(64, 4, 128, qk_norm="head"), MoeFfn(128, 8, 1536))
    figures: dict[str, Any] = {
        "name": "Qwen3-235B-A22B",
        "hidden": 4096,
        "vocabulary": 151936,
        "runs": (LayerRun(layer, layers),),
        "tied_embeddings": False,
        "quantization": Quantization.linear_layers(FP8),
        "kv_format": FP8,
    }
    return Architecture(**(figures | changes))


def accelerator(flops: float = 1.0, memory: float = 1.0, link: float = 1.0) -> Accelerator:
    """64 GB, 400 TFLOP/s at every dtype, 1.8 TB/s; each speed times a factor."""
    peaks = dict.fromkeys(DTYPES, 400e12 * flops)
    return Accelerator("worked case", 64e9, 1.8e12 * memory, peaks, link_bytes_per_s=400e9 * link)


def cluster(link: float = 1.0, node: int = 8) -> Cluster:
    """Nodes of 8 and a fabric between them."""
    return Cluster(
        "worked case",
        (Tier("node", node, 3e-6, 400e9 * link, efficiency=0.8), Tier("fabric", 4096, 8e-6, 50e9 * link, 0.8)),
    )


def worked_case(**changes: Any) -> Scenario:
    parts: dict[str, Any] = {
        "model": qwen3(),
        "accelerator": accelerator(),
        "cluster": cluster(),
        "engine": Engine("any"),
        "lengths": FixedLengths(2048, 2048),
        "limits": Limits(ttft_s=30.0),
        "law": FlatLaw(0.6, 0.8),
    }
    return Scenario(**(parts | changes))


def refined(**changes: Any) -> Plans:
    """The "refined" plan: 16 GPUs, TP4 EP8, two replicas of 256 sequences."""
    return Plans.of(**({"gpus": 16, "tp": 4, "ep": 8, "dp": 2, "batch": 256} | changes))


def original(**changes: Any) -> Plans:
    """The "original" plan: 8 GPUs, TP8 EP8, 128 sequences."""
    return Plans.of(**({"gpus": 8, "tp": 8, "ep": 8, "batch": 128} | changes))


__all__ = ["DenseFfn", "accelerator", "cluster", "original", "qwen3", "refined", "worked_case"]
