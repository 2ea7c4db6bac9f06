"""What is spoilt: overrides, launch commands, config.json, runs and plans (``measured_targets``: what was measured)."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mutations
from harness import Target
from measured_targets import MEASURED, result, trace

from search import cli
from search.base.errors import InputError
from search.base.paths import conf_dir
from search.commands.dashboard import served
from search.commands.search import fail
from search.inputs.schema import Config

QUICK = ("strategy=exact", "report=none", "sensitivity=none", "space.gpus=[8]", "space.batch=[16]")
BASE = ("model=qwen3_8b", "hardware=h100_sxm", "engine=vllm", *QUICK)
FORMS = (  # of a search
    (),
    ("space.serving=[aggregated,split]", "space.gpus=[4]"),
    ("workload.requests_per_s=5", "workload.arrivals.kind=poisson"),
    ("engine=compare",),
)
FLEET = """
name: small
objective: cost
growth: 1.5
spares: {count: 1, of: replica}
limits: {usd_per_hour: 300.0, power_w: 30000.0}
search: {engine: vllm, space.gpus: [1, 2], space.tp: [1, 2], space.pp: 1, space.batch: [8, 32]}
pools:
  old: {hardware: a100_80gb_sxm, count: 10}
  new: {hardware: h100_sxm, count: 6, price_per_hour: 5.0}
models:
  chat:
    requests_per_s: 2.0
    weight: 2.0
    search: {model: qwen3_8b, workload: in2048_out2048, limits: {ttft_s: 5.0, tpot_s: 0.05}}
"""
COMMANDS = (
    "vllm serve meta-llama/Llama-3.1-70B-Instruct -tp 4 --max-num-seqs 64 --max-model-len 8192",
    "docker run --gpus all vllm/vllm-openai:v0.11.0 --model Qwen/Qwen3-8B -tp 2 --kv-cache-dtype fp8",
    "python -m sglang.launch_server --model-path deepseek-ai/DeepSeek-R1 --tp 8 --dp 8 --enable-dp-attention",
    'vllm serve Qwen/Qwen3-8B -tp 2 --kv-transfer-config \'{"kv_connector":"NixlConnector","kv_role":"kv_both"}\'',
    "python -m sglang.launch_server --model-path Qwen/Qwen3-8B --tp 2 --disaggregation-mode decode",
    "trtllm-serve deepseek-ai/DeepSeek-R1 --tp_size 8 --ep_size 8 --max_batch_size 64 --max_num_tokens 8192",
)
MODEL: dict[str, Any] = {
    "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": 1024, "intermediate_size": 3072,
    "num_hidden_layers": 4, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 32000,
    "max_position_embeddings": 40960, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
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
    spoilt = []
    for _ in range(rng.randint(1, 2)):
        value = rng.choice((mutations.word, mutations.number, mutations.number))(rng)
        spoilt.append(f"{rng.choice(('', '', '', '+', '++'))}{rng.choice(keys())}={value}")
    return [*BASE, *rng.choice(FORMS), *spoilt, f"hydra.run.dir={folder / 'r'}"]


def launch_command(rng: random.Random, folder: Path) -> list[str]:
    engine, command = rng.choice(
        list(zip(("vllm", "vllm", "sglang", "vllm", "sglang", "trtllm"), COMMANDS, strict=True))
    )
    return ["audit", f"--{engine}", " ".join(mutations.words(rng, command.split())), "hardware=h200_sxm"]


def manifest(rng: random.Random, folder: Path) -> list[str]:
    """A file of the launch folder, as somebody would paste it."""
    engine = rng.choice(("vllm", "sglang", "trtllm"))
    kind = rng.choice((".compose.yaml", ".kubernetes.yaml", ".sh", ".slurm"))
    spoilt = mutations.text(rng, saved()[f"launch/{engine}{kind}"].decode())
    return ["audit", f"--{engine}", spoilt.replace("\0", ""), "model=qwen3_8b", "hardware=h100_sxm"]


def model_config(rng: random.Random, folder: Path) -> list[str]:
    (folder / "config.json").write_text(mutations.as_json(mutations.tree(rng, MODEL)), errors="replace")
    return ["inspect", str(folder / "config.json")]


SPLIT = (
    "engine=sglang", "space.serving=[aggregated,split]", "space.gpus=[2]", "space.dp=[1,2]", "space.tp=1",
    "space.batch=[32]", "workload.requests_per_s=0.5", "workload.arrivals.kind=poisson", "verify.top=0",
)  # fmt: skip


@cache
def saved(*more: str) -> dict[str, bytes]:
    """The files of a small run, with ``more`` of its words."""
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        run = Path(name, "r")
        assert cli.main([*BASE, *more, f"hydra.run.dir={run}"]) == 0
        return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def whole_run(folder: Path, *more: str) -> Path:
    run = folder / "run"
    for name, content in saved(*more).items():
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_bytes(content)
    return run


def spoilt_run(rng: random.Random, folder: Path, names: Sequence[str], *more: str) -> Path:
    """A run one of whose files is spoilt."""
    path = whole_run(folder, *more) / rng.choice(names)
    spoil = mutations.document if path.suffix == ".yaml" else mutations.text
    path.write_text(spoil(rng, path.read_text()), errors="replace")
    return folder / "run"


def of_a_run(*command: str) -> Callable[[random.Random, Path], list[str]]:
    """``command`` on a spoilt run: its words with the run's folder behind the first."""
    names = ("config.yaml", "pareto.csv", "summary.json", "plan.yaml")
    return lambda rng, folder: [command[0], str(spoilt_run(rng, folder, names)), *command[1:]]


