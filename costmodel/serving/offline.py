"""Batches without a closed loop: everything is there at the start.

**Static batch.** A replica's requests are prefilled in passes of ``max_batched_tokens`` new tokens an attention group,
then all of them decode together until all are done. Where the cache (or ``most_sequences``) admits fewer, the batch is
served in equal rounds, one after the other: requests of equal length finish together. One round lasts

    request overhead + (passes - 1) slowest stage + latency of a prefill pass + (osl - 1) decode steps.

**Queue.** Requests wait for every place that becomes free, so the number in flight is what the cache admits, bounded by
the engine's largest batch. Without end, the steady closed loop (``serving.closed_loop``) gives the rate; of a known
number of requests the passes are counted one by one (``costmodel.serving.backlog``).

A program that calls the engine itself gets its answers when they are complete. What the host does for each sequence is
then done while the accelerator computes the next pass (the overlap schedulers of TensorRT-LLM's PyTorch engine,
SGLang and vLLM), so a backlog's pass takes the longer of the two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from costmodel.evaluate import evaluate
from costmodel.forward import forward, scheduled
from costmodel.memory import memory
from costmodel.plans import Array, Plans
from costmodel.scenario import Scenario
from costmodel.serving.backlog import passes
from costmodel.stages import Stages
from costmodel.step import Step

DECODE, PREFILL = 0, 1  # the passes of a static batch, on the leading axis


@dataclass(frozen=True)
class Offline:
    """Arrays of shape (n,). ``prefill_s`` from the start of a round to the first token of its last request;
    ``ttft_s`` and ``last_ttft_s`` mean and last over all requests, rounds waited for included; ``step_s`` a decode
    step that nothing disturbs; ``tpot_s`` the mean over a request's tokens after the first when requests that were
    prefilled early decode while the others are prefilled; ``output_tokens_per_s`` of the whole deployment;
    ``admitted`` sequences of a replica at once, ``fits`` False where the cache holds not even one of an attention
    group (it is timed as if it did)."""

    prefill_s: Array
    ttft_s: Array
    last_ttft_s: Array
    step_s: Array
    tpot_s: Array
    output_tokens_per_s: Array
    admitted: Array
    fits: Any


def static_batch(scenario: Scenario, plans: Plans, most_sequences: float = math.inf) -> Offline:
    """``plans.batch`` requests of each replica at once; ``most_sequences`` of an attention group run together."""
    layout, stages = scenario.layout(plans), Stages.of(scenario.model, plans.pp)
    lengths, engine = scenario.lengths, scenario.engine
    wanted = np.ceil(plans.batch / layout.attn_dp)
    seats = memory(scenario, layout, stages, np.minimum(wanted, most_sequences)).seats
    room = np.minimum(np.where(seats >= 1.0, seats, wanted), most_sequences)
    rounds = np.ceil(wanted / room)
    sequences = np.ceil(wanted / rounds)  # of one attention group in one round
    everywhere = np.minimum(plans.batch / rounds, sequences * layout.attn_dp)  # of one replica

    micro = np.minimum(layout.pp, sequences)
    passes = np.maximum(np.ceil(sequences * lengths.new / float(engine.max_batched_tokens)), 1.0)
    zero = np.zeros_like(sequences)
    step = Step(
        decodes=np.stack([sequences / micro, zero]),
        prompts=np.stack([zero, sequences / passes]),
        stage_decodes=np.stack([everywhere / micro, zero]),
        stage_prompts=np.stack([zero, everywhere / passes]),
        samples=np.stack([sequences / micro, sequences / passes]),
        lengths=lengths,
        layout=layout,
    )
    time = forward(scenario, stages, step)
    pass_s = time.slowest_stage_s[PREFILL]
    first_s = time.latency_s[PREFILL] + engine.request_s(lengths.isl)
    prefill_s = (passes - 1.0) * pass_s + first_s
    step_s = np.maximum(time.latency_s[DECODE], micro * time.slowest_stage_s[DECODE])
    round_s = prefill_s + lengths.decodes * step_s
    disturbed = _met(passes - 1.0, float(lengths.decodes)) * pass_s / max(lengths.decodes, 1)
    return Offline(
        prefill_s=prefill_s,
        ttft_s=(rounds - 1.0) / 2.0 * round_s + (passes - 1.0) / 2.0 * pass_s + first_s,
        last_ttft_s=(rounds - 1.0) * round_s + prefill_s,
        step_s=step_s,
        tpot_s=step_s + disturbed,
        output_tokens_per_s=plans.dp * plans.batch * lengths.osl / (rounds * round_s),
        admitted=sequences * layout.attn_dp,
        fits=seats >= 1.0,
    )


def _met(later: Any, decodes: float) -> Any:
    """Mean of min(u, decodes) for u uniform in [0, later]: prefill passes of others that a request meets while it
    decodes."""
    return np.where(later <= decodes, later / 2.0, decodes - decodes**2 / (2.0 * np.maximum(later, 1.0)))


def max_throughput(scenario: Scenario, plans: Plans, most_sequences: float, requests: float = math.inf) -> Offline:
    """A queue of ``requests`` before the whole deployment; ``plans.batch`` is not read. ``most_sequences`` of an
    attention group is the engine's largest batch. The times to first token are those inside the engine, the queue not
    counted."""
    layout, stages = scenario.layout(plans), Stages.of(scenario.model, plans.pp)
    # The logits of a full batch are the activations that an engine sets aside.
    seats = memory(scenario, layout, stages, np.full(len(plans), float(most_sequences))).seats
    group = np.maximum(np.minimum(seats, most_sequences), 1.0)
    batch = (group * layout.attn_dp).astype(np.int64)
    scores = evaluate(replace(scenario, waves=math.inf), replace(plans, batch=batch))
    speed = scores.output_tokens_per_s
    if math.isfinite(requests):
        whole = [
            _backlog_s(scenario, plans.take(slice(i, i + 1)), float(group[i]), requests) for i in range(len(plans))
        ]
        speed = requests * scenario.lengths.osl / np.array(whole)
    return Offline(
        prefill_s=scores.burst_ttft_s,
        ttft_s=scores.ttft_s,
        last_ttft_s=scores.burst_ttft_s,
        step_s=scores.tpot_s,
        tpot_s=scores.tpot_s,
        output_tokens_per_s=speed,
        admitted=batch.astype(float),
        fits=seats >= 1.0,
    )


def _backlog_s(scenario: Scenario, plan: Plans, seats: float, requests: float) -> float:
    """Seconds until a backlog of ``requests`` is served by one plan whose attention groups have ``seats``. Groups and
    the micro-batches of a pipeline share it equally."""
    layout, stages = scenario.layout(plan), Stages.of(scenario.model, plan.pp)
    lengths, engine = scenario.lengths, scenario.engine
    groups, replicas, depth = (float(x[0]) for x in (layout.attn_dp, plan.dp, layout.pp))
    share = requests / replicas / groups
    micro = min(depth, max(share, 1.0), seats)
    found = passes(share / micro, seats / micro, float(engine.max_batched_tokens), lengths.new, lengths.decodes)
    decodes, prompts = found.decodes[:, None], found.prompts[:, None]
    step = Step(decodes, prompts, decodes * groups, prompts * groups, decodes + prompts, lengths, layout)
    time = forward(replace(scenario, engine=replace(engine, sequence_overhead_s=0.0)), stages, step)
    host = engine.sequence_overhead_s * step.samples * micro * scheduled(micro)
    device = np.maximum(time.latency_s, micro * time.slowest_stage_s)
    # TensorRT-LLM's loop for pipelines does not overlap (tensorrt_llm/_torch/pyexecutor/py_executor.py, 1.0,
    # _executor_loop_pp): the host's work for a micro-batch stands between two passes.
    seconds = device + host if depth > 1 else np.maximum(device, host)
    return float(found.count @ seconds[:, 0])
