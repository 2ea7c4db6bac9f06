"""What ``trtllm-bench`` sets where its user does not: the largest batch and the token budget, from the data set.

Facts of tensorrt_llm/bench/build/tuning.py (``calc_engine_setting``, ``finetune_setting``) and
tensorrt_llm/bench/benchmark/utils/general.py (``get_settings``), TensorRT-LLM 0.17 to 1.2: requests that the cache of
all accelerators could hold, at most 4096, over the stages; a budget of so many tokens that prompts come as fast as
answers end, at most 32768; both rounded up; without chunked prefill (its default) the longest prompt beside a full
batch fits in.
"""

from __future__ import annotations

import math

import numpy as np

from costmodel.architecture import Setting
from costmodel.parameters import parameters
from costmodel.scenario import Scenario

BYTES = {"fp8": 1.0, "fp8_block": 1.0, "nvfp4": 0.5}  # an element of the weights, as the tool counts; else 2
# "--kv_cache_free_gpu_mem_fraction 0.95 in many cases" (TensorRT-LLM 1.0, docs/source/performance/perf-overview.md)
FREE_FRACTION = 0.95
GIB = 2.0**30


def settings(scenario: Scenario, weights: str | None, width: int, stages: int) -> tuple[int, int]:
    """``max_batch_size`` and ``max_num_tokens`` for ``width`` GPUs a stage. ``weights``: the format."""
    model, lengths = scenario.model, scenario.lengths
    setting = Setting.single(model, lengths)
    counts = [model.sequence.count(i) for i in range(len(model.kinds))]
    elements = sum(
        n * float(np.sum(kind.mixer.cache_bytes(setting, 1.0))) / setting.kv_bytes
        for n, kind in zip(counts, model.kinds, strict=True)
        if kind.mixer is not None
    )
    cached = elements * model.kv_format.bytes_per_element * lengths.total
    engine = parameters(model) * BYTES.get(weights or "", 2.0)
    total = scenario.accelerator.memory_bytes * width * stages
    room = max(total - engine, 0.0) * FREE_FRACTION / max(cached, 1.0)
    batch = min(room, 4096.0) / stages
    tokens = min(batch * (1.0 + lengths.isl / lengths.osl), 32768.0)
    largest = max(64, _up(batch, 32)) if batch < 256 else _up(batch, 128 if batch < 1024 else 256)
    budget = max(2048, _up(tokens, 256)) if tokens < 4096 else _up(tokens, 512 if tokens < 8192 else 1024)
    return largest, max(budget, lengths.isl + largest)


def _up(value: float, step: int) -> int:
    return step * math.ceil(value / step)
