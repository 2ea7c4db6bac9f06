"""The physical limit: the same work with perfect overlap, no communication and no overhead.

Work is counted once, on one imagined accelerator with the memory and speed of all of a replica's: FLOPs at the law's
ceiling for each dtype, weights and cache at its bandwidth ceiling, whichever takes longer in sum. Weights are read
once a decode step (prefill rides along), activations not at all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from costmodel.layout import Layout, Routing
from costmodel.operations import Collective
from costmodel.plans import Plans, distinct
from costmodel.scenario import Scenario
from costmodel.step import Step


@dataclass(frozen=True)
class Bounds:
    """No plan with these GPUs, replicas and batch can do better. ``round_s``: a replica's requests from the first to
    the last token, on one of its GPUs (``most_tokens_per_s``). ``compute_tokens_per_s`` is the limit of computing
    alone, which needs no batch."""

    ttft_s: Any
    burst_ttft_s: Any
    tpot_s: Any
    round_s: Any
    compute_tokens_per_s: Any


@dataclass(frozen=True)
class _Seconds:
    """One accelerator's seconds for a pass: computing, reading."""

    compute: Any
    memory: Any


def _ideal(scenario: Scenario, decodes: Any, prompts: Any) -> _Seconds:
    layout = replace(Layout.single(), routing=Routing(skew=scenario.engine.expert_skew))
    setting = scenario.setting(layout)
    verified = 1.0 + scenario.engine.drafts
    samples = decodes * verified + prompts
    step = Step(decodes, prompts, decodes, prompts, samples, scenario.lengths, layout, verified)
    model = scenario.model
    counts = np.bincount(model.sequence)
    parts = [(1.0, model.embedding(setting)), (1.0, model.head(setting))]
    parts += [(float(n), kind.operations(setting)) for n, kind in zip(counts, model.kinds, strict=True)]
    compute: Any = 0.0
    memory: Any = 0.0
    for count, operations in parts:
        for op in operations:
            if isinstance(op, Collective):
                continue
            work = op.work(step)
            flops_per_s, bytes_per_s = scenario.law.ceilings(scenario.accelerator, work.dtype)
            compute = compute + count * work.flops / flops_per_s
            memory = memory + count * (work.weight_bytes + work.kv_bytes) / bytes_per_s
    return _Seconds(compute, memory)


def _passes(scenario: Scenario, batch: Any, decoding: Any) -> tuple[_Seconds, ...]:
    """A step and a prefill of ``batch``, a prompt, a token, and a step of ``decoding``. Plans share few batches: each
    is worked out once."""
    shape, decoding = batch.shape, decoding.ravel()
    batches, which = distinct(batch.ravel())
    zeros, n = np.zeros_like(batches), len(batches)
    decodes = np.concatenate([batches, zeros, [0.0, 1.0], decoding])
    prompts = np.concatenate([zeros, batches, [1.0, 0.0], np.zeros_like(decoding)])
    ideal = _ideal(scenario, decodes, prompts)

    def at(place: Any) -> _Seconds:
        return _Seconds(ideal.compute[place], ideal.memory[place])

    which = which.reshape(shape)
    return at(which), at(n + which), at(2 * n), at(2 * n + 1), at(2 * n + 2 + np.arange(which.size).reshape(shape))


def bounds(scenario: Scenario, plans: Plans, decoding: Any = None) -> Bounds:
    """Limits for each plan; they depend on its ``gpus``, ``dp`` and ``batch`` alone, but for the TPOT: where requests
    wait for prefill or for room in the cache, only ``decoding`` of a replica's batch (``None``: all) decode at a time.
    """
    lengths = scenario.lengths
    gpus = plans.gpus / plans.dp  # of one replica
    batch = plans.batch.astype(float)
    decode, burst, prompt, token, step = _passes(scenario, batch, batch if decoding is None else decoding)

    gained = scenario.engine.tokens_a_step  # what drafts cost is not counted, what checking them costs is
    turns = lengths.decodes / gained
    cycle_compute = batch * prompt.compute + turns * decode.compute
    cycle_memory = turns * decode.memory if lengths.decodes else burst.memory
    answer = float(lengths.osl)
    return Bounds(
        ttft_s=np.maximum(prompt.compute, prompt.memory) / gpus,
        burst_ttft_s=np.maximum(burst.compute, burst.memory) / gpus,
        tpot_s=np.maximum(step.compute, step.memory) / gpus / gained,
        round_s=np.maximum(cycle_compute, cycle_memory),
        compute_tokens_per_s=plans.gpus * answer / (prompt.compute + turns * token.compute),
    )


def most_tokens_per_s(scenario: Scenario, plans: Plans, round_s: Any) -> Any:
    """Output tokens a second at most, of plans with ``Bounds.round_s``."""
    return plans.dp * plans.batch.astype(float) * float(scenario.lengths.osl) * (plans.gpus / plans.dp) / round_s
