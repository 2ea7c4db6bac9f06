"""``servefront simulate``: a run's plan under traffic."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from search.cli import main as servefront
from search.render import knee
from search.render.simulation import STATISTICS


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "run"
    words = "model=qwen3_8b hardware=h100_sxm engine=vllm space.gpus=[2] space.tp=[1,2] space.dp=[1,2] space.batch=[64]"
    also = ["strategy=exact", "report=none", "sensitivity=none", f"hydra.run.dir={folder}"]
    assert servefront([*words.split(), "workload.isl=1024", "workload.osl=256", *also]) == 0
    return folder


def figures(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    capsys.readouterr()
    assert servefront(["simulate", *words, "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


POISSON = ("workload.arrivals.kind=poisson", "workload.requests_per_s=8")
VARIED = (
    "workload.lengths.kind=lognormal", "workload.lengths.prompt.spread=0.7", "workload.lengths.answer.spread=0.7",
)  # fmt: skip


def test_the_same_seed_gives_the_same_and_another_does_not(
    run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (str(run_folder), *POISSON, *VARIED, "--requests", "300")
    first = figures(capsys, *words, "--seed", "3")
    assert first == figures(capsys, *words, "--seed", "3")
    assert first != figures(capsys, *words, "--seed", "4")


def test_the_closed_loop_is_the_one_that_was_searched(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Long enough that its first wave does not count. The closed form knows no lockstep of equally long requests, which
    shows in the TTFT, not in the rate."""
    found = figures(capsys, str(run_folder), "--requests", "4000")
    with (run_folder / "pareto.csv").open() as file:
        predicted = next(csv.DictReader(file))
    assert found["output_tokens_per_s"] == pytest.approx(float(predicted["output_tokens_per_s"]), rel=0.06)


