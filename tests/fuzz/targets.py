"""What is spoilt: overrides, launch commands, config.json, runs, plans, tables of measurements, benchmark results."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import random
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import mutations
from harness import Target

from search import cli
from search.inputs.schema import Config

QUICK = ("strategy=exact", "report=none", "sensitivity=none", "space.gpus=[8]", "space.batch=[16]")
BASE = ("model=qwen3_8b", "hardware=h100_sxm", "engine=vllm", *QUICK)
COMMANDS = (
    "vllm serve meta-llama/Llama-3.1-70B-Instruct -tp 4 --max-num-seqs 64 --max-model-len 8192",
    "docker run --gpus all vllm/vllm-openai:v0.11.0 --model Qwen/Qwen3-8B -tp 2 --kv-cache-dtype fp8",
    "python -m sglang.launch_server --model-path deepseek-ai/DeepSeek-R1 --tp 8 --dp 8 --enable-dp-attention",
    "trtllm-serve deepseek-ai/DeepSeek-R1 --tp_size 8 --ep_size 8 --max_batch_size 64 --max_num_tokens 8192",
)
MODEL: dict[str, Any] = {
    "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": 1024, "intermediate_size": 3072,
    "num_hidden_layers": 4, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 32000,
    "max_position_embeddings": 40960, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
}  # fmt: skip
MEASURED: dict[str, Any] = {
    "row": "a", "model": "Qwen/Qwen3-8B", "system": "h100_sxm", "backend": "vllm", "backend_version": "0.11.0",
    "isl": 1024, "osl": 256, "tp": 1, "pp": 1, "dp": 1, "moe_tp": 1, "moe_ep": 1, "num_gpus": 1, "concurrency": 16,
    "gemm_quant": "bf16", "kv_quant": "bf16", "ttft_ms": 50, "tpot_ms": 9.5, "tokens_per_s_per_gpu": 1500,
}  # fmt: skip
RESULT: dict[str, Any] = {
    "model_id": "Qwen/Qwen3-8B", "num_prompts": 64, "max_concurrency": 16, "completed": 64, "failed": 0,
    "total_input_tokens": 65536, "total_output_tokens": 16384, "duration": 10.0, "mean_ttft_ms": 50.0,
    "mean_tpot_ms": 9.5, "output_throughput": 1600.0, "request_rate": "inf",
}  # fmt: skip


@cache
def keys() -> tuple[str, ...]:
    """Every key of the configuration that somebody could set."""
    found: list[str] = []

    def walk(kind: type, prefix: str) -> None:
        for field in dataclasses.fields(kind):
            name = f"{prefix}{field.name}"
            found.append(name)
            default = field.default_factory if field.default_factory is not dataclasses.MISSING else None
            if isinstance(default, type) and dataclasses.is_dataclass(default):
                walk(default, f"{name}.")

    walk(Config, "")
    return tuple(found)


def overrides(rng: random.Random, folder: Path) -> list[str]:
    spoilt = [f"{rng.choice(('', '', '+', '++'))}{rng.choice(keys())}={_word(rng)}" for _ in range(rng.randint(1, 2))]
    return [*BASE, *spoilt, f"hydra.run.dir={folder / 'r'}"]


def _word(rng: random.Random) -> str:
    """A value as it stands in an override."""
    value = mutations.value(rng)
    return value if isinstance(value, str) else json.dumps(value)


def launch_command(rng: random.Random, folder: Path) -> list[str]:
    engine, command = rng.choice(list(zip(("vllm", "vllm", "sglang", "trtllm"), COMMANDS, strict=True)))
    words = command.split()
    for _ in range(rng.randint(1, 2)):
        words[rng.randrange(len(words))] = rng.choice((_word(rng), mutations.text(rng, rng.choice(words))))
    return ["audit", f"--{engine}", " ".join(words), "hardware=h200_sxm"]


def model_config(rng: random.Random, folder: Path) -> list[str]:
    (folder / "config.json").write_text(mutations.as_json(mutations.tree(rng, MODEL)), errors="replace")
    return ["inspect", str(folder / "config.json")]


@cache
def saved() -> dict[str, bytes]:
    """The files of a small run."""
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        run = Path(name, "r")
        assert cli.main([*BASE, f"hydra.run.dir={run}"]) == 0
        return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def of_a_run(command: Callable[[Path], list[str]]) -> Callable[[random.Random, Path], list[str]]:
    """``command`` on a run one of whose files is spoilt."""

    def arguments(rng: random.Random, folder: Path) -> list[str]:
        run = folder / "run"
        shutil.rmtree(run, ignore_errors=True)
        for name, content in saved().items():
            (run / name).parent.mkdir(parents=True, exist_ok=True)
            (run / name).write_bytes(content)
        name = rng.choice(("config.yaml", "pareto.csv", "summary.json", "plan.yaml"))
        good = (run / name).read_text()
        (run / name).write_text(mutations.text(rng, good), errors="replace")
        return command(run)

    return arguments


def table(rng: random.Random, folder: Path) -> list[str]:
    rows = [{**MEASURED, rng.choice(list(MEASURED)): _cell(rng)} for _ in range(3)]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(MEASURED))
    writer.writeheader()
    writer.writerows(rows)
    content = text.getvalue() if rng.random() < 0.7 else mutations.text(rng, text.getvalue())
    (folder / "rows.csv").write_text(content, errors="replace")
    return ["validate", str(folder / "rows.csv"), "--out", str(folder / "out.csv")]


def _cell(rng: random.Random) -> str:
    return str(mutations.value(rng))


def results(rng: random.Random, folder: Path) -> list[str]:
    """Three benchmark results, the last of them spoilt."""
    names = []
    for i, concurrency in enumerate((1, 8, 32)):
        result = RESULT | {"max_concurrency": concurrency}
        data = mutations.tree(rng, result) if i == 2 else result
        names.append(str(folder / f"result_{i}.json"))
        Path(names[-1]).write_text(mutations.as_json(data), errors="replace")
    shape = ["--engine", "vllm", "--model", "qwen3_8b", "--hardware", "h100_sxm", "--isl", "1024", "--osl", "256"]
    return ["calibrate", *names, *shape, "--tp", "1", "--out", str(folder / "mine.yaml")]


def plan_file(rng: random.Random, folder: Path) -> list[str]:
    (folder / "plan.yaml").write_text(mutations.text(rng, saved()["plan.yaml"].decode()), errors="replace")
    return ["audit", str(folder / "plan.yaml")]


TARGETS = (
    Target("overrides", overrides, echoes=True),
    Target("launch command", launch_command, echoes=True),
    Target("config.json", model_config, echoes=True),
    Target("explain", of_a_run(lambda run: ["explain", str(run)])),
    Target("launch", of_a_run(lambda run: ["launch", str(run), "--engine", "vllm"])),
    Target("simulate", of_a_run(lambda run: ["simulate", str(run), "--requests", "50"])),
    Target("document", of_a_run(lambda run: ["document", str(run)]), echoes=True),
    Target("validate", table, echoes=True),
    Target("calibrate", results),
    Target("plan.yaml", plan_file),
)
