"""``servefront fleet``: one small fleet end to end, what it leaves, and what it refuses."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from small_fleet import SMALL

from search.commands.fleet import main
from search.commands.search import main as search_main
from search.inputs.fleet.read import read_fleet
from search.inputs.saved_run import read_plan_file

WORDS = ["+fleet=small", "strategy.n_trials=150"]


@dataclass(frozen=True)
class Run:
    config: Path
    folder: Path
    printed: str

    def rows(self, name: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO((self.folder / name).read_text())))


def quietly(arguments: list[str]) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    config = tmp_path_factory.mktemp("conf")
    (config / "fleet").mkdir()
    (config / "fleet" / "small.yaml").write_text(SMALL)
    folder = config / "run"
    code, out, err = quietly([*WORDS, f"hydra.run.dir={folder}", "--config-dir", str(config)])
    assert code == 0, err
    return Run(config, folder, out)


def test_the_fleet_serves_everybody_within_pools_and_budgets(run: Run) -> None:
    summary = json.loads((run.folder / "summary.json").read_text())
    rows = run.rows("fleet.csv")
    assert summary["status"] == "ok" and summary["served"] == 1.0
    for name, wanted in (("chat", 16.5), ("reader", 3.0)):
        mine = [r for r in rows if r["model"] == name]
        assert sum(float(r["requests_per_s"]) for r in mine) == pytest.approx(wanted)
        assert sum(float(r["carried_requests_per_s"]) for r in mine) >= wanted * (1 - 1e-9)
    taken = {p: sum(int(r["gpus"]) for r in rows if r["pool"] == p) for p in ("old", "new")}
    assert taken == summary["taken"]
    assert taken["old"] <= 10 and taken["new"] <= 6
    hourly = taken["old"] * 3.4309 + taken["new"] * 5.0
    assert (
        summary["usd_per_hour"] == pytest.approx(hourly) == pytest.approx(sum(float(r["usd_per_hour"]) for r in rows))
    )
    assert summary["usd_per_month"] == pytest.approx(hourly * 730.0)
    assert summary["power_w"] == taken["old"] * 400 + taken["new"] * 700 <= 30_000
    for r in rows:
        assert int(r["spare"]) == 1
        each = float(r["carried_requests_per_s"]) / (int(r["replicas"]) - 1)
        assert each == pytest.approx(float(r["replica_requests_per_s"]))
        assert float(r["ttft_s_failed"]) <= (1.0 if r["model"] == "chat" else 3.0)
        assert float(r["tpot_s_failed"]) <= (0.05 if r["model"] == "chat" else 0.06)
        assert float(r["ttft_s"]) <= float(r["ttft_s_failed"])


def test_the_front_rises_and_ends_with_the_chosen_fleet(run: Run) -> None:
    rows = run.rows("front.csv")
    costs, served = ([float(r[name]) for r in rows] for name in ("usd_per_hour", "served"))
    assert costs == sorted(costs) and served == sorted(set(served))
    assert [r["chosen"] for r in rows] == ["false"] * (len(rows) - 1) + ["true"]
    for r in rows:
        assert int(r["gpus_old"]) == int(r["chat_gpus_old"]) + int(r["reader_gpus_old"]) <= 10
        share = (float(r["chat_share"]) + 2 * float(r["reader_share"])) / 3
        assert float(r["served"]) == pytest.approx(share)


def test_the_papers_say_the_same(run: Run) -> None:
    document = (run.folder / "plan.md").read_text()
    page = (run.folder / "report.html").read_text()
    found = yaml.safe_load((run.folder / "fleet.yaml").read_text())
    for r in run.rows("fleet.csv"):
        words = f"{r['replicas']} x {r['gpus_per_replica']} (1 spare)"
        assert words in document and words in page and words in run.printed
    assert [d["plan"]["layout"]["gpus"] for d in found["deployments"]] == [
        int(r["gpus"]) for r in run.rows("fleet.csv")
    ]
    assert found["settings"]["models"]["chat"]["requests_per_s"] == 11.0
    assert "<script" not in page and "http" not in page.replace("http-equiv", "").replace(
        "http://www.w3.org/2000/svg", ""
    )
    assert {p.name for p in run.folder.iterdir()} == {
        "fleet.csv", "fleet.yaml", "fleet.svg", "front.csv", "front.svg", "replicas.csv", "plan.md", "report.html",
        "study.journal", "summary.json",
    }  # fmt: skip
    growth = json.loads((run.folder / "summary.json").read_text())["growth"]
    costs = [g["usd_per_hour"] for g in growth if g["usd_per_hour"] is not None]
    assert costs == sorted(costs) and growth[0]["gpus"] is not None


def test_commands_of_the_document_plan_its_deployments(run: Run, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [s for s in (run.folder / "plan.md").read_text().splitlines() if s.startswith("servefront ")]
    rows = run.rows("fleet.csv")
    assert len(lines) == len(rows)
    words = shlex.split(lines[-1])[1:]
    assert search_main([*words, "hydra.run.dir=own", "report=none", "sensitivity=none"]) == 0
    plan = read_plan_file(Path("own/plan.yaml"))
    assert plan.layout["dp"] == int(rows[-1]["replicas"]) and plan.layout["tp"] == int(rows[-1]["tp"])


def test_what_cannot_be_served_is_said(run: Run, tmp_path) -> None:
    words = ["fleet.pools.old.count=2", "fleet.pools.new.count=2", "strategy=exact", f"hydra.run.dir={tmp_path / 'r'}"]
    code, _, err = quietly([*WORDS, *words, "--config-dir", str(run.config)])
    assert code == 1
    assert err.startswith("infeasible: fleet: the most that its pools and budgets serve is ") and err.count("\n") == 1
    assert {p.name for p in (tmp_path / "r").iterdir()} == {"front.csv", "replicas.csv", "summary.json"}


BAD = [
    (["+fleet=three_models", "fleet.growt=2"], "fleet.growt: unknown key; allowed: capacity"),
    (["+fleet=three_models", "fleet.objective=money"], "fleet.objective: 'money' is not allowed; give one of cost"),
    (
        ["+fleet=three_models", "fleet.pools.h100.count=0"],
        "fleet.pools.h100.count: 0 is not allowed; give a number from 1",
    ),
    (["+fleet=three_models", "fleet.models.assistant.pools=[h9]"], "fleet.models.assistant.pools: 'h9' is not allowed"),
    (
        ["+fleet=three_models", "hardware=h200"],
        "hardware: 'hardware=h200' is not allowed; a fleet's are in fleet.pools",
    ),
    (
        ["+fleet=three_models", "fleet.spares.of=rack"],
        "fleet.spares.of: 'rack' is not allowed; give one of replica, node",
    ),
    (["+fleet=three_models", "fleet.name=a/b"], "fleet.name: 'a/b' is not allowed"),
    (["+fleet=three_models", "hydra.job.name=x"], "'hydra.job.name=x' is not allowed; give KEY=VALUE"),
    (["+fleet=nothing"], "fleet: there is no 'nothing'; available: three_models"),
    ([], "fleet: must be given, as +fleet=NAME; available: three_models"),
]


@pytest.mark.parametrize(("words", "line"), BAD, ids=lambda value: str(value)[-40:])
def test_bad_input_is_a_line(words: list[str], line: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = quietly(words)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {line}") and err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_budget_needs_a_price(run: Run) -> None:
    words = [*WORDS, "fleet.pools.old.hardware=worked_case_64gb", "--config-dir", str(run.config)]
    code, _, err = quietly([*words, f"hydra.run.dir={run.config / 'none'}"])
    assert code == 2 and err.startswith("error: fleet.limits.usd_per_hour: pool 'old' has no price_per_hour")
    assert not (run.config / "none").exists()


def test_shipped_fleets_are_read() -> None:
    large = read_fleet(["+fleet=two_kinds_1024", "fleet.models.coder.search.engine=sglang", "limits.tpot_s=0.07"])
    assert [p.count for p in large.pools] == [1024, 1024]
    assert [m.config.engine.name for m in large.members] == ["vllm", "sglang", "vllm", "vllm", "vllm"]
    assert {m.config.limits.tpot_s for m in large.members} == {0.07}
    assert large.members[0].requests_per_s == 1.25 * 900.0
