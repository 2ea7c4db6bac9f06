"""All requests of a replica arrive at once and are prefilled in passes of M tokens, nothing decoded between.

Attention groups run their passes together and each fills its own: requests are dealt out evenly (TensorRT-LLM at most
``expected_num_active_requests``, the ceiling over the ranks, in tensorrt_llm/_torch/pyexecutor/scheduler/adp_router.py;
vLLM to the engine with the fewest, SGLang in turn), a group that is through runs idle passes (``execute_dummy_batch``
in vllm/v1/engine/core.py, ``_pad_attention_dp_dummy_request`` in TensorRT-LLM's py_executor.py), and passes of prompts
beyond the captured graphs are not padded to the fullest group (``DpPaddingMode.SUM_LEN`` in
sglang/srt/layers/dp_attention.py, ``should_dp_pad`` in vllm/v1/worker/dp_utils.py).

A client that sends a finite number of requests begins so: in the first of its waves those that are through decode
beside the others' prefill.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.layout import Layout
from costmodel.lengths import FixedLengths
from costmodel.scenario import Scenario


@dataclass(frozen=True)
class Burst:
    """Arrays of shape (n,): ``sequences`` of the fullest attention group, prefilled in ``passes``; a prompt that passes
    the end of one goes on in the next. The first ``full`` of them are alike: each group has ``prompts``, as many as the
    budget takes. In ``between`` more only the fullest have, those with one prompt fewer end; the last holds the
    ``rest`` unless it is full. ``stage_prompts``, ``stage_between`` (their mean) and ``stage_rest`` are of all
    groups."""

    sequences: Any
    passes: Any
    full: Any
    between: Any
    prompts: Any
    rest: Any
    stage_prompts: Any
    stage_between: Any
    stage_rest: Any

    @property
    def last(self) -> Any:
        """1 where the last pass is not full."""
        return self.passes - self.full - self.between

    def seconds(self, latency: Any, full: Any, between: Any, rest: Any) -> Any:
        """Until the last pass has left the last stage: the first takes ``latency`` through all stages, the others
        follow it at so many seconds in the slowest stage."""
        return latency + (self.full - 1.0) * full + self.between * between + self.last * rest


@dataclass(frozen=True)
class FirstWave:
    """Arrays of shape (n,): ``passes`` with ``prompts`` in each and ``beside`` decodes beside them."""

    passes: Any
    prompts: Any
    beside: Any


def burst_of(lengths: FixedLengths, layout: Layout, batch: Any, budget: float) -> Burst:
    """``batch`` sequences of a replica at once; ``budget`` new tokens of a group in one pass."""
    groups, share = layout.attn_dp, lengths.new / budget  # of a pass that a prompt fills
    sequences, fewest = np.ceil(batch / groups), np.floor(batch / groups)
    passes = np.maximum(np.ceil(sequences * share), 1.0)
    prompts = np.minimum(1.0 / share, sequences)
    less = np.minimum(prompts, fewest)  # in the first pass of a group that has one prompt fewer, or none at all
    stage = groups * less + (batch - groups * fewest) * (prompts - less)
    full = np.maximum(np.floor(np.where(fewest > 0, fewest, sequences) * share), 1.0)
    left = passes - full
    between = np.maximum(left - 1.0, 0.0)
    rest = np.where(left > 0, np.maximum(sequences - (passes - 1.0) * prompts, 0.0), prompts)  # 0: rounding
    behind = np.maximum(batch - full * stage, 0.0)  # prompts of all groups after the full passes
    stage_rest = np.where(left > 0, np.where(between > 0, (batch - groups * fewest) * rest, behind), stage)
    stage_between = np.where(between > 0, (behind - stage_rest) / np.maximum(between, 1.0), stage)
    return Burst(sequences, passes, full, between, prompts, rest, stage, stage_between, stage_rest)


def first_wave(scenario: Scenario, burst: Burst, admitted: Any, budget: float) -> FirstWave:
    """The burst with those of it beside that are through decode already: none in its first pass, nearly all in its
    last."""
    beside = np.minimum(burst.sequences, admitted) * (burst.passes - 1.0) / burst.passes / 2.0
    if scenario.engine.prefill_first:
        beside = 0.0 * beside
    left = np.maximum(budget - beside, float(scenario.engine.block_tokens))
    passes = np.maximum(burst.sequences * scenario.lengths.new / left, burst.passes)
    return FirstWave(passes, burst.sequences / passes, beside)
