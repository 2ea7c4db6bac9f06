"""How engines accounted for memory at a version, where logs or their source say that it was otherwise than today."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from costmodel.architecture import Architecture, Setting
from costmodel.engine import Engine
from costmodel.working_memory import GIB, WorkingMemory

# What a version's sampler keeps alive in its profile run, in tensors of the size of all fp32 logits: 9.47, 9.46, 9.46
# and 9.5 of four models with three vocabularies under 0.11, 0.15 and 0.16, until FlashInfer's and Triton's sampling
# kernels came (Qwen3-14B 5.64 GiB with 0.16, 2.23 with 0.17).
SORTING_SAMPLER = 9.47
V0_SAMPLER = 8.0  # 7.2 to 9.0 of the two V0 logs with 256 sequences
GRAPHS_COUNTED = (0, 21)  # CUDA graphs are profiled by default since (the log's own words)
SHARE_092 = (0, 20)  # vllm/config/cache.py gpu_memory_utilization: 0.92 in 0.25 and 0.30, 0.9 in 0.19
# New tokens of two passes are counted beside a window (max_in_flight_tokens): 1.93 GiB of DeepSeek-V4 follow from one
# pass in July 2026, 143,599 tokens from two in August.
IN_FLIGHT = (0, 26)
TRITON_MXFP4 = (0, 12)  # gpt-oss-120b: 65.97 GiB as loaded by 0.10 and 0.11, 64.38 by 0.14
INT4_PADDED = (0, 24)  # assumption: the release after its pull request (vLLM 45703, June 2026)
PACKED = (0, 27)  # _get_packed_kv_cache_layout in vllm/v1/core/kv_cache_utils.py
LATEST = (99, 0)


def version_of(printed: str) -> tuple[int, int] | None:
    """Major and minor number, of the first release named; ``None`` for a build without one, nor a date."""
    found = re.search(r"(?<![\d.])v?(\d{1,2})\.(\d{1,2})(?=\.|\+|-|x|\s|$)", printed)
    if found is None or (int(found[1]), int(found[2])) == (0, 1):
        return None
    return int(found[1]), int(found[2])


def vllm_memory(memory: WorkingMemory, version: tuple[int, int]) -> WorkingMemory:
    """vLLM's constants as a version had them."""
    if version < IN_FLIGHT:
        memory = replace(memory, passes_in_flight=1.0)
    if version < PACKED:
        memory = replace(memory, compressed_blocks="tuples")
    if version < INT4_PADDED:
        memory = replace(memory, int4_tile=0)
    if version < GRAPHS_COUNTED:
        memory = replace(memory, graphs_counted=0.0)
    if version < (0, 17):
        # 0.13 to 0.14 GiB of non-torch memory with one H100, 0.54 with two (logs of 0.11).
        memory = replace(
            memory, logits_copies=SORTING_SAMPLER, held_workspaces=0.0, libraries_bytes=0.14 * GIB,
            parallel_bytes=0.40 * GIB, plain_parallel_bytes=0.40 * GIB,
        )  # fmt: skip
    if version < (0, 9):
        memory = replace(memory, logits_copies=V0_SAMPLER, libraries_bytes=0.05 * GIB, parallel_bytes=0.9 * GIB)
    if version < TRITON_MXFP4:
        memory = replace(memory, mxfp4_kernels="marlin")
    if version < (0, 11):
        memory = replace(memory, paging="plain")
    return memory


def vllm_share(version: tuple[int, int]) -> float:
    """``--gpu-memory-utilization`` where none is given."""
    return 0.92 if version >= SHARE_092 else 0.9


def unlike_blocks(memory: WorkingMemory, model: Architecture, version: tuple[int, int]) -> WorkingMemory:
    """Before 0.21, blocks of layers with other heads could not be made equal, and windows were kept whole (vLLM issue
    43308: the tokens of Gemma 4 rise 9.5 times with 0.21)."""
    setting = Setting.single(model)
    sizes = {float(np.sum(k.mixer.cache_bytes(setting, 1.0))) for k in model.kinds if k.mixer is not None} - {0.0}
    return replace(memory, paging="whole") if version < (0, 21) and len(sizes) > 1 else memory


def of_version(engine: Engine, version: str, model: Architecture, usual: WorkingMemory) -> Engine:
    """The engine's memory as a ``version`` had it: of the constants, those that are still the ``usual`` ones, which
    nobody set. Other engines' constants are of one version."""
    found = version_of(version)
    if engine.name != "vllm" or found is None:
        return engine
    then = unlike_blocks(vllm_memory(usual, found), model, found)
    changed = {
        name: value
        for name, value in vars(then).items()
        if value != getattr(usual, name) and getattr(engine.memory, name) == getattr(usual, name)
    }
    return replace(engine, memory=replace(engine.memory, **changed))
