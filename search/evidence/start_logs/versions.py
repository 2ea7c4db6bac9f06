"""How engines accounted for memory at a version, where logs or their source say that it was otherwise than today."""

from __future__ import annotations

import re
from dataclasses import replace

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
PACKED = (0, 27)  # _get_packed_kv_cache_layout in vllm/v1/core/kv_cache_utils.py
LATEST = (99, 0)


def version_of(printed: str) -> tuple[int, int] | None:
    """Major and minor number, of the first release named; ``None`` for a build without one, nor a date."""
    found = re.search(r"(?<![\d.])v?(\d{1,2})\.(\d{1,2})(?=\.|\+|-|x|\s|$)", printed)
    if found is None or (int(found[1]), int(found[2])) == (0, 1):
        return None
    return int(found[1]), int(found[2])


# Releases of vLLM, by the months that logs of them name: what a build was called that month.
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
RELEASED = (
    ((2025, 3), (0, 8)), ((2025, 6), (0, 9)), ((2025, 8), (0, 10)), ((2025, 10), (0, 11)), ((2026, 1), (0, 15)),
    ((2026, 4), (0, 19)), ((2026, 6), (0, 22)), ((2026, 8), (0, 26)), ((2026, 9), (0, 30)), ((2026, 11), (0, 33)),
)  # fmt: skip


def vllm_of(printed: str) -> tuple[int, int]:
    """The version of a build, by its month where it has no number; the latest where it has neither."""
    version = version_of(printed)
    dated = re.search(r"(?:\b([A-Za-z]{3})[a-z]* )?(20\d\d)", printed)
    if version is not None or dated is None or dated[1] is None or dated[1].lower() not in MONTHS:
        return version or LATEST
    month = (int(dated[2]), MONTHS.index(dated[1].lower()) + 1)
    return max((release for day, release in RELEASED if day <= month), default=(0, 8))


def vllm_memory(memory: WorkingMemory, version: tuple[int, int]) -> WorkingMemory:
    """vLLM's constants as a version had them."""
    if version < IN_FLIGHT:
        memory = replace(memory, passes_in_flight=1.0)
    if version < PACKED:
        memory = replace(memory, compressed_blocks="tuples")
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
    if version < (0, 11):
        memory = replace(memory, paging="plain")
    return memory


def vllm_share(version: tuple[int, int]) -> float:
    """``--gpu-memory-utilization`` where none is given."""
    return 0.92 if version >= SHARE_092 else 0.9
