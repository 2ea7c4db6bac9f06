"""The largest inputs that commands are meant for: seconds and peak memory (``pytest --benchmark-only``; some ten
minutes). Memory is bounded here; no speed is asserted: machines differ."""

from __future__ import annotations

import csv
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROWS = 100_000
JOBS = 200
REQUESTS = 1_000_000
SMALL = (
    "model=qwen3_8b", "hardware=h100_sxm", "engine=vllm", "strategy=exact", "report=none", "sensitivity=none",
    "space.gpus=8", "space.dp=[1,8]", "space.tp=[1,8]", "space.batch=[16,256]",
)  # fmt: skip


def peak_mb(words: list[str]) -> float:
    """Of one command, which must end well."""
    program = [sys.executable, "-m", "search", *words]
    with subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, said
    return used.ru_maxrss / 1024.0


def measure(benchmark: Any, words: list[str], most_mb: float) -> None:
    peak = benchmark.pedantic(peak_mb, (words,), rounds=1)
    benchmark.extra_info["peak_mb"] = round(peak)
    assert peak < most_mb


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("big") / "run"
    peak_mb([*SMALL, f"hydra.run.dir={folder}"])
    return folder


def test_validate_rows(benchmark: Any, tmp_path: Path) -> None:
    """No two alike, of 2,000 pairs of lengths."""
    head = (
        "row,origin,model,system,engine,engine_version,precision,mode,gpus,tp,pp,attn_dp,moe_tp,ep,isl,osl,"
        "concurrency,ttft_ms,tpot_ms"
    )
    same = ("own", "Qwen/Qwen3-8B", "h100_sxm", "vllm", "0.11.0", "bf16", "agg", 1, 1, 1, 1, 1, 1)
    loads = itertools.product(range(100, 2100, 40), range(64, 704, 16), range(1, 51))
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head.split(","))
        writer.writerows((i, *same, *load, 50 + load[2], 9.5) for i, load in enumerate(loads))
    measure(benchmark, ["validate", str(tmp_path / "rows.csv"), "--out", str(tmp_path / "out.csv")], 1000)
    assert (tmp_path / "out.csv").read_text().count("\n") == ROWS + 1


def test_sweep(benchmark: Any, tmp_path: Path) -> None:
    lengths = f"workload.isl=range(100,{100 + 100 * JOBS},100)"
    measure(benchmark, ["-m", *SMALL, lengths, f"hydra.sweep.dir={tmp_path / 's'}"], 300)
    assert (tmp_path / "s" / "sweep.csv").read_text().count("\n") == JOBS + 1


def test_simulate_trace(benchmark: Any, run: Path, tmp_path: Path) -> None:
    """At 40 requests/s on eight replicas, seven hours."""
    rng = np.random.default_rng(0)
    times = (1000 * np.cumsum(rng.exponential(1 / 40, REQUESTS))).astype(int).tolist()
    prompts, answers = (rng.lognormal(mean, 0.7, REQUESTS).astype(int) + 1 for mean in (6.5, 5.0))
    with (tmp_path / "trace.jsonl").open("w") as file:
        for at, prompt, answer in zip(times, prompts.tolist(), answers.tolist(), strict=True):
            file.write(f'{{"timestamp": {at}, "input_length": {prompt}, "output_length": {answer}}}\n')
    trace = ("workload.lengths.kind=trace", "workload.arrivals.kind=replay")
    words = [*trace, f"workload.lengths.trace={tmp_path / 'trace.jsonl'}", "--requests", str(REQUESTS)]
    measure(benchmark, ["simulate", str(run), "--plan", "gpus=8,tp=1,dp=8,batch=256", *words], 1000)


def test_config_json(benchmark: Any, tmp_path: Path) -> None:
    """Just below the limit: a mixed checkpoint that names every expert of every layer, and as many modules again."""
    parts = itertools.product(range(48), range(128), ("gate_proj", "up_proj", "down_proj"))
    layers = {f"model.layers.{i}.mlp.experts.{e}.{part}": {"quant_algo": "FP8"} for i, e, part in parts}
    config = {
        "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "hidden_size": 2048, "head_dim": 128,
        "intermediate_size": 6144, "moe_intermediate_size": 768, "num_experts": 128, "num_experts_per_tok": 8,
        "norm_topk_prob": True, "decoder_sparse_step": 1, "mlp_only_layers": [], "num_hidden_layers": 48,
        "num_attention_heads": 32, "num_key_value_heads": 4, "vocab_size": 151936, "max_position_embeddings": 40960,
        "tie_word_embeddings": False, "torch_dtype": "bfloat16",
        "quantization_config": {
            "quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "kv_cache_quant_algo": "FP8",
            "quantized_layers": layers, "exclude_modules": [f"model.other.{i:075}" for i in range(160_000)],
        },
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert 15e6 < (tmp_path / "config.json").stat().st_size < 16e6
    measure(benchmark, ["inspect", str(tmp_path / "config.json")], 400)
