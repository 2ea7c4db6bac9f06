"""The scripts of a run, run by bash with programs that only say how they were called."""

import csv
import json
import re
import subprocess
from pathlib import Path

import engine_tables
import pytest
import yaml
from engine_tables import Model
from stubs import bash, stub_folder

from search.commands.launch import main as launch
from search.render.launch.shell import comment

SHELL = {"vllm.sh", "sglang.sh", "trtllm.sh", "trtllm.yaml"}
BESIDE = ("kubernetes.yaml", "compose.yaml", "slurm")


def recommended(folder: Path) -> dict[str, str]:
    with (folder / "pareto.csv").open(newline="") as file:
        return next(row for row in csv.DictReader(file) if row["recommended"] == "true")


def test_every_run_has_its_files_and_bash_reads_them(run_of):
    for overrides in (["+experiment=qwen3_235b"], ["+experiment=qwen3_32b_h200", "engine=sglang"]):
        folder = run_of(*overrides) / "launch"
        taken = [e for e in ("vllm", "sglang", "trtllm") if "cannot start" not in (folder / f"{e}.sh").read_text()]
        assert {p.name for p in folder.iterdir()} == SHELL | {f"{e}.{kind}" for e in taken for kind in BESIDE}
        for script in folder.glob("*.sh"):
            assert script.stat().st_mode & 0o111
            subprocess.run(["bash", "-n", script], check=True)


def test_the_script_starts_what_the_command_prints(run_of, tmp_path, capsys):
    for engine in ("vllm", "sglang"):
        folder = run_of("+experiment=qwen3_235b")
        result, calls = bash(tmp_path, str(folder / "launch" / f"{engine}.sh"))
        assert result.returncode == 0, result.stderr
        assert launch([str(folder), "--engine", engine]) == 0
        _, printed = bash(tmp_path, text=capsys.readouterr().out)
        assert calls == printed
        assert len(calls) == 1


def test_exactly_these_arguments(run_of, tmp_path):
    """A dense model in one server: every word of the command, and no other."""
    folder = run_of("+experiment=qwen3_32b_h200", "engine=vllm", "space.gpus=4", "space.dp=1", "space.tp=4")
    row = recommended(folder)
    result, calls = bash(tmp_path, str(folder / "launch" / "vllm.sh"), HOST="::", MODEL="a model; echo $HOME")
    assert result.returncode == 0, result.stderr
    arguments = f"--tensor-parallel-size 4 --max-num-seqs {row['batch']} --max-num-batched-tokens 8192"
    arguments += " --gpu-memory-utilization 0.9 --max-model-len 2112 --dtype bfloat16 --kv-cache-dtype auto"
    arguments += " --max-cudagraph-capture-size 512"
    assert calls == [
        ["vllm", ["serve", "a model; echo $HOME", *arguments.split(), "--host", "::", "--port", "8000"], {}]
    ]


def test_the_options_of_tensorrt_llm(run_of, tmp_path):
    folder = run_of("+experiment=mixtral_8x7b_a100", "engine=trtllm")
    row, model = recommended(folder), yaml.safe_load((folder / "config.yaml").read_text())["model"]["published"]
    result, calls = bash(tmp_path, str(folder / "launch" / "trtllm.sh"))
    assert result.returncode == 0, result.stderr
    serve = engine_tables.parse(engine_tables.TRTLLM_SERVE, calls[0][1], positional=True)
    assert Path(serve.extra_llm_api_options) == folder / "launch" / "trtllm.yaml"
    options = yaml.safe_load(Path(serve.extra_llm_api_options).read_text())
    n = engine_tables.trtllm(options, Model.of(model))
    assert n.world * int(row["dp"]) == int(row["gpus"])


def test_replicas_on_one_node_share_neither_port_nor_accelerator(run_of, tmp_path):
    folder = run_of("+experiment=llama_70b_h100", "space.gpus=8", "space.dp=2", "space.pp=1", "space.tp=4")
    script = str(folder / "launch" / "vllm.sh")
    seen = []
    for replica in ("0", "1"):
        result, calls = bash(tmp_path, script, replica, "--trust-remote-code")
        assert result.returncode == 0, result.stderr
        _, arguments, devices = calls[0]
        assert arguments[-1] == "--trust-remote-code"
        seen.append((arguments[arguments.index("--port") + 1], devices))
    assert seen == [("8000", {"CUDA_VISIBLE_DEVICES": "0,1,2,3"}), ("8001", {"CUDA_VISIBLE_DEVICES": "4,5,6,7"})]
    assert "least_conn; server HOST0:8000; server HOST0:8001;" in Path(script).read_text()
    for wrong in ("2", "-1", "x", "a[$(touch pwned)]"):
        result, calls = bash(tmp_path, script, wrong)
        assert (result.returncode, calls) == (2, [])
        assert re.fullmatch(r"error: REPLICA: .* is not allowed; give 0 to 1\n", result.stderr)
    assert not (tmp_path / "pwned").exists()


