"""An instance that decodes and does nothing else: no step of it holds a prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.drafts.drafting import drafting_seconds
from costmodel.forward import forward
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.serving.latency import drafted_s
from costmodel.serving.streaming import streaming_wait
from costmodel.stages import Stages
from costmodel.step import Step

# Steps that a request whose cache has arrived runs before it sends its first token. vLLM's decode instance computes the
# last token of the prompt again and so makes the first of the answer (vllm/v1/core/sched/scheduler.py
# _update_waiting_for_remote_kv, 0.33); SGLang's and TensorRT-LLM's send the one that the prefill instance made
# (sglang/srt/disaggregation/decode.py process_batch_result_prebuilt, 0.5.23;
# tensorrt_llm/_torch/pyexecutor/py_executor.py _handle_first_token_response, 1.2).
FIRST_STEPS = {"vllm": 1.0, "sglang": 0.0, "trtllm": 0.0}

# Engines whose attention groups each have a queue of their own, and how a request gets into one. vLLM's front end gives
# it to the engine core with the fewest in flight (vllm/v1/engine/core_client.py DPLBAsyncMPClient, 0.33), SGLang's
# controller to the next in turn (sglang/srt/managers/data_parallel_controller.py round_robin_scheduler, what "auto" is
# for --disaggregation-mode decode: srt/arg_groups/serving_hook.py, 0.5.23). TensorRT-LLM's executor has one queue, from
# which whoever has a free seat takes (tensorrt_llm/_torch/pyexecutor/executor_request_queue.py
# _fetch_new_requests_attention_dp, 1.2).
QUEUES = {"vllm": "least_loaded", "sglang": "round_robin"}


@dataclass(frozen=True)
class Decode:
    """One instance of each plan, arrays of shape (n,). ``step_s`` of the ``decoding`` sequences; ``tpot_s`` a token of
    them; ``join_s`` from the cache's arrival to the first token; ``stay_s`` from there to the last one; ``rate_per_s``
    requests a second that so many sequences come to."""

    decoding: Any
    step_s: Any
    tpot_s: Any
    join_s: Any
    stay_s: Any

    @property
    def rate_per_s(self) -> Any:
        return self.decoding / self.stay_s


def decode(scenario: Scenario, plans: Plans, decoding: Any) -> Decode:
    """``plans`` of one instance each (``dp`` 1; ``batch`` is not read) with ``decoding`` sequences in each, shape (n,),
    whole or not: means of a varying number."""
    layout, stages = scenario.layout(plans), Stages.of(scenario.model, plans.pp)
    engine, lengths = scenario.engine, scenario.lengths
    group = np.maximum(decoding / layout.attn_dp, 1.0)
    groups = np.minimum(layout.attn_dp, np.maximum(decoding / group, 1.0))
    micro = np.minimum(layout.pp, group)
    here, verified = group / micro, 1.0 + engine.drafts
    zero = np.zeros_like(here)
    held = Step(here, zero, here * groups, zero, here * verified, lengths, layout, verified)
    time = forward(scenario, stages, held)
    step = np.maximum(time.latency_s, micro * time.slowest_stage_s)
    step = step + drafted_s(scenario, time.latency_s, drafting_seconds(scenario, held))
    token = step / engine.tokens_a_step
    others = np.minimum(np.maximum(decoding - 1.0, 0.0), 1.0)
    join = step * (others * (0.5 + engine.steps_ahead) + FIRST_STEPS.get(engine.name, 0.0))
    join = join + engine.request_overhead_s
    before, after = streaming_wait(scenario, decoding, join + lengths.decodes * token)
    tpot = token + after / max(lengths.decodes, 1)
    join = join + before
    return Decode(decoding, step, tpot, join, join + lengths.decodes * tpot)
