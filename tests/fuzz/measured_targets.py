"""What is spoilt: files of measurements in every shape that is read, benchmark results, traces."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import mutations
from harness import Target

SILICON: dict[str, Any] = {
    "row": "a", "origin": "own", "model": "Qwen/Qwen3-8B", "system": "h100_sxm", "engine": "vllm",
    "engine_version": "0.11.0", "precision": "bf16", "mode": "agg", "isl": 1024, "osl": 256, "concurrency": 16,
    "gpus": 1, "tp": 1, "pp": 1, "attn_dp": 1, "moe_tp": 1, "ep": 1, "ttft_ms": 50, "tpot_ms": 9.5,
}  # fmt: skip
SPLIT: dict[str, Any] = SILICON | {
    "mode": "disagg", "gpus": 2, "tp": "", "pp": "", "attn_dp": "", "moe_tp": "", "ep": "", "prefill_batch_size": 1,
    "prefill_workers": 1, "prefill_tp": 1, "prefill_pp": 1, "prefill_attn_dp": 1, "prefill_moe_tp": 1, "prefill_ep": 1,
    "decode_batch_size": 16, "decode_workers": 1, "decode_tp": 1, "decode_pp": 1, "decode_attn_dp": 1,
    "decode_moe_tp": 1, "decode_ep": 1,
}  # fmt: skip
PUBLISHED: dict[str, Any] = {
    "id": "e1", "source": "a page", "source_version": "1", "date": "2026-01-02", "hw": "H100", "n_gpus": 1,
    "engine": "vLLM", "engine_version": "0.11.0", "model": "Qwen/Qwen3-8B", "weight_dtype": "bf16", "kv_dtype": "",
    "tp": 1, "pp": 1, "ep": 1, "attn_dp": 1, "spec_decode": "none", "disagg": "no", "isl": 1024, "osl": 256,
    "concurrency": 16, "regime": "burst_all_at_once", "ttft_ms_mean": 50, "tpot_ms_mean": 9.5,
    "output_tok_s_total": 1600, "output_tok_s_per_gpu": 1600, "notes": "n_requests=64",
}  # fmt: skip
START: dict[str, Any] = {
    "id": "V1", "source": "a thread", "engine": "vLLM", "version": "0.11.0", "gpu": "H100 SXM", "gpu_mem_gib": 79.6,
    "num_gpus": 1, "model": "Qwen/Qwen3-8B", "dtype_quant": "bf16", "tp": 1, "pp": 1, "dp": 1, "ep": 1,
    "max_model_len": 8192, "mem_fraction_flag": "gpu_memory_utilization",
    "mem_fraction": 0.9, "max_num_seqs": 256, "max_num_batched_tokens": 8192,
    "weights_gib": 15.3, "available_kv_gib": 54.0, "kv_tokens": 393_000, "outcome": "starts", "note": "",
}  # fmt: skip
STAGE: dict[str, Any] = {
    "run": "a", "engine": "vllm", "engine_version": "0.15.1", "system": "h100_sxm", "model": "Qwen/Qwen3-8B", "tp": 1,
    "max_num_seqs": 128, "max_num_batched_tokens": 2048, "max_model_len": 4096, "arrivals": "constant",
    "rate_per_s": 2, "duration_s": 10, "requests": 20, "failed": 0, "shared_prefix_tokens": 100, "groups": 3,
    "users_per_group": 2, "prompt_tokens_mean": 500, "prompt_tokens_p99": 520, "output_tokens_mean": 60,
    "output_tokens_median": 64, "ttft_s_mean": 0.03, "ttft_s_p90": 0.04, "e2e_s_mean": 0.6, "e2e_s_p90": 0.7,
}  # fmt: skip
VLLM: dict[str, Any] = {
    "model_id": "Qwen/Qwen3-8B", "num_prompts": 64, "max_concurrency": 16, "completed": 64, "failed": 0,
    "total_input_tokens": 65536, "total_output_tokens": 16384, "duration": 10.0, "mean_ttft_ms": 50.0,
    "p99_ttft_ms": 90.0, "mean_tpot_ms": 9.5, "output_throughput": 1600.0, "request_rate": "inf", "burstiness": 1.0,
}  # fmt: skip
SGLANG: dict[str, Any] = {
    "completed": 500, "total_input_tokens": 500_000, "total_output_tokens": 125_000, "request_rate": 4.0,
    "max_concurrency": None, "mean_ttft_ms": 90.0, "mean_tpot_ms": 9.0, "mean_e2e_latency_ms": 2400.0,
}  # fmt: skip
TOLD = {"successful": {"mean": 9.0, "median": 8.0, "percentiles": {"p90": 9.5, "p99": 12.0}}}
GUIDELLM: dict[str, Any] = {
    "benchmarks": [
        {
            "config": {"strategy": {"type_": "concurrent", "streams": 16}},
            "metrics": {
                "request_totals": {"successful": 200, "errored": 0}, "time_to_first_token_ms": TOLD,
                "inter_token_latency_ms": TOLD, "request_latency": TOLD, "prompt_token_count": TOLD,
                "output_token_count": TOLD, "request_concurrency": TOLD, "output_tokens_per_second": TOLD,
            },
        }
    ]
}  # fmt: skip
AZURE: dict[str, Any] = {"TIMESTAMP": "2023-11-16 18:15:46.6805900", "ContextTokens": 374, "GeneratedTokens": 44}
MOONCAKE: dict[str, Any] = {"timestamp": 10, "input_length": 1024, "output_length": 52, "hash_ids": [1, 2]}


def table(row: Mapping[str, Any], key: str) -> Callable[[random.Random, Path], list[str]]:
    """``validate`` on three rows like ``row``, told apart by ``key``, one or two cells of them spoilt."""

    def arguments(rng: random.Random, folder: Path) -> list[str]:
        rows = [dict(row) | {key: f"{row[key]}{n}"} for n in range(3)]
        for _ in range(rng.randint(1, 2)):
            at = rng.randrange(3)
            rows[at] = mutations.cell(rng, rows[at])
        content = as_csv(rows)
        if rng.random() < 0.3:
            content = mutations.text(rng, content)
        (folder / "rows.csv").write_text(content, errors="replace")
        return ["validate", str(folder / "rows.csv"), "--out", str(folder / "out.csv")]

    return arguments


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def result(rng: random.Random, folder: Path) -> str:
    """A benchmark's result, spoilt."""
    path = folder / "result.json"
    path.write_text(mutations.as_json(mutations.tree(rng, rng.choice((VLLM, SGLANG, GUIDELLM)))), errors="replace")
    return str(path)


