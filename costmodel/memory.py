"""Bytes on one accelerator, and the KV cache that fits beside the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.architecture import Setting
from costmodel.formats import BF16
from costmodel.layout import Layout
from costmodel.operations import ACTIVATION_BYTES, Collective
from costmodel.scenario import Scenario
from costmodel.stages import Stages
from costmodel.step import Step

LOGIT_BYTES = 4.0  # samplers work on fp32 logits (vllm/v1/sample/sampler.py, vLLM 0.33)


@dataclass(frozen=True)
class Memory:
    """Bytes on the fullest accelerator of each plan; ``kv_capacity_tokens`` is what one attention group can cache (a
    vLLM data-parallel rank logs it at start), ``seats`` the sequences of this workload that it admits at once."""

    weights_bytes: Any
    kv_cache_bytes: Any
    activation_bytes: Any
    reserve_bytes: float
    kv_capacity_tokens: Any
    seats: Any

    @property
    def total_bytes(self) -> Any:
        return self.weights_bytes + self.kv_cache_bytes + self.activation_bytes + self.reserve_bytes


def blocks(tokens: Any, block_tokens: int) -> Any:
    """``tokens`` rounded up to whole KV blocks."""
    return np.ceil(tokens / block_tokens) * block_tokens


def memory(scenario: Scenario, layout: Layout, stages: Stages, sequences: Any) -> Memory:
    """Memory when every attention group holds ``sequences`` sequences of full length."""
    model, setting = scenario.model, scenario.setting(layout)
    weights = [sum(op.weight_bytes for op in kind.operations(setting)) for kind in model.kinds]
    first, last = _end_weights(scenario, setting, stages)
    held = blocks(scenario.lengths.total, scenario.engine.block_tokens)
    zero = np.zeros_like(layout.tp)
    weights_bytes = stages.largest(weights, first, last)
    sequence_bytes = stages.largest(_cache(scenario, setting, held), zero, zero)
    activations = peak_activations(scenario, layout, setting, sequences)
    free = _free(scenario, weights_bytes, activations + scenario.engine.reserve_bytes)
    fitting = free / np.maximum(sequence_bytes, 1.0)
    seats = fitting
    if scenario.engine.output_reserved < 1.0:
        # Sequences of all ages share the cache: on average an answer is half written, or as far as is reserved.
        lengths = scenario.lengths
        occupied = lengths.isl + lengths.osl * (1.0 + scenario.engine.output_reserved) / 2.0
        seats = free / np.maximum(stages.largest(_cache(scenario, setting, occupied), zero, zero), 1.0)
    return Memory(
        weights_bytes=weights_bytes,
        kv_cache_bytes=sequence_bytes * sequences,
        activation_bytes=activations,
        reserve_bytes=scenario.engine.reserve_bytes,
        kv_capacity_tokens=np.floor(fitting * held / scenario.engine.block_tokens) * scenario.engine.block_tokens,
        seats=np.floor(seats),
    )


def _free(scenario: Scenario, weights: Any, working: Any) -> Any:
    """Bytes left for the cache beside ``weights`` and what the engine works with."""
    fraction, memory_bytes = scenario.limits.memory_fraction, scenario.accelerator.memory_bytes
    match scenario.limits.memory_of:
        case "all":
            left = fraction * memory_bytes - weights - working
        case "static":
            left = np.minimum(fraction * memory_bytes, memory_bytes - working) - weights
        case "free":
            left = fraction * (memory_bytes - weights - working)
    return np.maximum(left, 0.0)


def _cache(scenario: Scenario, setting: Setting, tokens: float) -> list[Any]:
    """Bytes of cache and state of one sequence of ``tokens`` tokens, for a layer of each kind."""
    return [
        0.0 if kind.mixer is None else kind.mixer.cache_bytes(setting, tokens) + kind.mixer.state_bytes(setting)
        for kind in scenario.model.kinds
    ]


def _end_weights(scenario: Scenario, setting: Setting, stages: Stages) -> tuple[Any, Any]:
    """Bytes that the first and the last stage hold beside their layers. A tied head is the embedding table itself,
    unless another stage needs its own copy."""
    model = scenario.model
    first = sum(op.weight_bytes for op in model.embedding(setting))
    vision = model.vision_parameters * BF16.bytes_per_element / setting.layout.tp
    head = {op.name: op.weight_bytes for op in model.head(setting)}
    if model.tied_embeddings:
        head["head"] = head["head"] * (stages.pp > 1)
    return first + vision, sum(head.values())


def peak_activations(scenario: Scenario, layout: Layout, setting: Setting, sequences: Any) -> Any:
    """Bytes alive at the worst moment of the largest pass: two residual streams, the inputs and outputs of the
    greediest operation, and the fp32 logits of every sequence. The engine profiles exactly this pass at start
    (vllm/v1/worker/gpu_worker.py determine_available_memory, vLLM 0.33) with ``max_batched_tokens`` tokens."""
    tokens = np.maximum(float(scenario.engine.max_batched_tokens), sequences)
    prompts = tokens / max(scenario.lengths.new, 1.0)
    step = Step(0.0 * prompts, prompts, 0.0 * prompts, prompts * layout.attn_dp, sequences, scenario.lengths, layout)
    greediest: Any = 0.0
    for kind in scenario.model.kinds:
        for op in kind.operations(setting):
            if not isinstance(op, Collective):
                work = op.work(step)
                greediest = np.maximum(greediest, work.m * op.row_bytes())
    residual = 2.0 * step.tokens * scenario.model.hidden * ACTIVATION_BYTES
    logits = sequences * scenario.model.vocabulary * LOGIT_BYTES
    return residual + np.maximum(greediest, logits)
