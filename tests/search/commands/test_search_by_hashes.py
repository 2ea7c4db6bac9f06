"""A search whose trace has block hashes: from the command line to the columns and the documents."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from costmodel.scores import PREFIXES
from search.cli import main as servefront

SMALL = (
    "model=qwen3_8b", "hardware=h100_sxm", "engine=vllm", "space.gpus=[2]", "space.tp=[1,2]", "space.dp=[1,2]",
    "space.batch=[32]", "strategy=exact", "sensitivity=none", "workload.isl=2000", "workload.osl=20", "report=none",
    "workload.lengths.kind=trace", "workload.arrivals.kind=poisson", "workload.requests_per_s=4", "verify.seeds=2",
    "verify.requests=200",
)  # fmt: skip


def trace(folder: Path, tokens: int = 2100) -> Path:
    """The same forty documents again and again, each with a question of its own."""
    rows = [
        {
            "timestamp": 250 * i,
            "input_length": tokens,
            "output_length": 20,
            "hash_ids": [7 * (i % 40) + j for j in range(3)] + [10_000 + i],
        }
        for i in range(1200)
    ]
    path = folder / "trace.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return path


def test_a_run_finds_what_its_caches_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    assert servefront([*SMALL, f"workload.lengths.trace={trace(tmp_path)}", f"hydra.run.dir={folder}"]) == 0
    with (folder / "pareto.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows and set(PREFIXES) <= set(rows[0])
    once = 1536 / 2100  # three blocks of each document, once it is there
    for row in rows:
        assert float(row["prefix_hit"]) == pytest.approx(once * (1 - 40 * int(row["dp"]) / 1200), abs=0.02)
    verified = json.loads((folder / "summary.json").read_text())["verified"]
    assert verified and all(v["simulated"]["prefix_hit"] == pytest.approx(once, abs=0.03) for v in verified)
    plan = (folder / "plan.md").read_text()
    assert "prompt tokens found in the cache" in plan and "A group's own cache has room for" in plan
    capsys.readouterr()
    assert servefront(["explain", str(folder)]) == 0
    assert "prefix_hit" in capsys.readouterr().out


BAD = {
    "1200 of 1200 requests are longer than the model's context of 40960 tokens": (50_000, ()),
    "workload.lengths.longest: 100 leaves no request": (2100, ("workload.lengths.longest=100",)),
    "objective.ties.prefix_hit: is not known without block hashes": (
        2100, ("+objective.ties.prefix_hit=max", "workload.lengths.hashes=false")
    ),
}  # fmt: skip


@pytest.mark.parametrize("said", BAD)
def test_bad_input_is_one_line(said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokens, more = BAD[said]
    words = (f"workload.lengths.trace={trace(tmp_path, tokens)}", *more, f"hydra.run.dir={tmp_path / 'r'}")
    assert servefront([*SMALL, *words]) == 2
    printed = capsys.readouterr()
    assert said in printed.err and printed.err.count("\n") == 1 and not printed.out
    assert not (tmp_path / "r").exists()
