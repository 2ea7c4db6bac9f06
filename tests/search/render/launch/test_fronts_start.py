"""Every plan on the fronts of the main experiments: its command is one that the engine's table takes, and says what
the plan says."""

import csv
import json
from pathlib import Path

import engine_tables
import pytest
import yaml
from engine_tables import Model
from stubs import fast_calls

from costmodel.engine import ENGINES
from search.commands.launch import main as launch

EXPERIMENTS = ("qwen3_235b", "llama_70b_h100", "mixtral_8x7b_a100", "qwen3_32b_h200")
CASES = [(experiment, engine) for experiment in EXPERIMENTS for engine in ENGINES]


def commands(folder: Path, engine: str, capsys, tmp_path: Path) -> list[list[str]]:
    """The program and its arguments for each row of the front, as a shell would start them."""
    assert launch([str(folder), "--plan", "all", "--engine", engine]) == 0
    out = capsys.readouterr().out
    assert "refused" not in out
    assert len([line for line in out.splitlines() if not line.startswith("#")]) == len(front(folder))
    return fast_calls(tmp_path, out, MASTER_ADDR="10.0.0.1", HOSTFILE="hosts", MODEL="of/mine")


def front(folder: Path) -> list[dict[str, int]]:
    with (folder / "pareto.csv").open(newline="") as file:
        axes = ("tp", "ep", "dp", "pp", "sp", "batch", "gpus", "attn_dp", "moe_tp")
        return [{axis: int(row[axis]) for axis in axes} for row in csv.DictReader(file)]


def settings(folder: Path) -> dict:
    return yaml.safe_load((folder / "config.yaml").read_text())


@pytest.mark.parametrize(("experiment", "engine"), CASES)
def test_every_row_starts(run_of, capsys, tmp_path, experiment, engine):
    folder = run_of(f"+experiment={experiment}", f"engine={engine}")
    config = settings(folder)
    model = Model.of(config["model"]["published"])
    total = config["workload"]["isl"] + config["workload"]["osl"]
    budget = config["engine"]["max_batched_tokens"]
    rows = front(folder)
    assert len(rows) > 20
    found = commands(folder, engine, capsys, tmp_path)
    assert len(found) == len(rows)
    for i, (row, call) in enumerate(zip(rows, found, strict=True)):
        group = -(-row["batch"] // row["attn_dp"])
        if engine == "vllm":
            assert call[:2] == ["vllm", "serve"]
            n = engine_tables.vllm(call[2:], model)
            assert (n.tensor_parallel_size, n.pipeline_parallel_size or 1) == (row["tp"], row["pp"])
            assert (n.data_parallel_size or 1, n.enable_expert_parallel) == (row["attn_dp"], row["ep"] > 1)
            assert (n.max_num_seqs, n.max_num_batched_tokens) == (group, budget)
            assert n.gpu_memory_utilization == config["limits"]["memory_fraction"]
            length = n.max_model_len
        elif engine == "sglang":
            assert call[:3] == ["python3", "-m", "sglang.launch_server"]
            n = engine_tables.sglang(call[3:], model)
            assert n.tp_size == row["tp"] * row["attn_dp"] * row["sp"]
            assert (n.pp_size or 1, n.attn_dp_size or 1, n.ep_size or 1) == (row["pp"], row["attn_dp"], row["ep"])
            assert (n.max_running_requests // row["attn_dp"], n.chunked_prefill_size // row["attn_dp"]) == (
                group,
                budget,
            )
            assert n.mem_fraction_static < config["limits"]["memory_fraction"]
            length = n.context_length
        else:
            assert "trtllm-serve" in call
            serve = engine_tables.parse(engine_tables.TRTLLM_SERVE, call[call.index("trtllm-serve") + 1 :], True)
            assert serve.extra_llm_api_options == f"trtllm_row_{i + 1}.yaml"
            n = engine_tables.trtllm(json.loads((tmp_path / serve.extra_llm_api_options).read_text()), model)
            assert n.tensor_parallel_size == row["tp"] * row["attn_dp"]
            assert n.enable_attention_dp == (row["attn_dp"] > 1)
            assert getattr(n, "moe_expert_parallel_size", 1) == row["ep"]
            assert (n.max_batch_size, n.max_num_tokens) == (group, budget)
            length = n.max_seq_len
        assert n.world * row["dp"] == row["gpus"]
        assert total <= length <= total + 128


def test_the_worked_case_serves_fp8_cast_while_loading(run_of, capsys, tmp_path):
    folder = run_of("+experiment=qwen3_235b", "engine=vllm")
    for call in commands(folder, "vllm", capsys, tmp_path):
        assert call[2] == "Qwen/Qwen3-235B-A22B"
        assert call[call.index("--quantization") + 1] == "fp8"
        assert call[call.index("--kv-cache-dtype") + 1] == "fp8"
    # TensorRT-LLM does not cast: the user has to bring a checkpoint.
    folder = run_of("+experiment=qwen3_235b", "engine=trtllm")
    assert {call[call.index("trtllm-serve") + 1] for call in commands(folder, "trtllm", capsys, tmp_path)} == {
        "of/mine"
    }


def test_a_plan_without_experts_on_the_hub_name(run_of, capsys, tmp_path):
    folder = run_of("+experiment=llama_70b_h100", "engine=vllm")
    calls = commands(folder, "vllm", capsys, tmp_path)
    assert {call[2] for call in calls} == {"meta-llama/Meta-Llama-3.1-70B"}
    assert not any("--quantization" in call or "--enable-expert-parallel" in call for call in calls)
