"""Measured runs under traffic: read, predicted both ways, written. Inputs are made up; the data's own runs are
scored."""

from __future__ import annotations

import csv
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from search.base.errors import InputError
from search.cli import main as servefront
from search.evidence.traffic_runs.predict import predict, write_predictions
from search.evidence.traffic_runs.rows import kind_of, read_runs
from search.evidence.traffic_runs.tables import steady

SERVER = {
    "engine": "vllm", "engine_version": "0.15.1", "system": "h100_sxm", "model": "Qwen/Qwen3-8B", "tp": "1",
    "max_num_seqs": "128", "max_num_batched_tokens": "2048",
}  # fmt: skip
STAGE = SERVER | {
    "run": "made-up", "arrivals": "constant", "rate_per_s": "4", "duration_s": "60", "requests": "240",
    "shared_prefix_tokens": "100", "prompt_tokens_mean": "600", "prompt_tokens_p99": "650",
    "output_tokens_mean": "200", "output_tokens_median": "250", "ttft_s_mean": "0.03", "e2e_s_p99": "2.5",
}  # fmt: skip


def write(path: Path, *rows: dict[str, str]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def runs_file(folder: Path, count: int = 50) -> Path:
    lines = [
        {"arrival_s": 100.0 + i, "input_tokens": 500 + i, "output_tokens": 50, "ttft_s": 0.05, "e2e_s": 0.55}
        for i in range(count)
    ]
    (folder / "one.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return write(folder / "runs.csv", SERVER | {"file": "one.jsonl", "dtype": "bfloat16", "requests": str(count)})


def test_a_stage_draws_the_lengths_that_it_states(tmp_path: Path) -> None:
    (run,) = read_runs(write(tmp_path / "s.csv", STAGE | {"rate_per_s": "100", "duration_s": "200"}), 0)
    requests = run.requests
    assert len(requests) == 20_000 and np.diff(requests.arrival_s) == pytest.approx(0.01)
    assert requests.prompt_tokens.mean() == pytest.approx(600, rel=0.01)
    assert np.percentile(requests.prompt_tokens, 99) == pytest.approx(650, rel=0.01)
    assert set(requests.answer_tokens) == {250}, "the mean counts what text reads as"
    assert requests.cached_tokens is not None and set(requests.cached_tokens) == {96}, "whole blocks of 16"
    assert run.measured == {"ttft_s_mean": 0.03, "e2e_s_p99": 2.5}


def test_prompts_of_groups_come_again_and_are_found(tmp_path: Path) -> None:
    stage = STAGE | {"groups": "3", "users_per_group": "2", "e2e_s_mean": "2.03"}
    (run,) = read_runs(write(tmp_path / "s.csv", stage), 0)
    blocks, prompts = run.requests.blocks, run.requests.prompt_tokens
    assert blocks is not None and run.requests.patience_s == 300.0
    assert [blocks[i] for i in range(6)] == [blocks[i] for i in range(234, 240)] and len(set(map(tuple, blocks))) == 6
    assert [len(b) for b in blocks] == (prompts // 16).tolist()
    assert blocks[0][:6] == blocks[3][:6] != blocks[1][:6] and blocks[0][6] != blocks[3][6], "96 tokens are a group's"
    assert run.measured["tpot_s_mean"] == pytest.approx(2.0 / 249)
    again, never = predict([run, *read_runs(write(tmp_path / "t.csv", STAGE), 0)])
    assert again.simulated["ttft_s_median"] < 0.9 * never.simulated["ttft_s_median"]
    assert again.analytic["ttft_s_mean"] < 0.9 * never.analytic["ttft_s_mean"]


def test_nobody_measures_clients_that_gave_up(tmp_path: Path) -> None:
    stage = STAGE | {"rate_per_s": "400", "duration_s": "10", "timeout_s": "7"}
    (found,) = predict(read_runs(write(tmp_path / "s.csv", stage), 0))
    assert 6.0 < found.simulated["e2e_s_p99"] < 7.0


def test_a_run_is_replayed_and_measured_request_by_request(tmp_path: Path) -> None:
    (run,) = read_runs(runs_file(tmp_path), 0)
    assert run.requests.arrival_s.tolist() == list(range(50))
    assert run.measured["tpot_s_mean"] == pytest.approx(0.5 / 49)
    (found,) = predict([run])
    assert not found.skipped
    # A request a second: nobody meets anybody, so both ways say the same.
    assert found.simulated["e2e_s_mean"] == pytest.approx(found.analytic["e2e_s_mean"], rel=0.1)


def test_more_than_the_server_can_do_is_over(tmp_path: Path) -> None:
    (run,) = read_runs(write(tmp_path / "s.csv", STAGE | {"rate_per_s": "500", "duration_s": "10"}), 0)
    (found,) = predict([run])
    assert found.analytic["e2e_s_mean"] == math.inf
    assert found.simulated["ttft_s_p99"] > 1.0


def test_what_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "s.csv", STAGE, STAGE | {"run": "other", "model": "nobody/knows"})
    assert servefront(["validate", str(path), "--out", str(tmp_path / "out.csv")]) == 0
    with (tmp_path / "out.csv").open() as file:
        first, second = csv.DictReader(file)
    assert first["run"] == "made-up" and float(first["ttft_s_p99_simulated"]) > 0 and not first["skipped"]
    assert float(first["e2e_s_mean_analytic"]) > float(first["ttft_s_mean_analytic"])
    assert "nobody/knows" in second["skipped"] and not second["ttft_s_mean_simulated"]
    assert "made-up" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rate_per_s": "-1"}, "rate_per_s '-1' is not allowed"),
        ({"rate_per_s": "nan"}, "rate_per_s 'nan' is not allowed"),
        ({"prompt_tokens_mean": "1e300"}, "prompt_tokens_mean '1e300' is not allowed"),
        ({"output_tokens_median": "1e25"}, "output_tokens_median '1e25' is not allowed"),
        ({"arrivals": "sometimes"}, "arrivals 'sometimes' are not known"),
        ({"groups": "2.5", "users_per_group": "4"}, "groups '2.5' is not allowed"),
        ({"timeout_s": "0"}, "timeout_s '0' is not allowed"),
        ({"prompt_tokens_mean": ""}, "prompt_tokens_mean '' is not allowed"),
        ({"ttft_s_mean": "soon"}, "ttft_s_mean 'soon' is not allowed"),
    ],
)
def test_bad_stages_are_one_line(change: dict[str, str], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        read_runs(write(tmp_path / "s.csv", STAGE | change), 0)


def test_a_run_names_no_file_elsewhere(tmp_path: Path) -> None:
    path = write(tmp_path / "r.csv", SERVER | {"file": "../one.jsonl", "dtype": "", "requests": "1"})
    with pytest.raises(InputError, match="give the name of a file beside it"):
        read_runs(path, 0)


def test_other_files_are_no_runs(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    assert kind_of(tmp_path / "x.csv") is None and kind_of(tmp_path / "none.csv") is None


def test_the_open_runs_are_all_predicted(tmp_path: Path) -> None:
    """Nothing is fitted to them (docs/simulate.md). Stages that keep up far from their capacity are held closer than
    overloaded runs, whose queue multiplies what a pass is off by."""
    folder = os.environ.get("SERVEFRONT_DATA")
    if not folder or not (Path(folder) / "traffic" / "measured").is_dir():
        pytest.skip("SERVEFRONT_DATA is unset or has no traffic: measured runs are not predicted")
    runs = read_runs(Path(folder) / "traffic" / "measured" / "request_runs.csv", 0)
    stages = read_runs(Path(folder) / "traffic" / "measured" / "open_loop_stages.csv", 0)
    wanted = ("llama-2-7b-tp1-codegen-0", "llama-2-7b-tp1-reasoning-0", "llama-2-70b-hf-tp4-codegen-0")
    predictions = predict([*runs, *(stage for stage in stages if stage.name in wanted)])
    assert not [p.skipped for p in predictions if p.skipped] and len(predictions) == 5
    write_predictions(predictions, "file", tmp_path / "out.csv")
    kept_up = {p.run.name for p in steady(predictions) if "rate_per_s" in p.run.settings}
    assert kept_up == {wanted[0], wanted[2]}
    for p in predictions:
        limits = {"ttft_s_mean": 0.20, "ttft_s_p99": 0.30, "e2e_s_mean": 0.17, "e2e_s_p99": 0.17}
        if p.run.name in kept_up:
            limits |= {"ttft_s_mean": 0.10, "e2e_s_mean": 0.10}
            assert p.analytic["ttft_s_mean"] == pytest.approx(p.run.measured["ttft_s_mean"], rel=0.15)
        for name, limit in limits.items():
            assert p.simulated[name] == pytest.approx(p.run.measured[name], rel=limit), (p.run.name, name)
    assert len(steady(predictions)) == 3
