"""The limits that trtllm-bench tunes, and what notes say of the number of requests."""

from __future__ import annotations

import dataclasses

import pytest

from costmodel.lengths import FixedLengths
from search.evidence.measured.cases import case_of
from search.evidence.measured.rows import Measurement, _requests
from search.evidence.measured.trtllm_bench import settings


def row(**changes: object) -> Measurement:
    base = Measurement(
        id="r", model="Llama-3.1-8B", system="H100", engine="TensorRT-LLM", version="1.0", precision="fp8",
        kv_precision="", regime="max_throughput_offline", isl=1000, osl=1000, nominal=(1000, 1000), drawn=False,
        concurrency=None, gpus=1, tp=1, pp=1, attn_dp=None, ep=None, moe_tp=None, ttft_s=None, tpot_s=None,
        tokens_per_s_per_gpu=1.0,
    )  # fmt: skip
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def test_the_cache_sets_the_batch_and_the_lengths_the_budget():
    scenario = case_of(row()).scenario
    # 8.03e9 weights of a byte; 32 layers x 2 x 8 heads x 128 x 1 byte = 65,536 bytes a token, 2,000 tokens a request.
    room = 0.95 * (scenario.accelerator.memory_bytes - 8.03e9) / 65_536 / 2000
    most, budget = settings(scenario, "fp8", 1, 1)
    assert most == pytest.approx(room, rel=0.25) and most >= room and most % 128 == 0
    assert budget == 2048  # twice the room is less than the smallest budget
    small = dataclasses.replace(scenario, lengths=FixedLengths(128, 128))
    most, budget = settings(small, "fp8", 1, 1)
    assert (most, budget) == (4096, 8192)  # the cap on the batch, and prompts come as fast as answers end
    long = dataclasses.replace(scenario, lengths=FixedLengths(20_000, 2_000))
    most, budget = settings(long, "fp8", 1, 1)
    assert most == 64 and budget == 20_064  # no chunks: the longest prompt fits in beside a full batch
    assert settings(scenario, "fp8", 1, 4)[0] <= settings(scenario, "fp8", 1, 1)[0]


def test_what_the_fraction_is_of():
    assert case_of(row()).scenario.limits.memory_of == "free"
    assert case_of(row(version="post-1.0 (1.1/1.2 era)")).scenario.limits.memory_of == "free"
    assert case_of(row(version="mid-2024", printed=True)).scenario.limits.memory_of == "all"
    assert case_of(row(version="mid-2024", printed=False)).scenario.limits.memory_of == "free"
    assert case_of(row(engine="vLLM", version="0.11.0")).scenario.limits.memory_of == "all"
    assert case_of(row(engine="SGLang", version="0.5.9")).scenario.limits.memory_of == "static"


def test_windows_are_kept_whole_by_tensorrt_llm_alone():
    kept = {
        engine: [
            layer.mixer.keeps_all for layer in case_of(row(model="gpt-oss-20b", engine=engine)).scenario.model.kinds
        ]
        for engine in ("TensorRT-LLM", "vLLM")
    }
    assert all(kept["TensorRT-LLM"]) and not any(kept["vLLM"])


@pytest.mark.parametrize(
    ("notes", "requests"),
    [
        ("unit as printed; 3000 fixed-length requests all queued at once", 3000),
        ("dataset=random; n_requests=80.0; duration_s=39.06", 80),
        ("num prompts 1500, max-num-seqs 1500", 1500),
        ("nothing of the kind", None),
    ],
)
def test_requests_are_read_from_the_notes(notes, requests):
    assert _requests(notes) == requests
