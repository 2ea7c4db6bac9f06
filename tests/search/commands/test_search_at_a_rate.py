"""A search with requests at a rate, from the command line to the documents."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from costmodel.scores import TRAFFIC
from search.cli import main as servefront

SMALL = (
    "model=qwen3_8b", "hardware=h100_sxm", "engine=vllm", "space.gpus=[1,2]", "space.tp=[1,2]", "space.dp=[1,2]",
    "space.batch=[8,64]", "strategy=exact", "sensitivity=none", "workload.isl=800", "workload.osl=100",
)  # fmt: skip
RATE = ("workload.arrivals.kind=poisson", "workload.requests_per_s=12")
VARIED = (
    "workload.lengths.kind=lognormal", "workload.lengths.prompt.spread=0.7", "workload.lengths.answer.spread=0.7",
)  # fmt: skip
LIMITS = ("limits.ttft_s=0.3", "limits.ttft_statistic=p99", "limits.goodput=0.9", "limits.overflow_risk=0.01")


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rate") / "run"
    verify = ("verify.top=2", "verify.seeds=2", "verify.requests=200")
    assert servefront([*SMALL, *RATE, *VARIED, *LIMITS, *verify, f"hydra.run.dir={folder}"]) == 0
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "pareto.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_front_has_the_percentiles_and_keeps_the_limits(run_folder: Path) -> None:
    found = rows(run_folder)
    assert found and set(TRAFFIC) <= set(found[0])
    for row in found:
        assert float(row["ttft_s_p99"]) <= 0.3 and float(row["goodput"]) >= 0.9
        assert float(row["requests_in_flight"]) == pytest.approx(12 * float(row["e2e_s"]), rel=1e-6)
        assert float(row["max_requests_per_s"]) > 12 and float(row["overflow_risk"]) <= 0.01


def test_leading_plans_are_simulated_and_the_recommended_one_keeps_its_limits(run_folder: Path) -> None:
    summary = json.loads((run_folder / "summary.json").read_text())
    verified = {json.dumps(v["plan"]): v for v in summary["verified"]}
    assert len(verified) == 2
    mine = verified[json.dumps(summary["recommended"])]
    assert mine["kept"] and mine["missed"] == 0.0
    for name in ("ttft_s", "tpot_s", "e2e_s"):
        assert mine["simulated"][name] == pytest.approx(mine["analytic"][name], rel=0.2)
    assert mine["simulated"]["ttft_s_p99"] <= 0.3


def test_the_documents_say_so(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = (run_folder / "plan.md").read_text()
    for said in ("Traffic\n", "### Simulated", "Little's law", "12 requests/s arrive at random", "| TTFT, p99 |"):
        assert said in plan, said
    assert (run_folder / "report.html").stat().st_size > 0
    capsys.readouterr()
    assert servefront(["explain", str(run_folder)]) == 0
    assert "ttft_s_p99" in capsys.readouterr().out
    assert servefront(["explain", str(run_folder), "--plan", "batch=1"]) == 0
    assert "unstable" in capsys.readouterr().out


def test_the_simulation_takes_the_run_s_own_traffic(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert servefront(["simulate", str(run_folder), "--requests", "300", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["requests_per_s"] == pytest.approx(12, rel=0.2)


BAD = {
    "limits.ttft_statistic: p99 is not known in the closed loop": ["limits.ttft_s=1", "limits.ttft_statistic=p99"],
    "limits.goodput: 0.9 is not known in the closed loop": ["limits.goodput=0.9"],
    "limits.goodput: 1.5 is not allowed; give a number above 0 to 1": [*RATE, "limits.goodput=1.5"],
    "limits.tpot_statistic: 'p98' is not allowed": [*RATE, "limits.tpot_statistic=p98"],
    "objective.ties.ttft_s_p99: is not known in the closed loop": ["+objective.ties.ttft_s_p99=min"],
    "workload.requests_per_s": ["workload.arrivals.kind=poisson"],
    "verify.seeds: 0 is not allowed": [*RATE, "verify.seeds=0"],
}


@pytest.mark.parametrize("said", BAD)
def test_bad_input_is_one_line(
    said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert servefront([*SMALL, *BAD[said], "hydra.run.dir=r"]) == 2
    printed = capsys.readouterr()
    assert said in printed.err and printed.err.count("\n") == 1 and not printed.out
    assert not (tmp_path / "r").exists()


def test_beyond_every_plan_s_capacity(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["workload.arrivals.kind=poisson", "workload.requests_per_s=5000", "report=none", "hydra.run.dir=r"]
    assert servefront([*SMALL, *words]) == 1
    assert "misses stable by" in capsys.readouterr().err
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    assert summary["removed_by_limit"] == {"stable": summary["scored"]} and summary["verified"] == []


PRESET = (
    "model=qwen3_8b", "hardware=h100", "workload=chat", "space.gpus=[1]", "space.tp=[1]", "space.batch=[8,64]",
    "strategy=exact", "verify.top=0",
)  # fmt: skip


def test_engines_are_compared_at_a_rate_and_draws_may_be_unstable(tmp_path: Path) -> None:
    """Every part of a run with the preset's own rate, near what one accelerator carries."""
    folder = tmp_path / "run"
    assert servefront([*PRESET, "sensitivity.draws=8", f"hydra.run.dir={folder}"]) == 0
    summary = json.loads((folder / "summary.json").read_text())
    assert set(summary["compared"]) == {"vllm", "sglang", "trtllm"}
    assert (folder / "report.html").is_file()


def test_nobody_carries_the_rate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    much = ("workload.requests_per_s=5000", "engine=vllm", "sensitivity=none")
    assert servefront([*PRESET, *much, f"hydra.run.dir={folder}"]) == 1
    assert "misses stable by" in capsys.readouterr().err
    assert (folder / "pareto.svg").is_file()
