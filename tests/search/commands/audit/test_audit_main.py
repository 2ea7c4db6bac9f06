"""The command as a user runs it: worked case, plans of runs, commands, bad input, exit codes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from costmodel.memory.device import DRIVER_BYTES, DRIVER_SHARE
from search.cli import main as servefront
from search.commands.audit.main import main
from search.commands.search import main as search_main

Audit = Callable[..., tuple[int, str, str]]
WORKED = ("--experiment", "qwen3_235b")


@pytest.fixture
def audit(in_folder: Callable[[Callable[[list[str]], int]], Audit]) -> Audit:
    return in_folder(main)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audited") / "run"
    assert search_main(["+experiment=qwen3_235b", "strategy=exact", f"hydra.run.dir={folder}"]) == 0
    return folder


def records(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text(), parse_constant=lambda c: pytest.fail(f"{c} is not JSON"))
    return {audit["name"]: audit for audit in found["audits"]}


def flat(text: str) -> str:
    """What was printed, without the line ends."""
    return " ".join(text.split())


def test_worked_case(audit: Audit, tmp_path: Path) -> None:
    """The two hand-written plans: one claim of ten holds, the original's share of memory."""
    code, out, err = audit(*WORKED, "--json", "a.json")
    assert (code, err) == (1, "")
    found = records(tmp_path / "a.json")
    verdicts = {(n, c["claim"]): c["verdict"] for n, a in found.items() for c in a["claims"]}
    assert len(verdicts) == 10
    assert [claim for claim, verdict in verdicts.items() if verdict == "holds"] == [("original", "memory_utilization")]
    derived = {c["claim"]: c["derived"] for c in found["refined"]["claims"]}
    assert derived["weights_bytes_per_gpu"] == pytest.approx(30.79e9, rel=1e-3)
    assert derived["kv_cache_bytes_per_gpu"] == pytest.approx(256 * 4096 * 96256 / 8)
    contradictions = [r for r in found["refined"]["relations"] if r["verdict"] == "contradicts"]
    assert {"gpus", "dp", "ep", "weights_bytes_per_gpu"} in [set(r["concerns"]) for r in contradictions]
    text = flat(out)
    for shown in (
        "107 %", "27.7 ms", "20.8 ms", "117.52 GB", "12.30 s", "14.77 GB, though there are 2 copies",
        "1 of 3 claims holds; 1 contradiction.", "0 of 7 claims hold; 3 contradictions.",
        'In vLLM "TP 4, DP 2" is one engine of 8 GPUs', "vLLM: 2 servers of 8 GPUs, each tensor-parallel 4",
        "SGLang: 2 servers, each tp-size 8, attn-dp-size 2",
        "TensorRT-LLM: refused by trtllm.attention_dp_all_or_nothing",
    ):  # fmt: skip
        assert shown in text, shown


def test_a_run_is_borne_out_by_itself(audit: Audit, run_folder: Path) -> None:
    """What one run recommends is accepted by the audit of the next, and every claim of it holds."""
    plan = run_folder / "plan.yaml"
    beside = audit(str(plan))
    assert beside[0] == 0, beside[1]
    assert "in which the plan lies" in flat(beside[1])
    named = audit(str(plan), "--run", str(run_folder))
    assert named[0] == 0
    assert "12 of 12 claims hold; no contradiction." in flat(named[1])
    other = audit(str(plan), "+experiment=qwen3_235b", "hardware=ascend_910b")
    assert other[0] == 1


def test_a_plan_of_one_run_is_a_baseline_of_the_next(run_folder: Path, tmp_path: Path, audit: Audit) -> None:
    plan = tmp_path / "mine.yaml"
    plan.write_text((run_folder / "plan.yaml").read_text().replace('"recommended"', '"before"'))
    second = tmp_path / "second"
    arguments = ["+experiment=qwen3_235b", "strategy=exact", f"baselines=[{plan}]", f"hydra.run.dir={second}"]
    assert search_main(arguments) == 0
    plan.unlink()
    stored = yaml.safe_load((second / "config.yaml").read_text())["baselines"]
    assert [b["name"] for b in stored] == ["before"]
    assert stored[0]["layout"]["gpus"] == yaml.safe_load((run_folder / "plan.yaml").read_text())["layout"]["gpus"]
    assert "Claims of before" in (second / "plan.md").read_text()
    code, out, _ = audit("--run", str(second), "--baseline", "before")
    assert code == 0
    assert "12 of 12 claims hold" in flat(out)


