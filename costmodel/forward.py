"""Seconds of one forward pass: the operations of every layer through the efficiency law and the topology."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from costmodel.all_reduce import does_norms, kernel_of, one_pass_of, with_norm_s
from costmodel.blocks.decode_context import dealt
from costmodel.collectives import message_seconds
from costmodel.efficiency import Times
from costmodel.engine import Engine
from costmodel.host import eager_seconds
from costmodel.launches import attends_at_once, spared_s
from costmodel.layout import Layout
from costmodel.operations import ACTIVATION_BYTES, Collective, Elementwise, Message, Operation, Work, WorkOperation
from costmodel.scenario import Scenario
from costmodel.stages import Stages
from costmodel.step import Step


@dataclass
class Tally:
    """Sums over operations of one rank: seconds computing, seconds communicating, FLOPs and bytes."""

    compute_s: Any = 0.0
    comm_s: Any = 0.0
    flops: Any = 0.0
    bytes: Any = 0.0
    operations: list[OperationTime] = field(default_factory=list)

    def compute(self, name: str, work: Work, times: Times, *, detail: bool) -> None:
        self.compute_s = plus(self.compute_s, times.seconds)
        self.flops = plus(self.flops, work.flops)
        self.bytes = plus(self.bytes, work.bytes)
        if detail:
            self.operations.append(
                OperationTime(name, work.kind, times.seconds, times.compute_s, times.memory_s, work.flops, work.bytes)
            )

    def communicate(self, op: Collective, seconds: Any, *, detail: bool) -> None:
        self.comm_s = plus(self.comm_s, seconds)
        if detail:
            self.operations.append(OperationTime(op.name, op.kind, seconds, 0.0, 0.0, 0.0, 0.0))

    def seconds(self, overlap: float) -> Any:
        """Time with a share of the communication hidden behind computation, never more than there is of it."""
        if not overlap:
            return self.compute_s + self.comm_s
        return self.compute_s + self.comm_s - np.minimum(overlap * self.comm_s, self.compute_s)


@dataclass(frozen=True)
class OperationTime:
    """One operation's seconds a call with its bounds; a message has neither FLOPs nor memory time."""

    name: str
    kind: str
    seconds: Any
    compute_s: Any
    memory_s: Any
    flops: Any
    bytes: Any


@dataclass(frozen=True)
class PassTime:
    """Of shape (passes, plans). ``latency_s`` from the first stage's start to the last one's end; ``slowest_stage_s``
    the longest stage, its hand-over included; ``flops`` and ``bytes`` of one rank summed over the stages."""

    latency_s: Any
    slowest_stage_s: Any
    flops: Any
    bytes: Any


@dataclass
class _Stream:
    """Kernels of one CUDA stream, one after the other: their seconds, and the least that their FLOPs and bytes take."""

    seconds: Any = 0.0
    compute_s: Any = 0.0
    memory_s: Any = 0.0

    def add(self, times: Times) -> None:
        self.seconds = plus(self.seconds, times.seconds)
        self.compute_s = plus(self.compute_s, times.compute_s)
        self.memory_s = plus(self.memory_s, times.memory_s)


def plus(total: Any, value: Any) -> Any:
    """``total + value``, in the memory of ``total`` where it has room: a sum from 0.0 on that is nobody else's."""
    if isinstance(total, np.ndarray) and total.shape == np.shape(value):
        total += value
        return total
    return total + value


def hidden_s(one: _Stream, other: _Stream) -> Any:
    """Seconds saved by running two streams side by side on one accelerator: they share its units and its memory, so
    both together take no less than the longer of them, and no less than all their FLOPs or all their bytes."""
    together = np.maximum(one.seconds, other.seconds)
    together = np.maximum(together, one.compute_s + other.compute_s)
    together = np.maximum(together, one.memory_s + other.memory_s)
    return np.maximum(one.seconds + other.seconds - together, 0.0)


