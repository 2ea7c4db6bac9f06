"""DeepSeek-V4's cache in vLLM's pages, by what public start logs printed (docs/memory.md)."""

from __future__ import annotations

from typing import Any

import pytest
from worked_case import worked_case

from costmodel.architecture import Architecture, Layer, LayerRun
from costmodel.blocks import CompressedAttention, CompressedIndexer, DenseFfn
from costmodel.engine import Engine
from costmodel.memory import WorkingMemory
from costmodel.memory.cache import request
from costmodel.memory.compressed import Paged, paged
from costmodel.plans import Plans, concatenate
from costmodel.stages import Stages

GIB = 2**30
V4: dict[str, Any] = {
    "heads": 64, "head_dim": 512, "rope_dim": 64, "q_rank": 1024, "window": 128, "out_groups": 8, "out_rank": 1024,
}  # fmt: skip
SPARSE = CompressedAttention(**V4, rate=4, indexer=CompressedIndexer(heads=64, dim=128, top_k=512))
HEAVY, LOCAL = CompressedAttention(**V4, rate=128), CompressedAttention(**V4, rate=0)
FLASH = [(LOCAL, 2), (SPARSE, 21), (HEAVY, 20)]


def of_flash(tokens: float, pending: float, drafters: int = 0, packed: bool = True) -> Paged:
    return paged(FLASH, tokens, pending, drafters, packed)


def needed(found: Paged) -> float:
    return found.blocks * found.block_bytes / GIB


def test_pages_by_hand() -> None:
    # 37440 = 64 * 584 rounded up to 576; 8640 = 64 * 132; 1728 = 2 * 584: 22 places of each, or the entries packed.
    assert of_flash(256.0, 0.0, packed=False).block_bytes == 22 * (37440 + 8640 + 1728)
    assert of_flash(256.0, 0.0).block_bytes == 21 * (37440 + 8640) + 20 * 1728
    # One page of entries, two groups of windows of two pages and one more, states of two and one and of 16 and one.
    assert of_flash(256.0, 0.0).blocks == 1 + 2 * (2 + 1) + (2 + 1) + (16 + 1)
    assert of_flash(257.0, 0.0).blocks == of_flash(256.0, 0.0).blocks + 1


@pytest.mark.parametrize(
    ("tokens", "pending", "drafters", "packed", "gib"),
    [
        (30000, 16384, 0, False, 6.66),  # 0.22 on GH200
        (262144, 2048, 3, False, 1.93),  # a fork of July 2026 with DSpark on RTX 4090
        (1048320, 16384, 0, True, 10.06),  # September 2026 on GB10
        (32768, 4096, 0, True, 1.70),  # 0.28.1 on RTX 4090: "about 1.7"
    ],
)
def test_the_longest_request_is_what_vllm_says_it_needs(
    tokens: float, pending: float, drafters: int, packed: bool, gib: float
) -> None:
    assert needed(of_flash(tokens, pending, drafters, packed)) == pytest.approx(gib, abs=0.006)


def test_the_longest_request_that_fits_is_what_vllm_estimates() -> None:
    """5.44 GiB: 13,528 tokens on GH200, as printed to two digits."""
    assert needed(of_flash(13528.0, 16384.0, packed=False)) == pytest.approx(5.44, abs=0.006)


def test_plans_of_one_depth_are_alike_and_stages_hold_less() -> None:
    runs = (LayerRun(Layer(LOCAL, DenseFfn(1024)), 2),)
    runs += (LayerRun(Layer(SPARSE, DenseFfn(1024)), 1), LayerRun(Layer(HEAVY, DenseFfn(1024)), 1)) * 20
    runs += (LayerRun(Layer(SPARSE, DenseFfn(1024)), 1),)
    model = Architecture("flash", 4096, 129280, runs, False)
    memory = WorkingMemory(paging="unified", passes_in_flight=2)
    case = worked_case(model=model, engine=Engine("vllm", memory=memory))
    plans = concatenate([Plans.of(gpus=pp, dp=1, pp=pp, tp=1, ep=1, batch=1) for pp in (1, 2, 1)])
    one = request(case, case.setting(case.layout(plans)), Stages.of(model, plans.pp), 30000.0, 8192.0)
    assert one.bytes[0] == one.bytes[2] == of_flash(30000.0, 16384.0).bytes
    assert one.bytes[1] < one.bytes[0]


def test_layers_without_entries_have_windows_alone() -> None:
    assert paged([(LOCAL, 4)], 1000.0, 0.0, 0, True) == Paged(4 * 37440.0, 3.0)
    assert paged([(LOCAL, 0)], 1000.0, 0.0, 0, True).blocks == 0
