"""``servefront simulate RUN --plan split``: both pools and the link, against what the search said of the same plan."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from search.cli import main as servefront

RATE = 6.0
POISSON = ("workload.arrivals.kind=poisson", f"workload.requests_per_s={RATE}")


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("split") / "run"
    words = (
        "model=qwen3_8b hardware=h100_sxm engine=sglang space.gpus=[4] space.tp=[1,2] space.dp=[2,4] space.batch=[64] "
        "space.serving=[aggregated,split] workload.isl=1024 workload.osl=256 limits.ttft_s=1 strategy=exact "
        "report=none sensitivity=none"
    )
    assert servefront([*words.split(), f"hydra.run.dir={folder}"]) == 0
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def written(run_folder: Path) -> Path:
    folder = run_folder.parent / "simulated"
    words = ["simulate", str(run_folder), "--plan", "split", *POISSON, "--requests", "2000", "--knee", "3"]
    assert servefront([*words, "--out", str(folder)]) == 0
    return folder


def test_parts_add_up_and_every_instance_works(run_folder: Path, written: Path) -> None:
    told, rows = rows_of(run_folder / "split.csv")[0], rows_of(written / "requests.csv")
    assert len(rows) == 2000
    for row in rows:
        parts = [float(row[name]) for name in ("prefill_s", "journey_s", "join_s")]
        assert min(parts) > 0.0
        assert sum(parts) == pytest.approx(float(row["ttft_s"]), abs=3e-6)
    for pool in ("prefill", "decode"):
        assert {row[pool] for row in rows} == {str(i) for i in range(int(told[f"{pool}_instances"]))}


def test_the_knee_goes_beyond_what_it_can_do(run_folder: Path, written: Path) -> None:
    points = rows_of(written / "knee.csv")
    rates = [float(p["requests_per_s"]) for p in points]
    assert rates == sorted(rates)
    assert min(abs(rate / RATE - 1.0) for rate in rates) < 0.1  # what the drawn arrivals come to
    waits = [float(p["ttft_s_mean"]) for p in points]
    assert waits == sorted(waits)
    closed = float(rows_of(run_folder / "split.csv")[0]["requests_per_s"])  # with less than every seat taken
    assert rates[-1] > closed
    assert "limit on mean" in (written / "knee.svg").read_text()


def test_requests_beyond_the_context_are_refused(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    words = ["workload.isl=40000", "workload.osl=1000", "workload.lengths.kind=uniform", "--requests", "200",
             "workload.arrivals.kind=poisson"]  # fmt: skip
    words += ["workload.lengths.prompt.low=38000", "workload.lengths.prompt.high=42000"]
    words += ["workload.lengths.answer.low=500", "workload.lengths.answer.high=1500", "workload.requests_per_s=0.2"]
    assert servefront(["simulate", str(run_folder), "--plan", "split", *words, "--json"]) == 0
    assert 0 < json.loads(capsys.readouterr().out)["never_served"] < 200
    assert servefront(["simulate", str(run_folder), "--plan", "split", *words]) == 0
    assert "sequences fit at these lengths" in capsys.readouterr().out


def test_a_closed_loop_holds_as_many_as_are_asked_for(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Little's law over the whole run; without a number as many as there are seats."""
    words = ["simulate", str(run_folder), "--plan", "split", "--requests", "400", "--in-flight", "20"]
    assert servefront([*words, "--out", str(tmp_path / "a")]) == 0
    rows = rows_of(tmp_path / "a" / "requests.csv")
    assert not (tmp_path / "a" / "knee.csv").exists()
    sent = [float(row["arrival_s"]) for row in rows]
    assert sent[:20] == [0.0] * 20
    assert 0.0 < sent[20] <= sent[-1]
    stays = [float(row["e2e_s"]) for row in rows]
    inside = sum(stays) / max(at + stay for at, stay in zip(sent, stays, strict=True))
    assert 0.85 * 20 < inside <= 20.0
    told = rows_of(run_folder / "split.csv")[0]
    capsys.readouterr()
    assert servefront([*words[:-2]]) == 0
    seats = int(told["decode_instances"]) * int(told["decode_batch"])
    assert f"; {seats} requests are always inside" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--plan", "split:0"), "is not a row of split.csv"),
        (("--plan", "split", "--in-flight", "0"), "a whole number from 1 on"),
        (("--plan", "split", *POISSON, "--in-flight", "9"), "does not go with arrivals 'poisson'"),
    ],
)
def test_what_is_not_simulated(
    run_folder: Path, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert servefront(["simulate", str(run_folder), *words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("decode_instances", "-1", "decode_instances"),
        ("decode_gpus", "3", "keeps its instances that decode out"),
        ("prefill_tp", "3", "keeps its instances that prefill out"),
        ("decode_drafter", "mtp", "decode_drafter"),
        ("decode_cp", "2", "deal caches"),
        ("decode_pp", "3", "keeps its instances that decode out"),
    ],
)
def test_a_row_that_somebody_changed(
    run_folder: Path, tmp_path: Path, column: str, value: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = rows_of(run_folder / "split.csv")
    for name in ("config.yaml", "pareto.csv"):
        (tmp_path / name).write_text((run_folder / name).read_text())
    with (tmp_path / "split.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerow(rows[0] | {column: value})
    assert servefront(["simulate", str(tmp_path), "--plan", "split"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error
