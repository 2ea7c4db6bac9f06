"""Collectives as alpha-beta over the tiers of a cluster (Hockney model; Thakur, Rabenseifner, Gropp, "Optimization
of Collective Communication Operations in MPICH", IJHPCA 2005).

Groups that span several domains are handled tier by tier, as NCCL and the engines' own kernels do: inside first, then
one rank of each domain with its peers in the others, each carrying 1/m of the data.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from costmodel.all_reduce import CUSTOM, AllReduceKernel, passes_s
from costmodel.cluster import Cluster, Tier
from costmodel.library_reduce import library_all_reduce_s
from costmodel.operations import Message

# Passes over the data by kind: an all-reduce is a reduce-scatter and an all-gather.
PASSES = {"all_reduce": 2.0, "all_gather": 1.0, "reduce_scatter": 1.0}
# Where the switch adds up, a tier's latency and share are those of the engines' own all-reduce. Other kernels take so
# many times the latency and reach so much of the share, on H100, H200 and B200 alike (docs/laws.md): NCCL's all-gather
# and reduce-scatter (1.7 to 2.0, 0.71 to 0.77), DeepEP's all-to-all at low latency (2.3 to 2.6, 0.55 to 0.86).
OTHER_KERNELS = {"all_gather": (1.85, 0.74), "reduce_scatter": (1.85, 0.74), "all_to_all": (2.5, 0.62)}


def message_seconds(
    message: Message,
    cluster: Cluster,
    gpus: Any,
    kernel: AllReduceKernel = CUSTOM,
    one_pass_tokens: int = 0,
) -> Any:
    """Seconds of one collective for the slowest group. Zero for groups of one rank and for empty messages.

    - all_reduce, all_gather, reduce_scatter of B bytes over tiers with m_t ranks (or domains) at tier t:
      passes * sum_t (alpha_t + (m_t - 1) / m_t * B_t / beta_t), where B_t = B / (m_0 ... m_{t-1}).
      One alpha a tier and pass: inside a node the engines use one-shot and two-shot kernels, not rings. An all-reduce
      there takes the latencies of its ``kernel`` and one pass or two (``costmodel.all_reduce``); where the switch adds
      up, each rank sends and receives its bytes once, switch_latency_s + B / beta_0 (NCCL's NVLS). The fastest is
      taken, as engines do by size (vllm/csrc/custom_all_reduce.cuh, 0.33), but one pass for up to ``one_pass_tokens``
      rows (TensorRT-LLM thop/allreduceOp.cpp, 1.2: MIN_LATENCY with kOneShotMaxToken).
      An all-reduce that leaves the node is the library's over all its ranks (``costmodel.library_reduce``).
    - all_to_all: every rank sends its bytes spread evenly; those that leave a domain cross the outer tier.
      Inside a node whose switch adds up, it, the all_gather and the reduce_scatter take ``OTHER_KERNELS``.
    - send: one hop to the next rank ``stride`` away.
    """
    size = np.asarray(message.size, dtype=float)
    if message.kind == "send":
        return _send(message, cluster, gpus)
    if np.all(size <= 1):
        return np.zeros(np.broadcast_shapes(np.shape(message.bytes), size.shape))
    seconds: Any = 0.0
    inner: Any = np.ones_like(size)
    data = message.bytes
    for t, tier in enumerate(cluster.tiers):
        reached = cluster.members(t, size, message.stride, gpus)
        ways = reached / inner  # ranks, or domains of the tier below, that talk over this tier
        active = ways > 1
        if not np.any(active):
            inner = reached
            continue
        if tier.switch_latency_s and message.kind in OTHER_KERNELS:
            tier = _with_kernel(tier, *OTHER_KERNELS[message.kind])
        if message.kind == "all_to_all":
            leaving = data * (reached - inner) / size
            part = tier.latency_s + leaving / tier.rate
        else:
            if t == 0 and message.kind == "all_reduce":
                part = passes_s(tier, ways, data, message.rows, kernel, one_pass_tokens)
                if tier.switch_latency_s:
                    switched = tier.switch_latency_s + data / tier.rate
                    part = np.where(message.rows <= one_pass_tokens, part, np.minimum(part, switched))
            else:
                part = PASSES[message.kind] * (tier.latency_s + (1.0 - 1.0 / np.maximum(ways, 1.0)) * data / tier.rate)
            data = data / np.maximum(ways, 1.0)
        seconds = seconds + np.where(active, part, 0.0)
        inner = reached
    if message.kind == "all_reduce":
        leaves = cluster.members(0, size, message.stride, gpus) < size
        if np.any(leaves):
            seconds = _across(seconds, message, cluster, gpus, leaves)
    return np.where(message.bytes > 0, seconds, 0.0)


def _across(seconds: Any, message: Message, cluster: Cluster, gpus: Any, leaves: Any) -> Any:
    """``seconds``, with the library's all-reduce where a group ``leaves`` its node; worked out for those alone where
    they are few."""
    count = np.shape(seconds)[-1] if np.ndim(seconds) else 1
    there = np.flatnonzero(np.broadcast_to(leaves, count)) if np.ndim(leaves) < 2 else np.arange(count)
    if 2 * len(there) > count or np.shape(message.bytes) != np.shape(seconds):
        across = library_all_reduce_s(cluster, message.size, message.stride, message.bytes, gpus)
        return np.where(leaves, across, seconds)
    size, stride, gpus = (np.broadcast_to(x, count)[there] for x in (message.size, message.stride, gpus))
    data = message.bytes[..., there]
    seconds[..., there] = library_all_reduce_s(cluster, size, stride, data, gpus)
    return seconds


def _with_kernel(tier: Tier, latency: float, share: float) -> Tier:
    return replace(tier, latency_s=tier.latency_s * latency, efficiency=tier.efficiency * share)


def _send(message: Message, cluster: Cluster, gpus: Any) -> Any:
    """A hop between neighbouring stages, ``size`` of them ``stride`` ranks apart: over the innermost tier that holds
    the whole pipeline, since otherwise some hop leaves it, and the slowest counts."""
    seconds: Any = 0.0
    settled: Any = np.asarray(message.size) <= 1
    for t, tier in enumerate(cluster.tiers):
        inside = cluster.members(t, message.size, message.stride, gpus) >= message.size
        last = t == len(cluster.tiers) - 1
        here = ~settled & (inside | last)
        seconds = np.where(here, tier.latency_s + message.bytes / tier.rate, seconds)
        settled = settled | here
    return np.where(message.bytes > 0, seconds, 0.0)
