"""Engines compared: each as if it had been searched alone, the best of them recommended, all written and read back."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import search
from costmodel.columns import column
from costmodel.engine import ENGINES
from search.base.errors import InputError
from search.commands.explain.main import main as explain
from search.commands.launch import main as launch
from search.commands.simulate import main as simulate
from search.inputs.compose import composed
from search.inputs.saved_run import named_engine, read_run
from search.optimizer.outcome import Outcome
from search.optimizer.run import run
from search.render.run_folder import write_run
from search.render.tables import front_order

SMALL = [
    "model=qwen3_8b", "hardware=h100_sxm", "space.gpus=[1,2]", "space.tp=[1,2]", "space.dp=[1,2]", "space.sp=[1,2]",
    "space.pp=1", "space.batch=[1,16,64]", "strategy=exact", "sensitivity=none", "report=none",
]  # fmt: skip


@pytest.fixture(scope="module")
def compared() -> Outcome:
    return run(composed(SMALL))


@pytest.fixture(scope="module")
def folder(compared: Outcome, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("compared") / "run"
    write_run(path, compared)
    return path


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "pareto.csv").read_text().splitlines()))


def test_each_engine_is_searched_as_if_alone(compared: Outcome) -> None:
    assert [c.engine for c in compared.compared] == list(ENGINES)
    for one in compared.compared:
        alone = run(composed([*SMALL, f"engine={one.engine}"]))
        assert one.outcome is not None
        assert alone.choice == one.outcome.choice
        assert alone.scenario == one.outcome.scenario
        np.testing.assert_array_equal(alone.front, one.outcome.front)
        np.testing.assert_array_equal(alone.scores.tpot_s, one.outcome.scores.tpot_s)


def test_the_best_engine_is_recommended(compared: Outcome) -> None:
    name, direction = compared.policy.first
    best = {
        c.engine: float(column(name, c.outcome.plans, c.outcome.scores)[c.outcome.choice.recommended])
        for c in compared.compared
        if c.outcome is not None and c.outcome.choice is not None
    }
    assert len(set(best.values())) == 3  # else the test proves nothing
    assert best[compared.engine] == (max if direction == "max" else min)(best.values())
    for c in compared.compared:
        assert c.gain == pytest.approx(best[c.engine] / best[compared.engine] - 1.0)


def test_fronts_of_all_engines_are_written_in_one_order(compared: Outcome, folder: Path) -> None:
    found = rows(folder)
    assert len(found) == sum(len(one.front) for one in compared.each)
    assert [r["recommended"] for r in found].count("true") == 1
    first = next(r for r in found if r["recommended"] == "true")
    assert first["engine"] == compared.engine
    which, places = front_order(compared)
    for row, i, place in zip(found, which, places, strict=True):
        one = compared.each[i]
        assert row["engine"] == one.engine
        assert {a: int(row[a]) for a in ("tp", "batch", "gpus")}.items() <= one.plans.row(int(place)).items()
        assert float(row["tpot_s"]) == one.scores.tpot_s[place]


def test_the_summary_has_every_engine(compared: Outcome, folder: Path) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["engine"] == compared.engine
    assert list(summary["compared"]) == list(ENGINES)
    assert summary["compared"][compared.engine]["recommended"] == summary["recommended"]
    assert all(one["status"] == "ok" and one["gain"] <= 0.0 for one in summary["compared"].values())
    assert f"engine: {compared.engine}\n" in (folder / "plan.yaml").read_text()
    document = (folder / "plan.md").read_text()
    assert f"Engine: **{compared.engine}**" in document
    assert all(f"\n| {engine} |" in document for engine in ENGINES)


def test_a_run_stands_alone_and_is_read_back(compared: Outcome, folder: Path) -> None:
    saved = read_run(folder)
    assert saved.config.engine.engines == compared.asked.engine.engines  # type: ignore[union-attr]
    assert saved.engine == compared.engine
    for i, row in enumerate(rows(folder), 1):
        assert named_engine(saved, str(i)) == row["engine"]
        assert saved.of(row["engine"]).config.engine.name == row["engine"]
    assert named_engine(saved, "recommended") == named_engine(saved, "tp=1") == compared.engine
    assert named_engine(saved, str(folder / "plan.yaml")) == compared.engine


def test_commands_take_a_plan_on_its_own_engine(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = read_run(folder)
    other = next(e for e in ENGINES if e != saved.engine)
    number = next(str(i) for i, row in enumerate(rows(folder), 1) if row["engine"] == other)
    assert explain([str(folder), "--plan", number]) == 0
    said = capsys.readouterr().out
    assert f"All of this is about {other}" in said
    assert f"the run itself recommends the plan of {saved.engine}" in said
    assert "Its server starts" in said
    assert explain([str(folder), "--engine", other]) == 0
    assert f"All of this is about {other}" in capsys.readouterr().out
    programs = {"vllm": "vllm serve", "sglang": "sglang.launch_server", "trtllm": "trtllm-serve"}
    for plan, engine in ((number, other), ("recommended", saved.engine)):
        assert launch([str(folder), "--plan", plan]) == 0
        assert programs[engine] in capsys.readouterr().out.splitlines()[-1]
    assert simulate([str(folder), "--plan", number, "--requests", "20"]) == 0
    assert f" on {other}" in capsys.readouterr().out.splitlines()[0]


def test_an_engine_that_takes_nothing_says_so() -> None:
    """Prefill context parallelism beside tensor parallelism: TensorRT-LLM alone."""
    only = [*SMALL, "space.sp=2", "space.tp=2", "space.gpus=4", "space.dp=1"]
    found = run(composed(only))
    assert found.engine == "trtllm"
    refused = {c.engine: c.refused for c in found.compared if c.outcome is None}
    assert "vllm.prefill_context_parallel" in refused["vllm"]
    assert "sglang.attention_context_parallel" in refused["sglang"]
    with pytest.raises(InputError) as caught:
        run(composed([*only, "engine.compare=[vllm,sglang]"]))
    assert "any of the engines vllm, sglang; vllm: rule" in str(caught.value)
    assert "; sglang: rule" in str(caught.value)


def test_no_feasible_plan_of_any_engine(tmp_path: Path) -> None:
    found = run(composed([*SMALL, "limits.tpot_s=0.0001"]))
    assert found.choice is None
    summary = write_run(tmp_path / "run", found)
    assert {one["status"] for one in summary["compared"].values()} == {"no feasible plan"}
    assert rows(tmp_path / "run") == []
    assert explain([str(tmp_path / "run")]) == 0


def test_plans_of_ones_own_are_scored_on_their_best_engine(compared: Outcome) -> None:
    plan = compared.plans.row(compared.choice.recommended)  # type: ignore[union-attr]
    table = search.evaluate(None, [plan, {"tp": 2, "sp": 2, "batch": 1}], SMALL)
    assert table.engine.tolist() == [compared.engine, "trtllm"]
    result = search.run(None, SMALL)
    assert (result.engine, result.recommended) == (compared.engine, plan)
    assert set(result.front_table().engine) == set(result.candidates_table().engine) == set(ENGINES)