def two_nodes(run_of, engine: str) -> Path:
    return run_of("+experiment=qwen3_235b", f"engine={engine}", "space.gpus=16", "space.dp=1", "space.ep=16") / "launch"


def test_servers_of_several_nodes(run_of, tmp_path):
    """Ranks and addresses: the same command on each node, with an API server on the first."""
    for engine, address in (("vllm", "--master-addr"), ("sglang", "--dist-init-addr")):
        script = str(two_nodes(run_of, engine) / f"{engine}.sh")
        result, calls = bash(tmp_path, script)
        assert result.returncode != 0
        assert "MASTER_ADDR: name or address of the first node" in result.stderr
        assert not calls
        given = []
        for node in ("0", "1"):
            result, calls = bash(tmp_path, script, NODE=node, MASTER_ADDR="10.0.0.1")
            assert result.returncode == 0, result.stderr
            arguments = calls[0][1]
            assert arguments[arguments.index("--nnodes") + 1] == "2"
            assert arguments[arguments.index("--node-rank") + 1] == node
            assert arguments[arguments.index(address) + 1].startswith("10.0.0.1")
            given.append("--headless" in arguments)
        assert given == ([False, True] if engine == "vllm" else [False, False])
    result, calls = bash(tmp_path, str(two_nodes(run_of, "trtllm") / "trtllm.sh"), HOSTFILE="my hosts", MODEL="m")
    assert result.returncode == 0, result.stderr
    start = ["-n", "16", "--map-by", "ppr:8:node", "--hostfile"]
    assert calls[0][0] == "mpirun"
    assert calls[0][1][:8] == [*start, "my hosts", "trtllm-llmapi-launch", "trtllm-serve"]


def test_an_engine_that_refuses_says_so_and_starts_nothing(run_of, tmp_path, capsys):
    """The recommended plan of the worked case has 2 attention groups of 4: TensorRT-LLM has all or nothing."""
    folder = run_of("+experiment=qwen3_235b")
    assert recommended(folder)["attn_dp"] == "2"
    result, calls = bash(tmp_path, str(folder / "launch" / "trtllm.sh"))
    assert (result.returncode, result.stdout, calls) == (1, "", [])
    rule = "rule trtllm.attention_dp_all_or_nothing"
    assert rule in result.stderr
    text = (folder / "launch" / "trtllm.yaml").read_text()
    assert yaml.safe_load(text) is None
    assert rule in text
    assert launch([str(folder), "--engine", "trtllm"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert rule in captured.err


HOSTILE = "$(touch pwned)`touch pwned`; touch pwned #' \" \\ \n touch pwned\r\u2028touch pwned\x1b[2J"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    """A run whose names would act if a shell or a YAML reader saw them unquoted."""
    from omegaconf import OmegaConf

    from search.inputs.schema import Config
    from search.inputs.typed import typed
    from search.optimizer.run import run
    from search.render.run_folder import write_run

    from hydra import compose, initialize_config_dir  # isort: skip
    from search.base.paths import conf_dir  # isort: skip

    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        plain = compose("config", ["model=qwen3_8b", "engine=any", "strategy=exact", "space.gpus=[1,2]"])
    config = typed(plain)
    assert isinstance(config, Config)
    config.model.name = config.hardware.name = HOSTILE
    config.name = "$(touch pwned)`touch pwned`; touch pwned #"  # others are refused: search/run_name.py
    config.model.source = "https://huggingface.co/a/b; touch pwned"
    folder = tmp_path_factory.mktemp("hostile") / "run"
    write_run(folder, run(config))
    assert OmegaConf.load(folder / "config.yaml").model.name == HOSTILE
    return folder


@pytest.mark.parametrize("engine", ["vllm", "sglang", "trtllm"])
def test_hostile_names_do_nothing(hostile, tmp_path, capsys, engine):
    script = hostile / "launch" / f"{engine}.sh"
    text = script.read_text()
    subprocess.run(["bash", "-n", script], check=True)
    result, calls = bash(tmp_path, str(script))
    assert (result.returncode == 0, calls) == (False, [])  # no model is known: it has to be named
    assert "MODEL: folder or Hugging Face name of the model" in result.stderr
    result, calls = bash(tmp_path, str(script), MODEL=HOSTILE)
    assert result.returncode == 0, result.stderr
    assert sum(argument == HOSTILE for argument in calls[0][1]) == 1
    assert launch([str(hostile), "--engine", engine]) == 0
    printed = capsys.readouterr().out
    result, calls = bash(tmp_path, text=printed, MODEL=HOSTILE)
    assert result.returncode == 0, result.stderr
    assert sum(argument == HOSTILE for argument in calls[0][1]) == 1
    assert not list(Path(tmp_path).rglob("pwned"))
    for written in (text, printed):
        assert all(line.isprintable() for line in written.split("\n"))
    if engine == "trtllm":
        assert (
            engine_tables.keys(yaml.safe_load((script.parent / "trtllm.yaml").read_text()), engine_tables.TRTLLM_KEYS)
            is None
        )


def test_comments_hold_on_one_line():
    assert comment("a\nb\r\u2028c\x85d\te") == "# a b  c d e"
    assert comment("größer, 模型") == "# größer, 模型"


def test_benchmark_comments_run_as_they_stand(run_of, tmp_path):
    """What the comments say to run is run: the same requests for each concurrency, then the calibration."""
    folder = run_of("+experiment=llama_70b_h100")
    lines = (folder / "launch" / "vllm.sh").read_text().splitlines()
    wanted = [line.removeprefix("#   ") for line in lines if line.startswith(("#   vllm", "#   for", "#   servefront"))]
    assert len(wanted) == 4
    result, calls = bash(tmp_path, text="\n".join(wanted))
    assert result.returncode == 0, result.stderr
    batch = recommended(folder)["batch"]
    (first, check, *series, last) = [call[1] for call in calls]
    assert check[:3] == ["check", "RUN", value(first, "--result-filename")]
    assert value(first, "--metric-percentiles") == "50,90,95,99"
    assert value(first, "--max-concurrency") == batch
    assert value(series[-1], "--max-concurrency") == batch
    assert [int(value(s, "--num-prompts")) for s in series] == [10 * int(value(s, "--max-concurrency")) for s in series]
    names = [value(s, "--result-filename") for s in series]
    assert last[1 : 1 + len(names)] == names
    assert (value(first, "--random-input-len"), value(first, "--random-output-len")) == ("1024", "1024")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        (
            {"requests_per_s": 12.0, "kind": "poisson"},
            ["--request-rate 3 ", "--burstiness 1 ", "--random-input-len 1024 "],
        ),
        ({"requests_per_s": 12.0, "kind": "gamma", "cv": 2.0}, ["--burstiness 0.25 ", "--num-prompts 2000 "]),
        (
            {"requests_per_s": 12.0, "kind": "constant", "lengths": "uniform"},
            ["guidellm benchmark ", "--rate-type constant --rate 3 ", "prompt_tokens=1024,prompt_tokens_stdev=564,"],
        ),
        ({"lengths": "uniform"}, ["--rate-type concurrent --rate 64 ", "prompt_tokens_min=48,prompt_tokens_max=2000,"]),
    ],
)
def test_the_benchmark_sends_the_traffic_that_was_planned_for(changes, said):
    """A server's part of it: a quarter of the rate, with four servers."""
    from types import SimpleNamespace

    from search.inputs.schema import ArrivalsConfig, LengthConfig, LengthsConfig, WorkloadConfig
    from search.render.launch.measure import under_traffic

    length = LengthConfig(low=48, high=2000)
    workload = WorkloadConfig(
        isl=1024, osl=1024, requests_per_s=changes.get("requests_per_s"),
        arrivals=ArrivalsConfig(kind=changes.get("kind", "closed"), cv=changes.get("cv", 1.0)),
        lengths=LengthsConfig(kind=changes.get("lengths", "fixed"), prompt=length, answer=length),
    )  # fmt: skip
    server = SimpleNamespace(dp=4, batch=64, isl=1024, osl=1024, prefix=0)
    found = under_traffic(server, workload, {"MODEL": "m", "URL": "u"})
    assert found is None if said is None else all(words in found for words in said), found


