"""Bytes on one accelerator, and the KV cache that fits beside the weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from costmodel.drafts.drafting import cache_share, drafter_bytes
from costmodel.layout import Layout
from costmodel.memory.cache import blocks, request
from costmodel.memory.device import usable_bytes
from costmodel.memory.server import Server
from costmodel.memory.spread import CENTRAL_80, chance, spread_bytes
from costmodel.memory.weights import loaded_bytes
from costmodel.memory.working import Working, working
from costmodel.scenario import Scenario
from costmodel.stages import Stages


@dataclass(frozen=True)
class Memory:
    """Bytes on the fullest accelerator of each plan; ``kv_capacity_tokens`` is what one attention group can cache (a
    vLLM data-parallel rank logs it at start), ``_low`` to ``_high`` its middle 80 %; ``starts_probability`` the chance
    that all else and one sequence of the full length fit; ``seats`` the sequences of this workload that it admits at
    once. ``reserve_bytes``: libraries, buffers of communication, graphs, and what ``Engine.reserve_bytes`` keeps."""

    weights_bytes: Any
    kv_cache_bytes: Any
    activation_bytes: Any
    reserve_bytes: Any
    kv_capacity_tokens: Any
    seats: Any
    kv_capacity_tokens_low: Any
    kv_capacity_tokens_high: Any
    starts_probability: Any

    @property
    def total_bytes(self) -> Any:
        return self.weights_bytes + self.kv_cache_bytes + self.activation_bytes + self.reserve_bytes

    def admitted(self, wanted: Any) -> Any:
        """Of the sequences that are ``wanted`` in a group those that have a seat. A plan whose cache holds not even one
        does not run; it is timed as if it did and fails on memory."""
        return np.where(self.seats >= 1.0, np.minimum(wanted, self.seats), wanted)


def memory(scenario: Scenario, layout: Layout, stages: Stages, sequences: Any) -> Memory:
    """Memory when every attention group holds ``sequences`` sequences of full length."""
    setting, runs = scenario.setting(layout), layout.runs
    few, their_stages = scenario.setting(layout.firsts), stages.firsts(runs)
    server = Server.of(scenario, sequences)
    weights = runs.spread(loaded_bytes(scenario, few, their_stages)) + drafter_bytes(scenario, layout)
    needs = working(scenario, layout, setting, server)
    length = blocks(server.length, scenario.engine.block_tokens)
    one = request(scenario, few, their_stages, length, server.tokens).spread(runs)
    if scenario.drafter is not None or scenario.decode_ranks > 1:
        one = replace(one, bytes=one.bytes * cache_share(scenario, layout))
    available = available_bytes(scenario, server, weights, needs)
    free = np.maximum(available, 0.0)
    deviation = spread_bytes(scenario, server, weights, needs)
    seats = free / np.maximum(one.bytes, 1.0)
    if scenario.engine.output_reserved < 1.0:
        # Sequences of all ages share the cache: on average an answer is half written, or as far as is reserved.
        lengths = scenario.lengths
        occupied = lengths.isl + lengths.osl * (1.0 + scenario.engine.output_reserved) / 2.0
        held = request(scenario, few, their_stages, occupied).spread(runs).bytes * cache_share(scenario, layout)
        seats = free / np.maximum(held, 1.0)
    block = scenario.engine.block_tokens

    def tokens(bytes: Any) -> Any:
        return np.floor(np.maximum(bytes, 0.0) / np.maximum(one.bytes, 1.0) * length / block) * block

    return Memory(
        weights_bytes=weights,
        kv_cache_bytes=one.bytes * sequences,
        activation_bytes=needs.activations + needs.encoder,
        reserve_bytes=reserve(scenario, needs),
        kv_capacity_tokens=tokens(available),
        seats=np.floor(seats),
        kv_capacity_tokens_low=tokens(available - CENTRAL_80 * deviation),
        kv_capacity_tokens_high=tokens(available + CENTRAL_80 * deviation),
        starts_probability=chance(scenario, server, available - one.bytes, deviation, needs),
    )


def reserve(scenario: Scenario, needs: Working) -> Any:
    """Bytes inside the share that are neither weights, cache nor a pass's tensors."""
    counted = needs.graphs * scenario.engine.memory.graphs_counted
    return needs.libraries + counted + scenario.engine.reserve_bytes


def available_bytes(scenario: Scenario, server: Server, weights: Any, needs: Working) -> Any:
    """Bytes left for the cache beside ``weights`` and what the engine works with; negative where it does not fit.

    ``all``: the share less all else (vllm/v1/worker/gpu_worker.py determine_available_memory). ``static``: what was
    free before loading less the weights and the share that is left out for work (sglang/srt/model_executor/
    model_runner.py profile_max_num_token), never more than the work leaves. ``free``: the share of what is free
    once all else is there (tensorrt_llm/_torch/pyexecutor/_util.py, KvCacheCreator)."""
    if server.cache_bytes is not None:
        return np.full_like(weights, server.cache_bytes)
    inside = needs.activations + needs.encoder + reserve(scenario, needs) + server.draft_bytes
    total = usable_bytes(scenario.accelerator) - server.taken_bytes
    match server.share:
        case "all":
            share = np.minimum(server.fraction * usable_bytes(scenario.accelerator), total - needs.outside)
            return share - weights - inside
        case "static":
            before = total - needs.outside
            return np.minimum(server.fraction * before, before - inside) - weights - server.draft_bytes
        case "free":
            return server.fraction * (total - needs.outside - weights - inside)
