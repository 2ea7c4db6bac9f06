"""The engines themselves on every command of the four experiments' fronts: their argument parsers and configuration
checks. Slow and optional: ``make engines`` where the wheels can be installed. ``SERVEFRONT_VLLM`` and
``SERVEFRONT_SGLANG`` name the interpreters of their environments (scripts/engines)."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from stubs import bash, fast_calls
from test_fronts_start import EXPERIMENTS, front, settings
from test_scripts import two_nodes

from search.commands.launch import main as launch

pytestmark = pytest.mark.slow

ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "mixtral": "MixtralForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "qwen3_moe": "Qwen3MoeForCausalLM",
}
SKIPPED_WORDS = {"vllm": 2, "sglang": 3}  # "vllm serve", "python3 -m sglang.launch_server"
# What each must refuse, or the check would prove nothing: words after a command of the dense model, and the complaint.
WRONG = {
    "vllm": [
        (["--enable-expert-parallel"], "expert"),
        (["--tensor-parallel-size", "3"], "attention heads"),
        (["--max-num-batched-tokens", "8"], "max_num_batched_tokens"),
        (["--max-model-len", "999999"], "max_model_len"),
        (["--expert-parallel-size", "2"], "SystemExit"),
    ],
    "sglang": [
        (["--attn-dp-size", "3"], ""),
        (["--cuda-graph-max-bs", "8"], "SystemExit"),
        (["--attn-dp-size", "2", "--dp-size", "2"], "not supported"),
        (["--kv-cache-dtype", "int3"], "SystemExit"),
    ],
}


def interpreter(engine: str) -> str:
    found = os.environ.get(f"SERVEFRONT_{engine.upper()}")
    if not found:
        pytest.skip(f"SERVEFRONT_{engine.upper()} is not set: it names a python with {engine}")
    return found


def ask(engine: str, repo: Path, cases: list[dict]) -> dict[str, dict]:
    """The engine's answers by the cases' ids."""
    result = subprocess.run(
        [interpreter(engine), str(repo / "scripts" / "engines" / f"{engine}_takes.py")],
        input="\n".join(json.dumps(case) for case in cases), capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    answers = [json.loads(line) for line in result.stdout.splitlines() if line.startswith('{"id"')]
    assert len(answers) == len(cases), result.stderr[-2000:]
    return {answer["id"]: answer for answer in answers}


def cases_of(experiment: str, engine: str, run_of, capsys, tmp_path) -> list[dict]:
    folder = run_of(f"+experiment={experiment}", f"engine={engine}")
    assert launch([str(folder), "--plan", "all", "--engine", engine]) == 0
    calls = fast_calls(tmp_path, capsys.readouterr().out, MASTER_ADDR="10.0.0.1")
    published = settings(folder)["model"]["published"]
    model = {**published, "architectures": [ARCHITECTURES[published["model_type"]]], "torch_dtype": "bfloat16"}
    rows = front(folder)
    assert len(calls) == len(rows)
    return [
        {"id": f"{experiment} {i}", "argv": call[SKIPPED_WORDS[engine] :], "model": model, "row": row}
        for i, (call, row) in enumerate(zip(calls, rows, strict=True), 1)
    ]


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_the_engine_takes_every_row(repo, run_of, capsys, tmp_path, engine):
    interpreter(engine)
    cases = [case for e in EXPERIMENTS for case in cases_of(e, engine, run_of, capsys, tmp_path)]
    answers = ask(engine, repo, cases)
    assert {name: a["error"] for name, a in answers.items() if a["error"]} == {}
    for case in cases:
        row, answer = case["row"], answers[case["id"]]
        assert answer["world"] * row["dp"] == row["gpus"]
        assert answer["tokens"] == 8192
        groups = row["attn_dp"] if engine == "sglang" else 1  # it divides by the groups later
        assert answer["batch"] == -(-row["batch"] // row["attn_dp"]) * groups
    with capsys.disabled():
        versions = {a["version"] for a in answers.values()}
        print(f"\n{engine} {', '.join(versions)} takes {len(answers)} commands")


# Addresses that each must refuse: words that stand behind those of a command of two nodes.
NO_ADDRESS = {
    "vllm": [["--master-port", "port"], ["--nnodes", "3"], ["--node-rank", "2"]],
    "sglang": [["--dist-init-addr", "10.0.0.1"], ["--dist-init-addr", "10.0.0.1:port"], ["--nnodes", "3"]],
}


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_the_engine_reads_the_addresses_of_two_nodes(repo, run_of, tmp_path, engine):
    """A name, IPv4 and (in brackets, as a URL has it) IPv6, on the first node and on the second."""
    interpreter(engine)
    folder = two_nodes(run_of, engine)
    published = settings(folder.parent)["model"]["published"]
    model = {**published, "architectures": [ARCHITECTURES[published["model_type"]]], "torch_dtype": "bfloat16"}
    wanted, cases = {}, []
    for host in ("10.0.0.1", "node-1.example", "[fd00::1]"):
        for node in ("0", "1"):
            given = {"NODE": node, "MASTER_ADDR": host, "MASTER_PORT": "20777", "MODEL": "m"}
            result, calls = bash(tmp_path, str(folder / f"{engine}.sh"), **given)
            assert result.returncode == 0, result.stderr
            words = calls[0][1]
            argv = words[1:] if engine == "vllm" else words[2:]  # the stub is called as vllm, or python3
            wanted[f"{host} {node}"] = {"host": host.strip("[]"), "port": 20777, "nodes": 2, "rank": int(node)}
            cases.append({"id": f"{host} {node}", "argv": argv, "model": model})
    wrong = [
        {**cases[0], "id": f"wrong {i}", "argv": [*cases[0]["argv"], *w]} for i, w in enumerate(NO_ADDRESS[engine])
    ]
    answers = ask(engine, repo, [*cases, *wrong])
    for name, expected in wanted.items():
        assert answers[name]["error"] is None, answers[name]
        assert {key: answers[name].get(key) for key in expected} == expected
    assert all(answers[case["id"]]["error"] is not None for case in wrong)


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_the_engine_refuses_what_is_wrong(repo, run_of, capsys, tmp_path, engine):
    interpreter(engine)
    good = cases_of("llama_70b_h100", engine, run_of, capsys, tmp_path)[0]
    cases = [{**good, "id": str(i), "argv": [*good["argv"], *words]} for i, (words, _) in enumerate(WRONG[engine])]
    answers = ask(engine, repo, [{**good, "id": "good"}, *cases])
    assert answers["good"]["error"] is None
    for i, (words, complaint) in enumerate(WRONG[engine]):
        error = answers[str(i)]["error"]
        assert error is not None, words
        assert complaint in error, (words, error)