def results(rng: random.Random, folder: Path) -> list[str]:
    """Three results of vLLM, the last of them spoilt."""
    names = []
    for i, concurrency in enumerate((1, 8, 32)):
        data = VLLM | {"max_concurrency": concurrency, "mean_tpot_ms": 6.0 + concurrency / 8}
        names.append(str(folder / f"result_{i}.json"))
        Path(names[-1]).write_text(mutations.as_json(mutations.tree(rng, data) if i == 2 else data), errors="replace")
    served = ["--engine", "vllm", "--model", "qwen3_8b", "--hardware", "h100_sxm"]
    return ["calibrate", *names, *served, "--tp", "1", "--out", str(folder / "mine.yaml")]


def trace(rng: random.Random, folder: Path) -> str:
    """Ten requests as Azure or Mooncake have them, spoilt."""
    if rng.random() < 0.5:
        path, good = folder / "t.csv", as_csv([AZURE] * 10)
    else:
        path, good = (
            folder / "t.jsonl",
            "".join(f"{mutations.as_json(MOONCAKE | {'timestamp': n})}\n" for n in range(10)),
        )
    path.write_text(mutations.text(rng, good), errors="replace")
    return str(path)


MEASURED = (
    Target("validate", table(SILICON, "row"), echoes=True),
    Target("validate split", table(SPLIT, "row"), echoes=True),
    Target("validate published", table(PUBLISHED, "id"), echoes=True),
    Target("validate start logs", table(START, "id"), echoes=True),
    Target("validate stages", table(STAGE, "run"), echoes=True),
    Target("calibrate", results),
)
