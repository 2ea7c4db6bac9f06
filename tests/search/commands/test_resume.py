"""Nothing is lost: a search or a sweep that was killed or ended by Ctrl-C goes on to the result it would have had."""

import csv
import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from search.base import interrupt
from search.base.workers import remembered
from search.commands.search import main
from search.optimizer import run as module
from search.optimizer import stream as streaming
from search.optimizer.sensitivity import draws

SPACE = ("+experiment=qwen3_235b", "report=none", "space.batch=[1,16,64,128,256,400,512]")
ONE = (*SPACE, "strategy.n_trials=60", "sensitivity.draws=16")
MANY = ("-m", *SPACE, "strategy=exact", "sensitivity=none", "limits.ttft_s=10,30,40")
CASES = [("one", ONE, "run"), ("many", MANY, "sweep")]
TIMES = {"summary.json", "study.journal", "search.log", "config.yaml", "hydra.yaml", "overrides.yaml", "multirun.yaml"}


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """As if the space were large: in pieces, each remembered at once."""
    monkeypatch.setattr(module, "HELD", 0)
    monkeypatch.setattr(streaming, "PIECE", 100)
    monkeypatch.setattr(remembered, "EVERY_S", 0.0)


def files(folder: Path) -> dict[str, bytes]:
    """What a run or a sweep left, but for when and where, and Hydra's word of it."""
    there = [p for p in folder.rglob("*") if p.is_file() and p.name not in TIMES]
    return {str(p.relative_to(folder)): p.read_bytes() for p in there}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What nobody disturbed: folder by kind, and seconds that it took."""
    folder = tmp_path_factory.mktemp("whole")
    found = {}
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.setattr(module, "HELD", 0)
        patched.setattr(streaming, "PIECE", 100)
        for kind, words, where in CASES:
            start = time.perf_counter()
            assert main([*words, f"hydra.{where}.dir={kind}"]) == 0
            found[kind] = files(folder / kind), time.perf_counter() - start
    return found


def killed(words, after: float) -> int:
    """Exit status of ``main`` in a process of its own that is killed ``after`` seconds."""
    child = os.fork()
    if child == 0:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os._exit(main(list(words)))
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


KILLS = [
    pytest.param(*case, seed, marks=() if seed < (2, 1)[case[0] == "many"] else pytest.mark.twenty)
    for case in CASES
    for seed in range(20)
]


@pytest.mark.parametrize(("kind", "words", "where", "seed"), KILLS)
def test_killed_at_a_random_moment_and_resumed(kind, words, where, seed, whole, search, tmp_path):
    """By SIGKILL, which nobody can heed."""
    expected, seconds = whole[kind]
    begin = [*words, f"hydra.{where}.dir=it"]
    killed(begin, random.Random(seed).uniform(0.1, 1.0) * seconds)
    code, out, err = search("resume=it")
    if code == 2:  # it was killed before it had said what it is
        assert "holds nothing to go on with" in err
        code, out, err = search(*begin)
    assert (code, err) == (0, "")
    assert "Sweep written to" in out or where == "run"
    assert files(tmp_path / "it") == expected
    if where == "run":
        assert "is whole: nothing is left to do" in search("resume=it")[1]


def test_a_claim_that_outlived_its_search_goes(search, tmp_path):
    code, _, err = search(*CASES[0][1], "hydra.run.dir=it")
    assert (code, err) == (0, "")
    (tmp_path / "it" / ".lock").touch()
    assert "is whole: nothing is left to do" in search("resume=it")[1]
    assert not (tmp_path / "it" / ".lock").exists()


class _Struck:
    """Calls something, and sends this process SIGINT at a call."""

    def __init__(self, called, at):
        self.called, self.at = called, at

    def __call__(self, *arguments):
        self.at -= 1
        if self.at == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return self.called(*arguments)


def strike(monkeypatch, owner, name, at):
    monkeypatch.setattr(owner, name, (lambda struck: lambda *a: struck(*a))(_Struck(getattr(owner, name), at)))


def test_ctrl_c_while_plans_are_scored(search, tmp_path, monkeypatch, whole):
    with monkeypatch.context() as patched:
        strike(patched, streaming.Scoring, "__call__", 5)
        code, _, err = search(*ONE, "hydra.run.dir=it")
    assert code == 130
    assert err.splitlines()[0] == "interrupted: ending with what was found so far; once more ends at once"
    summary = json.loads((tmp_path / "it" / "summary.json").read_text())
    assert summary["partial"] == ["exact", "study", "sensitivity"]
    assert not summary["exact"]
    assert 0 < summary["scored"] < summary["legal"]
    assert f"ended early: {summary['scored']:,} of {summary['legal']:,} legal plans" in err
    with (tmp_path / "it" / "pareto.csv").open() as file:
        assert sum(1 for _ in csv.DictReader(file)) == summary["front"] > 0
    assert "ended early" in (tmp_path / "it" / "plan.md").read_text()
    code, _, err = search(*ONE, "hydra.run.dir=it")
    assert (code, err.count("\n")) == (2, 1)
    assert "was ended early; resume=" in err
    done = []
    score = streaming.Scoring.__call__
    monkeypatch.setattr(streaming.Scoring, "__call__", lambda self, piece: done.append(0) or score(self, piece))
    assert search("resume=it")[0] == 0
    assert files(tmp_path / "it") == whole["one"][0]
    assert len(done) < summary["legal"] / streaming.PIECE - 4  # five pieces were not scored again


def test_ctrl_c_in_the_sensitivity_keeps_the_exact_front(search, tmp_path, monkeypatch, whole):
    strike(monkeypatch, draws.Drawing, "__call__", 2)
    code, _, err = search(*ONE, "hydra.run.dir=it")
    assert code == 130
    summary = json.loads((tmp_path / "it" / "summary.json").read_text())
    assert (summary["partial"], summary["exact"], summary["trials"]) == (["sensitivity"], True, 60)
    assert "cut short or left out: sensitivity" in err
    assert files(tmp_path / "it")["pareto.csv"] == whole["one"][0]["pareto.csv"]


def test_ctrl_c_in_a_sweep_keeps_the_jobs_that_are_done(search, tmp_path, monkeypatch, whole):
    with monkeypatch.context() as patched:
        strike(patched, streaming.Scoring, "__call__", 14)  # in the second of three jobs
        code, out, _ = search(*MANY, "hydra.sweep.dir=it")
    assert code == 130
    with (tmp_path / "it" / "sweep.csv").open() as file:
        statuses = {row["job"]: row["status"] for row in csv.DictReader(file)}
    assert statuses == {"0": "ok", "1": "partial"}
    assert "Sweep written to" in out
    kept = (tmp_path / "it" / "0" / "summary.json").read_bytes()
    code, _, err = search("resume=it", "compute.workers=3")
    assert (code, err) == (0, "")
    assert files(tmp_path / "it") == whole["many"][0]
    assert (tmp_path / "it" / "0" / "summary.json").read_bytes() == kept  # it was not run again


def struck(times: int, *, worthwhile: bool) -> bool:
    """Whether somebody is heard to have asked to end, after so many Ctrl-C."""
    with interrupt.heeded("said"):
        if worthwhile:
            interrupt.worthwhile()
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
        return interrupt.asked()


def test_the_second_ctrl_c_ends_at_once_and_the_first_where_nothing_is_worth_keeping():
    assert struck(1, worthwhile=True)
    assert not interrupt.asked()
    with pytest.raises(KeyboardInterrupt):
        struck(2, worthwhile=True)
    with pytest.raises(KeyboardInterrupt):
        struck(1, worthwhile=False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["resume=nowhere"], "holds nothing to go on with"),
        (["resume=it", "limits.ttft_s=3"], "resume: 'limits.ttft_s=3' is not allowed beside it"),
        (["resume=it", "resume=it"], "is not allowed beside it"),
        (["resume=it/0"], "is a job of a sweep; give the sweep's own folder"),
    ],
)
def test_what_cannot_be_resumed_is_one_line(words, said, search, tmp_path):
    (tmp_path / "it" / "0" / ".hydra").mkdir(parents=True)
    text = "hydra:\n  mode: MULTIRUN\n  runtime: {cwd: /}\n  overrides: {task: [model=qwen3_8b]}\n"
    (tmp_path / "it" / "0" / ".hydra" / "hydra.yaml").write_text(text)
    code, out, err = search(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


@pytest.mark.parametrize(
    "word", ["hydra.callbacks.x._target_=os.abort", "+hydra.job.chdir=true", "name=${oc.env:HOME}"]
)
def test_a_folder_says_nothing_to_hydra_and_asks_for_no_environment(word, search, tmp_path):
    (tmp_path / "it" / ".hydra").mkdir(parents=True)
    text = f"hydra:\n  mode: RUN\n  runtime: {{cwd: {tmp_path}}}\n  overrides: {{task: ['{word}']}}\n"
    (tmp_path / "it" / ".hydra" / "hydra.yaml").write_text(text)
    code, _, err = search("resume=it")
    assert (code, err.count("\n")) == (2, 1)
    assert "is not taken from a folder" in err


@pytest.mark.parametrize("text", ["", "hydra:\n  run:", "hydra: 1", "hydra:\n  run: {dir: it"])
def test_a_kill_while_hydra_wrote_its_file_leaves_nothing_to_go_on_with(text, search, tmp_path):
    (tmp_path / "it" / ".hydra").mkdir(parents=True)
    (tmp_path / "it" / ".hydra" / "hydra.yaml").write_text(text)
    code, out, err = search("resume=it")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "holds nothing to go on with: hydra.yaml is not whole; begin again" in err
