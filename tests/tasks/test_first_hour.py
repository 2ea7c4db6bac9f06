"""What people come for, from the command line to the figure that they look for."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from search.cli import main as servefront
from search.commands.dashboard import served

QUICK = ("strategy=exact", "report=none", "sensitivity=none")


@pytest.fixture
def run(in_folder: Any) -> Any:
    """A command that succeeds: what it prints."""

    def ran(*arguments: str, code: int = 0) -> str:
        exit_code, out, err = in_folder(servefront)(*arguments)
        assert exit_code == code, err
        return str(out + err)

    return ran


def rows(path: str) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def recommended(folder: str) -> dict[str, str]:
    return next(row for row in rows(f"{folder}/pareto.csv") if row["recommended"] == "true")


def test_two_nodes_with_a_p99_at_a_rate(run: Any) -> None:
    limits = ("limits.ttft_s=3", "limits.ttft_statistic=p99", "limits.tpot_s=0.05")
    run(
        "model=qwen3_235b_fp8", "hardware=h200", "engine=vllm", "space=two_nodes", "space.gpus=[8,16]",
        "objective=rate", "workload.isl=2048", "workload.osl=512", "workload.requests_per_s=4",
        "workload.arrivals.kind=poisson",
        *limits, *QUICK, "verify.top=2", "verify.requests=150", "hydra.run.dir=r",
    )  # fmt: skip
    plan = recommended("r")
    assert float(plan["ttft_s_p99"]) <= 3.0 and float(plan["max_requests_per_s"]) >= 4.0
    verified = json.loads(Path("r/summary.json").read_text())["verified"]
    assert any(one["kept"] and one["simulated"]["ttft_s_p99"] <= 3.0 for one in verified)


def test_the_cheapest_accelerator_for_50_requests_a_second(run: Any) -> None:
    out = run(
        "-m", "model=qwen3_32b", "hardware=h100,h200,a100_80gb_sxm", "engine=vllm", "objective=cost",
        "workload=in1024_out1024", "space=two_nodes", "space.gpus=[8,16,32,64]", "space.dp=[1,2,4,8,16]",
        "space.batch=[64,128,256]", "limits.tpot_s=0.05", "limits.min_requests_per_s=50", *QUICK, "hydra.sweep.dir=s",
    )  # fmt: skip
    best = {
        row["hardware"]: float(row["usd_per_million_output_tokens"])
        for row in rows("s/sweep.csv")
        if row["recommended"] == "true"
    }
    assert len(best) == 3 and all(float(r["requests_per_s"]) >= 50 for r in rows("s/sweep.csv"))
    assert all(f"{usd:.2f}" in out for usd in best.values())


def test_an_accelerator_from_a_datasheet_in_two_files(run: Any) -> None:
    for group in ("hardware", "cluster"):
        Path("mine", group).mkdir(parents=True)
    sources = (
        "memory_bytes", "datasheet_memory_bytes", "memory_bytes_per_s", "peak_flops_bf16", "link_bytes_per_s",
        "power_w", "price_per_hour", "efficiency_mfu", "efficiency_bandwidth", "efficiency_launch_s",
    )  # fmt: skip
    chip = {
        "name": "Acme X1 64GB", "vendor": "Acme", "aliases": ["acme_x1"], "memory_bytes": 64e9,
        "datasheet_memory_bytes": 64e9, "memory_bytes_per_s": 1.8e12, "peak_flops": {"bf16": 400e12},
        "link_bytes_per_s": 200e9, "cluster": "acme_box", "power_w": None, "price_per_hour": 2.5,
        "price_as_of": "a quote", "efficiency": {"law": "flat", "mfu": 0.6, "bandwidth": 0.8, "launch_s": 0.0},
        "sources": dict.fromkeys(sources, "assumption"),
    }  # fmt: skip
    tier = {
        "name": "node",
        "size": 8,
        "latency_s": 15e-6,
        "bytes_per_s": None,
        "efficiency": 0.5,
        "oversubscription": 1.0,
    }
    Path("mine/hardware/acme_x1.yaml").write_text(yaml.safe_dump(chip))
    Path("mine/cluster/acme_box.yaml").write_text(
        yaml.safe_dump(
            {
                "name": "a box of eight",
                "tiers": [tier | {"source": dict.fromkeys(("size", "latency_s", "efficiency"), "assumption")}],
            }
        )
    )
    run(
        "--config-dir", "mine", "model=qwen3_8b", "hardware=acme_x1", "engine=vllm", "space.gpus=[1,2]", *QUICK,
        "hydra.run.dir=r",
    )  # fmt: skip
    plan = recommended("r")
    # Weights of 8.2 billion parameters in bf16, read once a step at 1.44 TB/s, are 11.4 ms on one accelerator.
    assert float(plan["tpot_s"]) > 11.3e-3 / int(plan["gpus"])
    assert float(plan["usd_per_million_output_tokens"]) > 0.0


def test_chats(run: Any) -> None:
    run(
        "model=qwen3_8b", "hardware=h100", "engine=vllm", "workload=chat", "objective=rate", "space.gpus=[1]",
        "limits.ttft_s=1", "limits.ttft_statistic=p95", *QUICK, "verify.top=1", "verify.requests=150",
        "hydra.run.dir=r",
    )  # fmt: skip
    plan = recommended("r")
    assert float(plan["ttft_s_p95"]) <= 1.0 and 0.9 < float(plan["goodput"]) <= 1.0


def test_launch_on_two_nodes(run: Any, tmp_path: Path) -> None:
    run(
        "model=deepseek_v3", "hardware=h100", "engine=vllm", "space=two_nodes", "space.gpus=[16]", *QUICK,
        "hydra.run.dir=r",
    )  # fmt: skip
    line = run("launch", "r")
    assert "--headless" in line and "MASTER_ADDR" in line
    scripts = sorted(Path("r/launch").glob("*.sh"))
    assert scripts and all(subprocess.run(["bash", "-n", str(path)]).returncode == 0 for path in scripts)
    assert run("audit", "r/plan.yaml").strip()


def test_calibrate_from_three_runs(run: Any) -> None:
    lines = [
        {"mean_ttft_ms": 60.0 + c, "mean_tpot_ms": 9.0 + 0.12 * c, "completed": 10 * c, "max_concurrency": c,
         "total_input_tokens": 9000 * c, "total_output_tokens": 3000 * c}
        for c in (1, 16, 64)
    ]  # fmt: skip
    Path("runs.jsonl").write_text("\n".join(map(json.dumps, lines)))
    flags = ("--engine", "vllm", "--model", "llama_3_1_8b", "--hardware", "h100_sxm")
    Path("mine/engine").mkdir(parents=True)
    out = run("calibrate", "runs.jsonl", "--out", "mine/engine/ours.yaml", *flags)
    assert "3 runs; mean absolute error" in out and "launch_share" in out
    assert "3 rows, 3 predicted" in run("validate", "runs.jsonl", *flags)


def test_a_sweep_with_its_page(run: Any) -> None:
    out = run(
        "-m", "model=qwen3_8b", "hardware=h100", "engine=vllm", "space.gpus=[1,2]", "limits.tpot_s=0.01,0.03",
        "strategy=exact", "sensitivity=none", "hydra.sweep.dir=s",
    )  # fmt: skip
    best = [row for row in rows("s/sweep.csv") if row["recommended"] == "true"]
    assert [float(row["limits.tpot_s"]) for row in best] == [0.01, 0.03]
    assert all(float(row["tpot_s"]) <= float(row["limits.tpot_s"]) for row in best)
    page = Path("s/sweep.html").read_text()
    assert "s/sweep.html" in out and "limits.tpot_s" in page and "Cost at the wanted traffic" in page


def test_report_document_and_dashboard_of_a_run(run: Any) -> None:
    run(
        "model=qwen3_8b", "hardware=h100", "engine=vllm", "space.gpus=[1,2]", "limits.tpot_s=0.03", "hydra.run.dir=r",
        "strategy.n_trials=30",
    )  # fmt: skip
    plan = recommended("r")
    report = Path("r/report.html").read_text()
    assert len(report.encode()) < 4_000_000 and f"{float(plan['output_tokens_per_s']):,.0f}" in report
    assert "Written to page.html" in run("document", "r", "--html", "page.html")
    page = Path("page.html").read_text()
    for said in ("at most 30.0 ms", "approve, change or reject", "SHA-256 of config.yaml"):
        assert said in page, said
    pytest.importorskip("optuna_dashboard")
    with served(Path("r"), 0) as server:  # listens; test_dashboard.py asks it for the study
        assert server.server_address[0] == "127.0.0.1"
