"""An all-reduce over several nodes, as NCCL does it: engines' own kernels end at the node's border.

vLLM leaves its custom kernel where a group spans nodes (``CustomAllreduce``, in_the_same_node_as, 0.33), SGLang and
TensorRT-LLM do the same without NVLink between the nodes, and all call NCCL; RCCL and HCCL are built alike. The times
are NCCL's own estimate, by which it chooses a protocol (src/graph/tuning.cc, ``ncclTopoTuneModel``, as it is since it
knows Blackwell): a double tree, up and down, over the ranks of a node and the nodes,

    base + 2 ((m - 1) hop + log2(N) net) + B / rate

for m ranks in each of N nodes. It prints 25.2 us for 128 bytes on two nodes of eight (issue 1453 of its repository),
where 6.8 + 2 (7 x 0.6 + 5.0) = 25.2. Decode steps of DeepSeek over two nodes are met within 5 % up to ten sequences
with it (docs/laws.md); nccl-tests of public clusters show two to five times as much for small messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.cluster import Cluster


@dataclass(frozen=True)
class Protocol:
    """``base_s`` of any call, ``hop_s`` between two ranks of a node, ``net`` times a tier's latency between nodes
    (NCCL's 5.0, 8.5 and 14 us over the 5.0 of LL)."""

    base_s: float
    hop_s: float
    net: float


LL = Protocol(6.8e-6, 0.6e-6, 1.0)  # a flag beside each four bytes: half of what travels is data
LL128 = Protocol(14.0e-6, 1.25e-6, 1.7)
SIMPLE = Protocol(8.4e-6, 4.0e-6, 2.8)
# Bytes/s of LL between two Hopper nodes: llMaxBws 45 GB/s of bus, half of it for a tree, and half of that from 64 to
# 256 KiB (treeCorrectionFactor).
LL_BYTES_PER_S = 45e9 * 0.5 * 0.5
# Of the nodes' links together: 120 of 128 bytes are data, half for a tree, 0.6 from 64 KiB to 1 MiB.
LL128_SHARE = 0.92 * 0.5 * 0.6


@dataclass(frozen=True)
class _Ways:
    """What an all-reduce takes whatever its bytes: ``fixed_s`` of each protocol, ``shares`` of the bytes that go over
    each tier at its rate, and bytes/s of ``LL128`` on all links together."""

    fixed_s: tuple[Any, ...]
    shares: tuple[tuple[Any, Any, float], ...]
    together: Any


def library_all_reduce_s(cluster: Cluster, size: Any, stride: Any, data: Any, gpus: Any) -> Any:
    """Seconds of an all-reduce of ``data`` bytes among ``size`` ranks ``stride`` apart that leave the innermost domain;
    the fastest protocol. Bytes of ``SIMPLE`` go over the tiers in turn, there and back."""
    ways = _ways(cluster, size, stride, gpus)
    carried: Any = 0.0
    for share, inner, rate in ways.shares:
        carried = carried + share * (data / inner) / rate
    fixed = ways.fixed_s
    fastest = np.minimum(fixed[0] + data / LL_BYTES_PER_S, fixed[1] + data / ways.together)
    return np.minimum(fastest, fixed[2] + carried)


def _ways(cluster: Cluster, size: Any, stride: Any, gpus: Any) -> _Ways:
    node = cluster.tiers[0]
    ranks = cluster.members(0, size, stride, gpus)
    net: Any = 0.0
    shares = [(2.0 * (1.0 - 1.0 / np.maximum(ranks, 1.0)), 1.0, node.rate)]
    inner: Any = ranks
    slowest: Any = np.inf
    for t, tier in enumerate(cluster.tiers[1:], 1):
        reached = cluster.members(t, size, stride, gpus)
        ways = np.maximum(reached / inner, 1.0)
        net = net + np.log2(ways) * tier.latency_s
        shares.append((2.0 * (1.0 - 1.0 / ways), inner, tier.rate))
        slowest = np.where(ways > 1, np.minimum(slowest, tier.rate), slowest)
        inner = reached
    fixed = tuple(p.base_s + 2.0 * ((ranks - 1.0) * p.hop_s + p.net * net) for p in (LL, LL128, SIMPLE))
    return _Ways(fixed, tuple(shares), LL128_SHARE * np.maximum(ranks, 1.0) * slowest)
