"""``search.commands.explain`` against plain loops over plans, and as a command."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from explain_cases import DECIDING, is_legal, plan, some

from costmodel.breakdown import breakdown
from costmodel.evaluate import evaluate
from costmodel.plans import AXES, Plans
from search.cli import main as servefront
from search.commands.explain.explained import explain
from search.commands.explain.main import main as explain_command
from search.commands.explain.show import verdict_lines
from search.commands.explain.tables import tables
from search.commands.search import main as search_main
from search.optimizer.outcome import Outcome
from search.optimizer.rules.registry import engine_rules, general_rules

REPO = Path(__file__).parents[4]
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explain") / "my-run"
    assert search_main(["+experiment=qwen3_235b", "strategy.n_trials=50", f"hydra.run.dir={folder}"]) == 0
    return folder


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = explain_command(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_dominators_and_rank_are_those_of_a_plain_loop(worked: Outcome) -> None:
    directions = worked.objectives.directions
    front = [worked.plans.take([row]) for row in worked.front]

    def values(one: Plans) -> dict[str, float]:
        scores = evaluate(worked.scenario, one)
        return {n: float(getattr(one if n == "gpus" else scores, n)[0]) for n in directions}

    table = [values(f) for f in front]
    deciding = sorted(getattr(worked.scores, DECIDING)[worked.scores.feasible], reverse=True)
    for one in some(worked):
        verdict = explain(worked, one, "x")
        assert verdict.standing is not None
        assert verdict.scores is not None
        mine = values(one)
        lead = [{n: (t[n] - mine[n]) * (1 if d == "max" else -1) for n, d in directions.items()} for t in table]
        better = [l for l in lead if min(l.values()) >= 0 and max(l.values()) > 0]  # noqa: E741
        assert verdict.standing.dominating == len(better)
        for d in verdict.standing.dominators:
            theirs = values(worked.plans.take([d.row]))
            for n, x in d.lead.items():
                assert x == pytest.approx((theirs[n] / mine[n] - 1) * (1 if directions[n] == "max" else -1))
        if verdict.scores.feasible[0]:
            assert verdict.standing.rank is not None
            value = float(getattr(verdict.scores, DECIDING)[0])
            assert deciding[verdict.standing.rank - 1] == pytest.approx(value)
            assert verdict.standing.on_front == (not better)
        else:
            assert verdict.standing.rank is None


def test_the_recommended_plan_is_said_to_be_so(worked: Outcome) -> None:
    assert worked.choice is not None
    verdict = explain(worked, worked.plans.take([worked.choice.recommended]), "x")
    lines = "\n".join(verdict_lines(worked, verdict))
    assert lines.startswith("It is the recommended plan.\nIts server starts, with a chance of ")
    assert "\nRank 1 of 3,289 feasible plans" in lines
    assert "The best plan with another layout is gpus 8, dp 1, pp 1, sp 1, tp 4, ep 1, batch 432" in lines
    assert "Without the ttft limit" in lines
    assert not [c for c in verdict.changes if c.kind == "plan"]  # nothing feasible in the space is better


def test_a_plan_off_the_axes_is_ranked_among_the_others(worked: Outcome) -> None:
    verdict = explain(worked, plan(batch=398), "x")
    assert verdict.legality.off_axis == ("batch",)
    assert verdict.standing is not None
    assert verdict.scores is not None
    feasible = getattr(worked.scores, DECIDING)[worked.scores.feasible]
    assert verdict.standing.rank == 1 + np.count_nonzero(feasible > getattr(verdict.scores, DECIDING)[0])
    lines = " ".join(verdict_lines(worked, verdict))
    assert "batch 398 is not on its axis" in lines
    assert "cannot tell them apart" in lines


@pytest.mark.parametrize(
    ("axes", "rule"),
    [
        ({"tp": 3}, "attention_fills_stage"),
        ({"gpus": 24, "dp": 5}, "replicas_fill_gpus"),
        ({"gpus": 128, "tp": 8, "ep": 128}, "fabric_reaches"),
        ({"pp": 95, "gpus": 95 * 4, "ep": 4}, "layers_to_go_round"),
    ],
)
def test_a_layout_that_does_not_exist(worked: Outcome, axes: dict[str, int], rule: str) -> None:
    verdict = explain(worked, plan(**axes), "x")
    (known,) = [r for r in general_rules() if r.name == rule]
    assert verdict.scores is None
    assert f"by rule {rule}: {known.text}." in verdict_lines(worked, verdict)[0]
    titles = [title for title, _, _ in tables(worked, verdict)]
    assert titles == ["Legality", "Nearest legal plans"]
    assert len(verdict.legality.nearest) == 3
    assert all(is_legal(worked, worked.plans.row(row)) for row in verdict.legality.nearest)


def test_the_nearest_legal_plan_is_that_of_a_plain_loop(worked: Outcome) -> None:
    one = plan(tp=3, batch=100)

    def distance(row: int) -> float:
        theirs, mine = worked.plans.row(row), one.row(0)
        return sum(abs(np.log2(theirs[a] / mine[a])) for a in AXES)

    nearest = explain(worked, one, "x").legality.nearest
    assert distance(nearest[0]) == pytest.approx(min(distance(r) for r in range(len(worked.plans))))
    assert [distance(r) for r in nearest] == sorted(distance(r) for r in nearest)


def test_a_plan_that_the_engine_refuses_is_explained_by_its_rule(vllm: Outcome) -> None:
    verdict = explain(vllm, plan(ep=4, batch=112), "x")
    rule = verdict.legality.refusals["vllm"]
    assert rule is not None
    assert rule in engine_rules("vllm")
    assert rule.name == "vllm.experts_whole_or_split"
    assert verdict.legality.refusals["sglang"] is None
    assert verdict_lines(vllm, verdict)[0] == "Not recommended: vllm does not take it."
    found = {title: rows for title, _, rows in tables(vllm, verdict)}
    assert rule.text in found["Legality"][0]
    assert verdict.changes
    assert {c.kind for c in verdict.changes} == {"plan"}  # no limit and no bandwidth makes it legal
    assert all(is_legal(vllm, c.plan) for c in verdict.changes)


def test_the_times_of_a_phase_add_up(worked: Outcome) -> None:
    one = plan()
    verdict = explain(worked, one, "x")
    assert list(verdict.time) == breakdown(worked.scenario, one)
    found = {title: rows for title, _, rows in tables(worked, verdict)}
    shares = [float(r[4].removesuffix(" %")) for r in found["Where the time of a decode step goes"] if r[4]]
    assert sum(shares) == pytest.approx(100, abs=0.5)


def test_limits_are_shown_with_their_margins(vllm: Outcome) -> None:
    verdict = explain(vllm, plan(batch=400), "x")
    found = {title: rows for title, _, rows in tables(vllm, verdict)}
    rows = {r[0]: r for r in found["Limits"]}
    assert rows["tpot"][4] == "50.0 ms"
    assert rows["tpot"][5].startswith("missed by")
    assert rows["requests"][5].endswith("left")
    assert set(rows) == {"memory", "ttft", "tpot", "requests"}


def test_the_command_explains_plans_by_every_name(folder: Path, command: Command) -> None:
    for arguments in ([], ["--plan", "recommended"], ["--plan", "1"], ["--plan", str(folder / "plan.yaml")]):
        code, out, err = command(str(folder), *arguments)
        assert (code, err) == (0, "")
        assert "It is the recommended plan." in out
        assert "\x1b" not in out
        assert "Changes that help most" in out
    code, out, _ = command(str(folder), "--plan", "tp=8,batch=512")
    assert code == 0
    assert "Not recommended: it misses memory by 43.4 %, ttft by 44.3 %." in out
    assert "Changes that make it feasible" in out
    code, out, _ = command(str(folder), "--plan", "tp=3")
    assert code == 0
    assert "the layout does not exist" in out


@pytest.mark.parametrize("text", ["0", "tp=x", "wp=4", "nowhere.yaml"])
def test_a_plan_that_cannot_be_read_is_one_line(folder: Path, command: Command, text: str) -> None:
    code, out, err = command(str(folder), "--plan", text)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1


def test_a_folder_without_a_run_is_one_line(folder: Path, tmp_path: Path, command: Command) -> None:
    assert command(str(tmp_path))[0] == 2
    for name in ("config.yaml", "pareto.csv"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    code, _, err = command(str(tmp_path))
    assert code == 2
    assert "summary.json: cannot be read" in err


def test_a_run_whose_front_is_not_exact_is_searched_again_with_its_seed(tmp_path: Path, command: Command) -> None:
    run_dir = tmp_path / "run"
    small = ["strategy.exact_limit=10", "strategy.n_trials=60", "strategy.seed=5"]
    assert search_main(["+experiment=qwen3_235b", *small, f"hydra.run.dir={run_dir}"]) == 0
    code, out, err = command(str(run_dir))
    assert (code, err) == (0, "")
    assert "It is the recommended plan." in out


def test_a_run_without_a_feasible_plan_explains_named_ones(tmp_path: Path, command: Command) -> None:
    run_dir = tmp_path / "run"
    assert (
        search_main(["+experiment=qwen3_235b", "strategy=exact", "limits.ttft_s=0.001", f"hydra.run.dir={run_dir}"])
        == 1
    )
    code, out, _ = command(str(run_dir))
    assert code == 0 and "nearest" in out
    code, out, _ = command(str(run_dir), "--plan", "gpus=8,tp=8,ep=8,batch=16")
    assert code == 0
    assert "Not recommended: it misses ttft" in out
    assert "Against the recommended plan" not in out


def test_names_reach_no_terminal_as_control_codes(
    worked: Outcome, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from search.commands.explain.show import print_verdict

    scenario = worked.scenario
    bad = replace(worked, scenario=replace(scenario, model=replace(scenario.model, name="\x1b[2J[bold]x\u202e")))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_verdict(bad, explain(bad, plan(), "\x1b]0;title\x07"))
    out = capsys.readouterr().out
    assert "[bold]x" in out
    assert not set("\x1b\x07\u202e") & set(re.sub(r"\x1b\[\d*m", "", out))  # rich's own bold aside


def test_commands_of_the_page_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each ``servefront explain`` line of docs/explain.md, in the folder that holds its ``my-run``."""
    monkeypatch.chdir(folder.parent)
    lines = re.findall(r"^ {4}servefront (explain .+)$", (REPO / "docs" / "explain.md").read_text(), re.MULTILINE)
    assert len(lines) >= 3
    for line in lines:
        words = line.split("#")[0].split()
        assert servefront(words) == 0
        assert "Legality" in capsys.readouterr().out