def value(arguments: list[str], flag: str) -> str:
    return arguments[arguments.index(flag) + 1]


def test_the_calibration_takes_what_the_benchmark_would_have_saved(run_of, tmp_path, monkeypatch, capsys):
    """With results that say exactly what was predicted, in the benchmark's own schema."""
    import shlex

    from search.commands.calibrate import main as calibrate

    folder = run_of("+experiment=llama_70b_h100")
    line = next(x for x in (folder / "launch" / "vllm.sh").read_text().splitlines() if "servefront calibrate" in x)
    arguments = shlex.split(line.removeprefix("# "))[2:]
    monkeypatch.chdir(tmp_path)
    row = recommended(folder)
    for name in [a for a in arguments if a.endswith(".json")]:
        c = int(name.removeprefix("run_").removesuffix(".json"))
        result = {
            "mean_ttft_ms": float(row["ttft_s"]) * 1e3, "mean_tpot_ms": float(row["tpot_s"]) * 1e3,
            "completed": 10 * c, "total_input_tokens": 10240 * c, "total_output_tokens": 10240 * c,
            "max_concurrency": c, "output_throughput": float(row["output_tokens_per_s"]),
        }  # fmt: skip
        (tmp_path / name).write_text(json.dumps(result))
    assert calibrate(arguments) == 0
    assert (tmp_path / "vllm_measured.yaml").exists()
    assert "runs; mean absolute error" in capsys.readouterr().out


def test_stub_programs_are_found_first(tmp_path):
    """The other tests would pass without their stand-ins if nothing were called at all."""
    stub_folder(tmp_path)
    _, calls = bash(tmp_path, text='vllm "a b" c\n')
    assert calls == [["vllm", ["a b", "c"], {}]]