@dataclass(frozen=True)
class Clock:
    """Times operations of a step: those that are ``shared`` by several kinds of layers (by identity) once, and messages
    that are alike. Nothing else is kept, so that its memory is used again while it is in the cache."""

    step: Step
    scenario: Scenario
    shared: frozenset[int] = frozenset()
    _works: dict[int, tuple[WorkOperation, Work, Times]] = field(default_factory=dict)
    _messages: dict[tuple[Any, ...], tuple[Collective, tuple[Any, Any]]] = field(default_factory=dict)

    def work(self, op: WorkOperation) -> tuple[Work, Times]:
        found = self._works.get(id(op))
        if found is None:
            work = op.work(self.step)
            times = self.scenario.law.times(_as_read(work, self.scenario), self.scenario.accelerator)
            found = op, work, times
            if id(op) in self.shared:
                self._works[id(op)] = found
        return found[1:]

    def message(self, op: Collective) -> tuple[Any, Any]:
        """As ``collective_seconds``."""
        key = op.alike
        if key not in self._messages:
            self._messages[key] = op, collective_seconds(op, self.step, self.scenario)
        return self._messages[key][1]


def tally(operations: Iterable[Operation], clock: Clock, *, detail: bool = False) -> Tally:
    """Add up operations, each once; with ``detail`` each is also kept by itself."""
    total, step, scenario = Tally(), clock.step, clock.scenario
    reduced: Any = 0.0  # norms that the all-reduces before them have done
    norm: tuple[Elementwise, Work, Times] | None = None  # a layer's are alike
    routed, shared = _Stream(), _Stream()
    at_once, prompts = attends_at_once(scenario.engine, scenario.accelerator), None
    for op in operations:
        if isinstance(op, Collective):
            seconds, normed = clock.message(op)
            reduced = reduced + normed
            total.communicate(op, seconds, detail=detail)
            continue
        if isinstance(op, Elementwise) and op.after_reduce:
            if norm is None or op != norm[0]:
                norm = op, *clock.work(op)
            _, work, times = norm
            done = np.minimum(reduced, 1.0)
            reduced = reduced - done
            times = times._replace(seconds=times.seconds * (1.0 - done))
        else:
            work, times = clock.work(op)
            if at_once and op.name == "attention.prefill" and work.kind == "prefill_attention":
                prompts = work
            elif prompts is not None and op.name == "attention.decode":
                spared = spared_s(scenario.law, prompts, work, scenario.accelerator)
                times, prompts = times._replace(seconds=times.seconds - spared), None
        if work.kind == "experts" and scenario.engine.expert_stretch != 1.0:
            times = times._replace(seconds=times.seconds * scenario.engine.expert_stretch)
        total.compute(op.name, work, times, detail=detail)
        if work.kind == "experts":
            routed.add(times)
        elif op.name.startswith("shared."):
            shared.add(times)
    threshold = scenario.engine.shared_stream_tokens
    if threshold:
        # vllm/model_executor/layers/fused_moe/layer.py shared_experts_stream, vLLM 0.33: small passes only.
        total.compute_s = total.compute_s - np.where(step.tokens <= threshold, hidden_s(routed, shared), 0.0)
    return total


def collective_seconds(op: Collective, step: Step, scenario: Scenario) -> tuple[Any, Any]:
    """Seconds of a message, and 1 where the norm after it is done in them, else 0."""
    engine, cluster, gpus = scenario.engine, scenario.cluster, step.layout.gpus
    message = op.message(step)
    one_pass = one_pass_of(engine, cluster)
    seconds = message_seconds(message, cluster, gpus, kernel_of(engine, cluster), one_pass)
    if not (op.before_norm and does_norms(engine, cluster, scenario.model.has_experts)):
        return seconds, 0.0
    with_norm = with_norm_s(message, cluster, gpus, one_pass)
    normed = with_norm <= seconds
    return np.where(normed, with_norm, seconds), normed


