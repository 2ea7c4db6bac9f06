"""Kernels for the all-reduce inside a node, and the norm that some of them do in passing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.cluster import Cluster, Tier
from costmodel.engine import Engine
from costmodel.operations import Message


@dataclass(frozen=True)
class AllReduceKernel:
    """Latencies that one pass and two passes over the data cost, in ``latency_s`` of the tier. Fitted to the kernel
    tables of H100, H200 and B200 together (docs/laws.md), where ``custom`` is the measure."""

    one_pass: float
    two_passes: float


CUSTOM = AllReduceKernel(1.0, 2.0)
KERNELS = {
    # vllm/csrc/custom_all_reduce.cuh, 0.33, SGLang's until 0.5.13: ranks wait for each other before and after a pass.
    "custom": CUSTOM,
    # TensorRT-LLM 1.x and FlashInfer: data carry their own flags, so that one pass waits for nobody.
    "trtllm": AllReduceKernel(0.67, 3.32),
    # SGLang from 0.5.14.
    "sglang": AllReduceKernel(0.61, 1.33),
}
NORM_KERNEL = KERNELS["trtllm"]
# FI_ALLREDUCE_FUSION_MAX_SIZE_MB (vllm/compilation/passes/fusion/allreduce_rms_fusion.py, 0.16): never above. Below,
# its limits by ranks are where the fused kernel stopped being the faster one; here the times themselves decide.
LARGEST_WITH_NORM = 64 * 2**20
PCIE = 64e9  # bytes/s of sixteen lanes of its fifth generation, in one direction: what is faster is NVLink


def kernel_of(engine: Engine, cluster: Cluster) -> AllReduceKernel:
    """The engine's kernel where it runs; elsewhere barriers are assumed."""
    return KERNELS[engine.all_reduce] if _has_kernels(cluster) else CUSTOM


def one_pass_of(engine: Engine, cluster: Cluster) -> int:
    """``one_pass_tokens`` where the engine's kernel runs: without NVLink TensorRT-LLM leaves all of it to NCCL, which
    goes by size (ifFallbackToNCCL in cpp/tensorrt_llm/thop/allreduceOp.cpp, 1.2)."""
    return engine.one_pass_tokens if cluster.tiers[0].bytes_per_s > PCIE else 0


def does_norms(engine: Engine, cluster: Cluster, experts: bool) -> bool:
    """True if the engine lets the all-reduce do the norm after it, in a model with or without ``experts``."""
    wanted = engine.all_reduce_norm == "fused" or (engine.all_reduce_norm == "experts" and experts)
    return wanted and _has_kernels(cluster)


def _has_kernels(cluster: Cluster) -> bool:
    """The engines' kernels are written for Hopper and later behind NVSwitch: the nodes whose switch adds up."""
    return cluster.tiers[0].switch_latency_s > 0.0


def passes_s(tier: Tier, ways: Any, data: Any, rows: Any, kernel: AllReduceKernel, one_pass_tokens: int) -> Any:
    """Seconds of an all-reduce of ``data`` bytes, ``rows`` tokens, among ``ways`` ranks of one tier: one pass in which
    each reads what all the others hold, or two, a reduce-scatter and an all-gather; the faster, or one for up to
    ``one_pass_tokens`` rows."""
    one = kernel.one_pass * tier.latency_s + (ways - 1.0) * data / tier.rate
    two = kernel.two_passes * tier.latency_s + 2.0 * (1.0 - 1.0 / np.maximum(ways, 1.0)) * data / tier.rate
    fastest = np.minimum(one, two)
    return np.where(rows <= one_pass_tokens, one, fastest) if one_pass_tokens else fastest


def with_norm_s(message: Message, cluster: Cluster, gpus: Any, one_pass_tokens: int) -> Any:
    """Seconds of an all-reduce and the norm after it in one kernel; infinite where there is none for it."""
    ways = np.asarray(message.size, dtype=float)
    inside = cluster.members(0, ways, message.stride, gpus) >= ways
    possible = inside & (ways > 1) & (message.bytes > 0) & (message.bytes <= LARGEST_WITH_NORM)
    seconds = passes_s(cluster.tiers[0], ways, message.bytes, message.rows, NORM_KERNEL, one_pass_tokens)
    return np.where(possible, seconds, np.inf)