def test_a_plan_without_claims(audit: Audit, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("name: bare\nlayout: {gpus: 8, tp: 8, ep: 8}\nbatch: 64\n")
    code, out, _ = audit("p.yaml", *WORKED)
    assert code == 0
    for shown in ("No claim was made; no contradiction.", "expert parallelism on", "kv_capacity_tokens"):
        assert shown in flat(out)
    code, out, _ = audit("p.yaml", *WORKED, "--claim", "tpot_s=0.001", "--claim", "weights_bytes_per_gpu=29.7e9")
    assert code == 1
    assert "1 of 2 claims holds" in flat(out)


@pytest.mark.parametrize(
    ("layout", "shown"),
    [
        ("{gpus: 16, tp: 4, ep: 8, dp: 3}", "breaks replicas_fill_gpus: gpus is a multiple of dp * pp. "
         "16 GPUs / (dp 3 × pp 1) = 5.333 a stage"),
        ("{gpus: 8, tp: 16}", "0.5 attention groups"),
        ("{gpus: 8, tp: 2, ep: 3}", "2.667 ranks an expert"),
        ("{gpus: 4, tp: 4, ep: 4}", "the cache has room for 0 tokens, less than one request of 4,096"),
    ],
)  # fmt: skip
def test_layouts_that_do_not_work(audit: Audit, tmp_path: Path, layout: str, shown: str) -> None:
    (tmp_path / "p.yaml").write_text(f"name: odd\nlayout: {layout}\nbatch: 64\n")
    code, out, err = audit("p.yaml", *WORKED, "--json", "a.json")
    assert (code, err) == (1, "")
    assert shown in flat(out)
    assert not records(tmp_path / "a.json")["odd"]["passed"]


def test_a_layout_that_the_chosen_engine_refuses(audit: Audit, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("name: odd\nlayout: {gpus: 8, tp: 8, ep: 4}\nbatch: 64\n")
    assert audit("p.yaml", *WORKED)[0] == 0  # SGLang takes it
    code, out, _ = audit("p.yaml", *WORKED, "engine=vllm")
    assert code == 1
    assert "vllm refuses the layout: vllm.experts_whole_or_split" in flat(out)


def test_a_command(audit: Audit, tmp_path: Path) -> None:
    command = "vllm serve Qwen/Qwen3-235B-A22B-FP8 -tp 4 -dp 2 --enable-expert-parallel --max-num-seqs 64 --port 80"
    words = ("hardware=h200_sxm", "workload.isl=1024", "workload.osl=512", "--json", "a.json")
    code, out, _ = audit("--vllm", command, *words)
    assert code == 0
    (found,) = records(tmp_path / "a.json").values()
    assert found["layout"] == {
        "tp": 4, "ep": 8, "dp": 1, "pp": 1, "sp": 1, "batch": 128, "gpus": 8, "stage_width": 8, "attn_dp": 2,
        "moe_tp": 1,
    }  # fmt: skip
    assert (found["engine"], found["isl"], found["memory_fraction"]) == ("vllm", 1024, 0.92)
    assert found["command"]["ignored"] == ["--port"]
    assert "model=qwen3_235b_fp8 of the catalog" in flat(out)
    code, out, _ = audit("--vllm", command, *words, "--batch", "32", "--replicas", "3")
    assert "Layout: gpus 24, dp 3, pp 1, sp 1, tp 4, ep 8, batch 32" in flat(out)


def test_a_command_runs_what_its_cache_admits(audit: Audit, tmp_path: Path) -> None:
    code, out, _ = audit(
        "--vllm", "vllm serve Qwen/Qwen3-32B --max-model-len 4096", "hardware=h100_sxm", "--json", "a.json"
    )
    (found,) = records(tmp_path / "a.json").values()
    batch = found["layout"]["batch"]
    assert 1 < batch < 1024
    assert f"batch {batch}: the cache admits so many of the 1024 sequences" in flat(out)
    assert found["figures"]["admitted_batch"]["derived"] == batch
    assert code == 0


def test_sglangs_static_share_is_weights_and_cache(audit: Audit, tmp_path: Path) -> None:
    """(capacity × bytes a token + weights) / memory is what --mem-fraction-static says, of what the driver and the
    context of each process leave."""
    command = "python -m sglang.launch_server --model-path Qwen/Qwen3-32B --tp 2 --mem-fraction-static 0.8"
    audit("--sglang", command, "hardware=h100_sxm", "--json", "a.json")
    (found,) = records(tmp_path / "a.json").values()
    figures = {name: f["derived"] for name, f in found["figures"].items()}
    cached = figures["kv_capacity_tokens"] * 64 * 2 * 4 * 128 * 2  # layers × k, v × heads a rank × width × bf16
    memory = figures["memory_bytes_per_gpu"] / figures["memory_utilization"]
    usable = memory * (1 - DRIVER_SHARE) - DRIVER_BYTES  # what CUDA reports as the total
    # The process's own context comes off the share besides, a few per cent.
    assert 0.8 * 0.95 < (cached + figures["weights_bytes_per_gpu"]) / usable < 0.8
    audit("--sglang", command.replace("0.8", "0.7"), "hardware=h100_sxm", "--json", "b.json")
    (less,) = records(tmp_path / "b.json").values()
    fewer = (figures["kv_capacity_tokens"] - less["figures"]["kv_capacity_tokens"]["derived"]) * 64 * 2 * 4 * 128 * 2
    assert fewer / memory == pytest.approx(0.1, rel=0.03)


def test_a_model_of_ones_own(audit: Audit, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({
        "model_type": "llama", "hidden_size": 1024, "num_hidden_layers": 4, "num_attention_heads": 8,
        "num_key_value_heads": 8, "intermediate_size": 2048, "vocab_size": 1000, "max_position_embeddings": 8192,
        "tie_word_embeddings": False, "architectures": ["LlamaForCausalLM"],
    }))  # fmt: skip
    code, out, err = audit("--vllm", f"vllm serve {folder}", "hardware=l40s")
    assert code == 0, err
    assert "its config.json" in flat(out)
    code, out, _ = audit("--vllm", "vllm serve my-org/secret-finetune -tp 2", "model=qwen3_32b", "hardware=h100_sxm")
    assert code == 0
    assert "given, in place of the command's my-org/secret-finetune" in flat(out)


def test_hostile_names_stay_names(audit: Audit, tmp_path: Path) -> None:
    plan = 'name: "a\\e[31m[bold]b[/bold] <script>$(reboot)\\n\\u202e"\nlayout: {gpus: 8, tp: 8, ep: 8}\nbatch: 64\n'
    (tmp_path / "p.yaml").write_text(plan)
    code, out, _ = audit("p.yaml", *WORKED)
    assert code == 0
    assert out.startswith("a [31m[bold]b[/bold] <script>$(reboot) ")
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", out)


BAD = {
    ("none.yaml",): "none.yaml: cannot be read: No such file",
    (".",): "cannot be read: Is a directory",
    (): "no plan is given, and the configuration has no baselines",
    ("a.yaml", "b.yaml"): "'b.yaml' is one too many",
    ("--experiment", "nope"): "experiment: there is no 'nope'; available:",
    (*WORKED, "hardware=nope"): "hardware: there is no 'nope'",
    (*WORKED, "+limits.ttft=3"): "limits.ttft: unknown key; allowed:",
    (*WORKED, "workload.isl=0"): "workload.isl: 0",
    (*WORKED, "a==b"): "a==b",
    (*WORKED, "--baseline", "nope"): "--baseline: there is no plan 'nope'",
    (*WORKED, "--claim", "speed=1"): "--claim: unknown figure 'speed'",
    (*WORKED, "--claim", "tpot_s=nan"): "--claim tpot_s: 'nan' is not allowed",
    (*WORKED, "--claim", "tpot_s"): "--claim tpot_s: ''",
    (*WORKED, "--batch", "4"): "--batch: a plan says its own",
    (*WORKED, "--replicas", "4"): "--replicas: a plan says its own",
    (*WORKED, "--json", "hardware=h100_sxm"): "--json hardware=h100_sxm: is an override; give the file",
    (*WORKED, "--json", "."): "--json .: is a folder",
    (*WORKED, "--json", "no/a.json"): "--json no/a.json: cannot be written",
    (*WORKED, "--config-dir", "no"): "--config-dir: no is not a folder",
    ("--run", "."): "holds no run",
    ("--run", ".", *WORKED): "--run: a run has its whole configuration",
    ("--vllm", "vllm serve 'x"): "No closing quotation",
    ("--vllm", "vllm serve nosuch/model"): "is not in the catalog",
    ("--vllm", "vllm serve x\x1b[31m\n"): "is not in the catalog",
    ("--vllm", "vllm serve Qwen/Qwen3-32B", "--batch", "0"): "--batch: 0 is not allowed",
    ("--vllm", "vllm serve Qwen/Qwen3-32B", "--replicas", "-1"): "--replicas: -1 is not allowed",
    ("--vllm", "vllm serve Qwen/Qwen3-32B", "--sglang", "x"): "give one of a plan, --vllm, --sglang and --trtllm",
    ("--vllm", "vllm serve Qwen/Qwen3-32B", "p.yaml"): "give one of a plan, --vllm, --sglang and --trtllm",
}  # fmt: skip


@pytest.mark.parametrize("arguments", BAD, ids=lambda a: ascii(" ".join(a))[:50])
def test_bad_input_is_one_line_and_exit_2(audit: Audit, arguments: tuple[str, ...], tmp_path: Path) -> None:
    code, out, err = audit(*arguments)
    assert (code, out) == (2, ""), err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "\x1b" not in err
    assert BAD[arguments] in err
    assert not list(tmp_path.iterdir())


def test_reachable_from_the_console_script(audit: Audit, capsys: pytest.CaptureFixture[str]) -> None:
    assert servefront(["audit", *WORKED, "--baseline", "original"]) == 1
    assert "original" in capsys.readouterr().out