@pytest.mark.parametrize("out", ["/proc/nothing", "a-file", "a-file/below", "a" * 300])
def test_a_folder_that_cannot_be_written_is_said_before_the_work(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("search.commands.simulate.serve", None)
    Path("a-file").touch()
    capsys.readouterr()
    assert servefront(["simulate", str(run_folder), "--out", out]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: --out {out[:80]}")
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a-file"]


def test_a_higher_rate_is_never_faster(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    waits = []
    for rate in (2, 20, 60):
        words = ("workload.arrivals.kind=poisson", f"workload.requests_per_s={rate}", *VARIED, "--requests", "1500")
        found = figures(capsys, str(run_folder), *words)
        waits.append(found["e2e_s"]["p99"])  # type: ignore[index]
    assert waits == sorted(waits)


def test_what_is_written(run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(run_folder), *POISSON, "--requests", "50", "--knee", "3", "--out", str(tmp_path / "s")]
    assert servefront(["simulate", *words]) == 0
    assert "| TTFT |" in capsys.readouterr().out
    with (tmp_path / "s" / "requests.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 50 and {row["replica"] for row in rows} <= {"0", "1"}
    assert all(float(row["e2e_s"]) > float(row["ttft_s"]) > 0 for row in rows)
    assert json.loads((tmp_path / "s" / "simulation.json").read_text())["requests"] == 50
    assert (tmp_path / "s" / "simulation.svg").read_text().startswith("<svg")
    with (tmp_path / "s" / "knee.csv").open() as file:
        knee = list(csv.DictReader(file))
    rates = [float(row["requests_per_s"]) for row in knee]
    assert len(knee) == 4 and rates == sorted(rates)
    assert float(knee[-1]["ttft_s_p99"]) > float(knee[0]["ttft_s_p50"]) > 0
    svg = (tmp_path / "s" / "knee.svg").read_text()
    assert svg.startswith("<svg") and "wanted: " in svg and "limit" not in svg


def test_the_knee_shows_the_limits() -> None:
    figures = {f: dict.fromkeys(STATISTICS, 0.1) for f in ("ttft_s", "tpot_s", "e2e_s")}
    worse = {f: dict.fromkeys(STATISTICS, float("inf")) for f in figures}
    svg = knee.picture([knee.Point(1.0, figures), knee.Point(2.0, worse)], "t", None, {"ttft_s": (2.0, "p99")})
    assert "limit on p99: 2 s" in svg and "wanted" not in svg and "inf" not in svg and "nan" not in svg


def test_prefixes_are_found_again(run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        json.dumps({"timestamp": 4000 * i, "input_length": 1100, "output_length": 4, "hash_ids": [0, i + 9, 0]})
        for i in range(20)
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    words = ("workload.lengths.kind=trace", f"workload.lengths.trace={tmp_path / 't.jsonl'}")
    replay = "workload.arrivals.kind=replay"
    found = figures(capsys, str(run_folder), *words, replay, "--plan", "tp=2,dp=1")
    assert found["prefix_hit"] == pytest.approx(19 * 512 / (20 * 1100))


def histogram(edges: str, shares: str) -> list[str]:
    prompt = "workload.lengths.prompt"
    return ["workload.lengths.kind=histogram", f"{prompt}.edges={edges}", f"{prompt}.shares={shares}"]


BAD = {
    "workload.requests_per_s: null does not go with arrivals 'poisson'": ["workload.arrivals.kind=poisson"],
    "workload.requests_per_s: 3 does not go with arrivals 'closed'": ["workload.requests_per_s=3"],
    "workload.arrivals.kind: 'often' is not allowed": ["workload.arrivals.kind=often"],
    "workload.lengths.trace: None does not go with kind 'trace'": ["workload.lengths.kind=trace"],
    "workload.arrivals.kind: 'replay' needs": ["workload.arrivals.kind=replay"],
    "workload.lengths.prompt.spread: 0 is not allowed": ["workload.lengths.kind=lognormal"],
    "workload.lengths.prompt.high: null is not allowed": ["workload.lengths.kind=uniform"],
    "workload.lengths.prompt.edges: 0 with 0 shares are not allowed": ["workload.lengths.kind=histogram"],
    "workload.lengths.prompt.shares: 0.7 in all is not allowed": histogram("[1,9,99]", "[0.5,0.2]"),
    "workload.lengths.prompt.edges: [1, 9, 3] is not allowed": histogram("[1,9,3]", "[0.5,0.5]"),
    "is not the mean of workload.lengths.prompt; give 50": histogram("[1,100]", "[1.0]"),
    "workload.ils: unknown key": ["workload.ils=3"],
    "'model=x' is not allowed": ["model=x"],
    "--requests: 0 is not allowed": ["--requests", "0"],
    "--seed: -1 is not allowed": ["--seed", "-1"],
    "--plan: rule attention_fills_stage keeps it out": ["--plan", "tp=3,dp=1"],
    "no-trace.csv: cannot be read": ["workload.lengths.kind=trace", "workload.lengths.trace=no-trace.csv"],
}


@pytest.mark.parametrize("said", BAD)
def test_bad_input_is_one_line(said: str, run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert servefront(["simulate", str(run_folder), *BAD[said]]) == 2
    printed = capsys.readouterr()
    assert said in printed.err and printed.err.count("\n") == 1 and not printed.out


def test_prompts_beyond_the_context_are_refused(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the server does: one by one, and where that is all of them there is nothing to simulate."""
    path = tmp_path / "t.csv"
    path.write_text(
        "arrival_s,prompt_tokens,answer_tokens\n" + "".join(f"{i},{100_000 if i % 2 else 500},20\n" for i in range(20))
    )
    words = ["workload.arrivals.kind=replay", "workload.lengths.kind=trace", f"workload.lengths.trace={path}"]
    assert figures(capsys, str(run_folder), *words)["never_served"] == 10
    path.write_text("arrival_s,prompt_tokens,answer_tokens\n0,100000,20\n")
    assert servefront(["simulate", str(run_folder), *words]) == 2
    assert "none of 1 requests can be served; the shortest has 100020 tokens" in capsys.readouterr().err