def pools(rng: random.Random, folder: Path) -> list[str]:
    run = spoilt_run(rng, folder, ("split.csv", "split.csv", "config.yaml"), *SPLIT)
    return ["simulate", str(run), "--plan", "split", "--requests", "50"]


def check(rng: random.Random, folder: Path) -> list[str]:
    return ["check", str(whole_run(folder)), result(rng, folder)]


def replay(rng: random.Random, folder: Path) -> list[str]:
    words = ("workload.lengths.kind=trace", "workload.arrivals.kind=replay")
    return ["simulate", str(whole_run(folder)), *words, f"workload.lengths.trace={trace(rng, folder)}"]


def resumed(rng: random.Random, folder: Path) -> list[str]:
    """A killed search, what Hydra wrote of it spoilt."""
    run = spoilt_run(rng, folder, (".hydra/hydra.yaml", ".hydra/overrides.yaml"))
    (run / "summary.json").unlink()
    return [f"resume={run}"]


def own_hardware(rng: random.Random, folder: Path) -> list[str]:
    good = (conf_dir() / "hardware" / "h100_sxm.yaml").read_text()
    (folder / "mine" / "hardware").mkdir(parents=True)
    (folder / "mine" / "hardware" / "own.yaml").write_text(mutations.document(rng, good), errors="replace")
    where = [f"hydra.run.dir={folder / 'r'}", f"hydra.searchpath=[{folder / 'mine'}]"]
    return [*BASE, "hardware=own", *where]


def plan_file(rng: random.Random, folder: Path) -> list[str]:
    (folder / "plan.yaml").write_text(mutations.document(rng, saved()["plan.yaml"].decode()), errors="replace")
    return ["audit", str(folder / "plan.yaml")]


def study(rng: random.Random, folder: Path) -> list[str]:
    (folder / "study.journal").write_text(mutations.text(rng, saved_study()), errors="replace")
    return [str(folder)]


def storage(rng: random.Random, folder: Path) -> list[str]:
    study(rng, folder)
    words = ("strategy=random", "strategy.n_trials=5", f"strategy.storage={folder / 'study.journal'}")
    return [*BASE, *words, f"hydra.run.dir={folder / 'r'}"]


def fleet(rng: random.Random, folder: Path) -> list[str]:
    (folder / "mine" / "fleet").mkdir(parents=True)
    (folder / "mine" / "fleet" / "small.yaml").write_text(mutations.document(rng, FLEET), errors="replace")
    where = ["--config-dir", str(folder / "mine"), f"hydra.run.dir={folder / 'r'}"]
    return ["fleet", "+fleet=small", "strategy=exact", *where]


@cache
def saved_study() -> str:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        words = ("strategy=random", "strategy.n_trials=20", "report=none", "sensitivity=none")
        assert cli.main([*BASE[:3], *words, f"hydra.run.dir={name}/r"]) == 0
        return Path(name, "r", "study.journal").read_text()


def opened(words: list[str]) -> int:
    """``dashboard`` up to where it would serve for ever."""

    def open_and_close() -> int:
        try:
            served(Path(words[0]), 0).server_close()
        except InputError as error:
            return fail(str(error), error.exit_code)
        return 0

    return cli.guarded(open_and_close)


TARGETS = (
    Target("overrides", overrides, echoes=True),
    Target("launch command", launch_command, echoes=True),
    Target("config.json", model_config, echoes=True),
    Target("explain", of_a_run("explain")),
    Target("launch", of_a_run("launch", "--engine", "vllm")),
    Target("simulate", of_a_run("simulate", "--requests", "50")),
    Target("simulate split", pools),
    Target("document", of_a_run("document"), echoes=True),
    Target("evidence", of_a_run("evidence"), echoes=True),
    Target("check", check),
    Target("trace", replay),
    Target("resume", resumed, echoes=True),
    Target("hardware file", own_hardware, echoes=True),
    Target("manifest", manifest, echoes=True),
    Target("plan.yaml", plan_file),
    Target("fleet", fleet, echoes=True),
    Target("storage", storage, echoes=True),
    *MEASURED,
    *((Target("dashboard", study, run=opened),) if find_spec("optuna_dashboard") else ()),
)
