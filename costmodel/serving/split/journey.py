"""The cache's journey from the instance that prefilled to the one that decodes.

A request's cache leaves the ranks of one prefill group, tp * pp of them, and reaches those of one decode group, each of
which takes the share that it attends to: a whole copy where heads cannot be split (latent attention, fewer KV heads
than ranks). A journey lasts as long as the busier end's link needs,

    max(copies * bytes / (ranks of the sender), bytes of the fullest receiver) / rate,

and a message's latency for every layer. What is sent by chunks while later ones are prefilled is hidden behind them
(``CHUNKED``). Requests that travel at the same time wait for each other, as in an M/D/1 queue at either end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from costmodel.cluster import Cluster
from costmodel.fields import Choice, Quantity
from costmodel.memory.cache import request
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.stages import Stages

TRANSPORTS = ("auto", "rdma", "host")
# Engines that send the cache of a chunk while the next one is prefilled: SGLang does
# (sglang/srt/disaggregation/prefill.py send_kv_chunk, 0.5.23). vLLM's NIXL connector pulls when the prompt is done
# (vllm/distributed/kv_transfer/kv_connector/v1/nixl_connector.py request_finished, 0.33), TensorRT-LLM's transceiver
# sends then too (tensorrt_llm/_torch/pyexecutor/py_executor.py _send_disagg_ctx_cache, 1.2).
CHUNKED = {"sglang": True}


@dataclass(frozen=True)
class Transfer:
    """How the cache travels. ``auto``: over the innermost tier of the cluster that holds the whole deployment, so over
    NVLink where it reaches; ``rdma``: over the tier outside the node whatever the place; ``host``: through the memory
    of both hosts, ``host_bytes_per_s`` on either side and the network between, one after the other."""

    transport: Annotated[str, Choice("how the cache travels from prefill to decode", TRANSPORTS)] = "auto"
    # PCIe 5.0 x16: 63 GB/s in a direction by its specification, of which copies reach about 85 % (assumption).
    host_bytes_per_s: Annotated[float, Quantity("of an accelerator's copies to its host", 1e6, 1e13)] = 5.4e10


@dataclass(frozen=True)
class Link:
    """What one accelerator sends or receives a second, and the seconds before the first byte."""

    bytes_per_s: float
    latency_s: float


@dataclass(frozen=True)
class Cargo:
    """A pool's end of the journey, arrays of shape (n,). ``bytes`` of a request's cache on the fullest rank of a group,
    ``ranks`` of a group that hold the cache, ``total_bytes`` of one copy."""

    bytes: Any
    ranks: Any
    total_bytes: Any

    @property
    def copies(self) -> Any:
        """How often a group holds the cache in sum."""
        return self.bytes * self.ranks / self.total_bytes


def link_of(cluster: Cluster, transfer: Transfer, gpus: int) -> Link:
    """The link between pools of a deployment of ``gpus`` accelerators. Copies from one to another do not reach the
    share of collectives' kernels by another mechanism: the tier's own rate is taken."""
    tiers = cluster.tiers
    place = next((i for i, tier in enumerate(tiers) if gpus <= tier.size), len(tiers) - 1)
    if transfer.transport != "auto":
        place = max(place, min(1, len(tiers) - 1))
    tier = tiers[place]
    if transfer.transport != "host":
        return Link(tier.rate, tier.latency_s)
    slow = 2.0 / transfer.host_bytes_per_s + 1.0 / tier.rate
    return Link(1.0 / slow, 3.0 * tier.latency_s)


def link_between(one: Cluster, other: Cluster, transfer: Transfer, gpus: int) -> Link:
    """The link between pools of different clusters, or of accelerators of two kinds in like ones: no scale-up domain
    holds both, so it is the network whatever the place, at the rate of the lesser end."""
    outside = transfer if transfer.transport != "auto" else replace(transfer, transport="rdma")
    ends = [link_of(cluster, outside, gpus) for cluster in (one, other)]
    return Link(min(end.bytes_per_s for end in ends), max(end.latency_s for end in ends))


def cargo(scenario: Scenario, plans: Plans) -> Cargo:
    """A prompt's cache on instances of ``plans``."""
    layout, stages = scenario.layout(plans), Stages.of(scenario.model, plans.pp)
    tokens = float(scenario.lengths.isl)
    held = request(scenario, scenario.setting(layout), stages, tokens).bytes / scenario.decode_ranks
    one = Plans.of(gpus=1, tp=1, batch=1)
    whole = request(
        scenario, scenario.setting(scenario.layout(one)), Stages.of(scenario.model, one.pp), tokens
    ).bytes  # every layer's, on one rank
    return Cargo(held, layout.tp * layout.pp, np.broadcast_to(whole, held.shape))


@dataclass(frozen=True)
class Journey:
    """Seconds that the first token waits for the cache, arrays of any shape: ``travel_s`` after the prompt is
    prefilled, ``queue_s`` for others' caches at the busier end; ``link_share``: of the busier link's time that is
    taken, ``carried_bytes_per_s`` what it carries then."""

    travel_s: Any
    queue_s: Any
    link_share: Any
    carried_bytes_per_s: Any

    @property
    def seconds(self) -> Any:
        return self.travel_s + self.queue_s


def journey(
    scenario: Scenario, link: Link, sender: Cargo, receiver: Cargo, sent_per_s: Any, received_per_s: Any,
    passes: Any = 1.0, passes_s: Any = 0.0,
) -> Journey:  # fmt: skip
    """Requests' caches at ``sent_per_s`` of one prefill instance and ``received_per_s`` of one decode instance, whose
    attention groups share them equally: rates are those of a group. ``passes`` of a prompt last ``passes_s``."""
    sent, received = receiver.copies * sender.total_bytes / sender.ranks, receiver.bytes
    travel = np.maximum(sent, received) / link.bytes_per_s
    carried = np.maximum(sent_per_s * sent, received_per_s * received)
    share = carried / link.bytes_per_s
    exposed = travel
    if CHUNKED.get(scenario.engine.name):
        exposed = np.maximum(travel / passes, travel - passes_s * (passes - 1.0) / passes)
    with np.errstate(divide="ignore", invalid="ignore"):
        queue = np.where(share < 1.0, travel * share / (2.0 * np.maximum(1.0 - share, 1e-300)), np.inf)
    latency = link.latency_s * scenario.model.layer_count
    return Journey(exposed + latency, np.where(travel > 0.0, queue, 0.0), share, carried)
