"""What the engines take where a command says nothing, most of it by the accelerator's memory.

vLLM 0.33.0 ``vllm/engine/arg_utils.py`` get_batch_defaults (API server) and ``vllm/config/cache.py``; SGLang 0.5.23
``sglang/srt/arg_groups/memory_hook.py`` handle_gpu_memory_settings and ``fields/schedule.py``.
"""

from __future__ import annotations

from costmodel.hardware import Accelerator

MIB, GIB = 2**20, 2**30
VLLM_MEMORY = 0.92
TRTLLM_MEMORY = 0.9  # of what is left: KvCacheConfig.free_gpu_memory_fraction (tensorrt_llm/llmapi/llm_args.py, 1.2)
SGLANG_REQUESTS = 2048
SGLANG_PREFILL_TOKENS = 16384


def vllm_budgets(accelerator: Accelerator) -> tuple[int, int]:
    """``--max-num-batched-tokens`` and ``--max-num-seqs``."""
    if accelerator.memory_bytes >= 160 * GIB:
        return 16384, 1024
    if accelerator.memory_bytes >= 70 * GIB and "a100" not in accelerator.name.lower():
        return 8192, 1024
    return 2048, 256


def vllm_graphs(accelerator: Accelerator, sequences: int) -> int:
    """``--max-cudagraph-capture-size`` (``vllm/config/vllm.py``) beside so many ``--max-num-seqs``. It asks for compute
    capability 10: Blackwell with the memory of a data centre's."""
    return min(2 * sequences, 1024 if accelerator.blackwell and accelerator.memory_bytes >= 160 * GIB else 512)


def sglang_chunk(accelerator: Accelerator) -> int:
    """``--chunked-prefill-size``, of all attention groups together."""
    size = accelerator.memory_bytes / MIB
    for limit, chunk in ((20 * 1024, 2048), (60 * 1024, 4096), (160 * 1024, 8192)):
        if size < limit:
            return chunk
    return 16384


def sglang_graphs(accelerator: Accelerator, width: int) -> int:
    """``--cuda-graph-max-bs-decode`` of a stage of ``width`` accelerators."""
    size = accelerator.memory_bytes / MIB
    for limit, narrow, wide in ((20, 8, 8), (35, 48, 160), (60, 32, 160), (160, 256, 512)):
        if size < limit * 1024:
            return narrow if width < 4 else wide
    return 512


def sglang_static(accelerator: Accelerator, width: int, pp: int) -> float:
    """``--mem-fraction-static`` of stages of ``width`` accelerators, without what attention data parallelism and graphs
    of passes with prompts reserve more, 0.5 to 1.5 GB."""
    size = accelerator.memory_bytes / MIB
    reserved = 512 + 1.5 * sglang_chunk(accelerator) + 128 * width * pp + 2 * sglang_graphs(accelerator, width)
    return 1.0 - (max(reserved, 10 * 1024) if size > 60 * 1024 else reserved) / size