def _as_read(work: Work, scenario: Scenario) -> Work:
    """Attention that multiplies in bf16 reads an FP8 cache no faster than one of bf16 on Hopper: FlashAttention 3 takes
    1.04 and 1.09 times as long with an FP8 cache (61 cases each of H100 and H200, vLLM 0.24 in the kernel tables
    shipped with AIConfigurator 0.12), 0.84 and 0.93 times in SGLang 0.5.14, TensorRT-LLM's kernels 0.53 times."""
    as_bf16 = scenario.engine.attention_format == "bf16" and scenario.accelerator.hopper
    if work.kind != "decode_attention" or not as_bf16:
        return work
    return replace(work, kv_bytes=work.kv_bytes * (ACTIVATION_BYTES / scenario.model.kv_format.bytes_per_element))


def handover_seconds(scenario: Scenario, step: Step) -> Any:
    """Activations sent to the next stage: every rank of a stage sends its share of the rows to its peer
    (vLLM 0.33 sends 1/tp from each tp rank and gathers inside the stage, which is a neighbour's link and faster)."""
    layout = step.layout
    rows = step.tokens * (scenario.model.hidden * ACTIVATION_BYTES / layout.tp)
    return message_seconds(Message("send", rows, layout.pp, layout.width), scenario.cluster, layout.gpus)


# Share of the host's work for a sequence that goes over all that run, those of a pipeline's other micro-batches too:
# the scheduler asks each whether it can go on (TensorRT-LLM's _executor_loop_pp, vLLM's loop over ``running``). Read
# off 40 published rows of Llama-70B at a pp of 1 to 8 (docs/published.md).
SCHEDULED = 0.3


def host_seconds(engine: Engine, step: Step) -> Any:
    """What the host does between two passes: a pass and for each sequence in it."""
    sequences = step.samples - step.decodes * (step.verified - 1.0)
    return engine.step_overhead_s + engine.sequence_overhead_s * sequences * scheduled(step.layout.pp)


def scheduled(pp: Any) -> Any:
    """How many times as long the host takes for a sequence where ``pp`` micro-batches of as many circulate."""
    return 1.0 + SCHEDULED * (pp - 1.0)


def layers_of(scenario: Scenario, layout: Layout) -> list[list[Operation]]:
    """The operations of one layer of each kind."""
    setting = scenario.setting(layout)
    kinds, dealing = scenario.model.kinds, scenario.dealing
    return [list(dealt(kind.operations(setting), kind.mixer, dealing, layout.tp)) for kind in kinds]


def forward(scenario: Scenario, stages: Stages, step: Step) -> PassTime:
    """Time the passes in ``step`` (leading axis) for all plans at once."""
    setting = scenario.setting(step.layout)
    engine, overlap = scenario.engine, scenario.engine.comm_overlap
    layers = layers_of(scenario, step.layout)
    times = Counter(id(op) for operations in layers for op in operations)
    clock = Clock(step, scenario, frozenset(op for op, count in times.items() if count > 1))
    tallies = [tally(operations, clock) for operations in layers]
    per_layer = [t.seconds(overlap) + engine.layer_overhead_s for t in tallies]
    first = tally(scenario.model.embedding(setting), clock)
    last = tally(scenario.model.head(setting), clock)
    first_s, last_s = first.seconds(overlap), last.seconds(overlap)
    # The scheduler and sampler run once a pass, on the host, before the next one can start.
    host = host_seconds(engine, step)
    latency = first_s + last_s
    flops, moved = first.flops + last.flops, first.bytes + last.bytes
    for count, seconds, t in zip(stages.totals, per_layer, tallies, strict=True):
        latency = latency + count * seconds
        flops = flops + count * t.flops
        moved = moved + count * t.bytes
    # The same sums whatever the other plans of the call, so that chunks do not change a bit.
    handover = handover_seconds(scenario, step)
    launched = eager_seconds(scenario, stages, step)
    slowest = np.maximum(stages.largest(per_layer, first_s, last_s), launched / step.layout.pp) + host + handover
    latency = np.maximum(latency, launched)
    return PassTime(latency + host + (step.layout.pp - 1.0) * handover, slowest, flops, moved)
