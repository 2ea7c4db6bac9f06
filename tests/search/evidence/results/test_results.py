"""Results of three benchmarks, made up in the shapes that they write; a prediction is inside its own interval."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from search.base.errors import InputError
from search.cli import main as servefront
from search.evidence.results.read import read_results

VLLM = {
    "model_id": "m", "completed": 640, "failed": 0, "total_input_tokens": 640 * 1000, "total_output_tokens": 640 * 250,
    "request_rate": "inf", "burstiness": 1.0, "max_concurrency": 64, "request_throughput": 20.0,
    "output_throughput": 5000.0, "mean_ttft_ms": 120.0, "median_ttft_ms": 100.0, "p99_ttft_ms": 300.0,
    "mean_tpot_ms": 12.0, "p99_tpot_ms": 15.0, "mean_e2el_ms": 3100.0,
}  # fmt: skip
SGLANG = {
    "completed": 500, "total_input_tokens": 500_000, "total_output_tokens": 125_000, "request_rate": 4.0,
    "max_concurrency": None, "mean_ttft_ms": 90.0, "mean_tpot_ms": 9.0, "mean_e2e_latency_ms": 2400.0,
    "p99_e2e_latency_ms": 2900.0,
}  # fmt: skip


def told(mean: float, median: float) -> dict[str, Any]:
    return {"successful": {"mean": mean, "median": median, "percentiles": {"p90": mean, "p95": mean, "p99": 2 * mean}}}


GUIDELLM = {
    "benchmarks": [
        {
            "config": {"strategy": {"type_": "concurrent", "streams": 16}},
            "metrics": {
                "request_totals": {"successful": 200, "errored": 0},
                "time_to_first_token_ms": told(80.0, 70.0), "inter_token_latency_ms": told(9.0, 8.5),
                "request_latency": told(2.4, 2.3), "prompt_token_count": told(1000.0, 1000.0),
                "output_token_count": told(250.0, 250.0), "request_concurrency": told(15.7, 16.0),
                "output_tokens_per_second": told(1600.0, 1600.0), "requests_per_second": told(6.4, 6.4),
            },
        }
    ]
}  # fmt: skip


def write(path: Path, *found: object) -> Path:
    path.write_text("\n".join(map(json.dumps, found)))
    return path


def test_three_tools_say_the_same_things_in_their_own_words(tmp_path: Path) -> None:
    (vllm,) = read_results(write(tmp_path / "v.json", VLLM))
    assert (vllm.concurrency, vllm.rate, vllm.isl, vllm.osl) == (64, None, 1000.0, 250.0)
    assert vllm.figures["ttft_s_p50"] == 0.1 and vllm.figures["e2e_s_mean"] == 3.1
    assert vllm.figures["output_tokens_per_s"] == 5000.0 and "tpot_s_p90" not in vllm.figures
    (sglang,) = read_results(write(tmp_path / "s.jsonl", SGLANG))
    assert (sglang.concurrency, sglang.rate) == (None, 4.0) and sglang.figures["e2e_s_p99"] == 2.9
    (guidellm,) = read_results(write(tmp_path / "g.json", GUIDELLM))
    assert (guidellm.concurrency, guidellm.requests) == (16, 200)
    assert guidellm.figures["tpot_s_mean"] == pytest.approx(0.009) and guidellm.figures["ttft_s_p99"] == 0.16
    assert guidellm.figures["e2e_s_p50"] == 2.3


def test_a_line_a_result(tmp_path: Path) -> None:
    results = read_results(write(tmp_path / "s.jsonl", SGLANG, SGLANG | {"request_rate": 8.0}))
    assert [r.rate for r in results] == [4.0, 8.0]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({}, "lacks 'completed'"),
        ([1], "must be an object, not list"),
        (VLLM | {"completed": 0}, "completed = '0' is not allowed"),
        (VLLM | {"failed": 300}, "failed = '300' of 640; its figures are not of this load"),
        (VLLM | {"mean_ttft_ms": -3}, "mean_ttft_ms = '-3' is not allowed"),
        (VLLM | {"max_concurrency": 0.4}, "max_concurrency = 0.4 is not allowed"),
        (VLLM | {"completed": True}, "completed = 'True' is not allowed"),
        (SGLANG | {"request_rate": 10**400}, "request_rate = '1000.*' is not allowed"),
        ({"benchmarks": []}, "holds no result"),
        ({"benchmarks": [3]}, "lacks 'metrics'"),
        ({"completed": 3, "total_input_tokens": 3, "total_output_tokens": 3}, "holds no figure that is predicted"),
    ],
)
def test_bad_results_are_one_line(found: object, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said) as error:
        read_results(write(tmp_path / "r.json", found))
    assert "\n" not in str(error.value)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checked") / "run"
    words = ["model=qwen3_8b", "hardware=h100_sxm", "engine=vllm", "workload.isl=1000", "workload.osl=250"]
    space = ["space.gpus=[2]", "space.tp=[1]", "space.dp=[2]", "space.batch=[64]", "strategy=exact", "report=none"]
    assert servefront([*words, *space, "sensitivity=none", f"hydra.run.dir={folder}"]) == 0
    return folder


def checked(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert servefront(["check", *words, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    return dict(found)


def test_what_was_predicted_is_inside_and_twice_of_it_is_not(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = checked(capsys, str(run_folder), str(write(tmp_path / "v.json", VLLM)))
    predicted = {c["figure"]: c["predicted"] for c in first["figures"]}
    assert set(predicted) == {
        "ttft_s_mean", "ttft_s_p50", "ttft_s_p99", "tpot_s_mean", "tpot_s_p99", "e2e_s_mean", "output_tokens_per_s",
        "requests_per_s",
    }  # fmt: skip
    own = VLLM | {
        "mean_ttft_ms": predicted["ttft_s_mean"] * 1e3, "mean_tpot_ms": predicted["tpot_s_mean"] * 1e3,
        "mean_e2el_ms": predicted["e2e_s_mean"] * 2e3,
    }  # fmt: skip
    again = checked(capsys, str(run_folder), str(write(tmp_path / "w.json", own)))
    inside = {c["figure"]: c["inside"] for c in again["figures"]}
    assert inside["ttft_s_mean"] and inside["tpot_s_mean"] and not inside["e2e_s_mean"]
    assert again["calibrate"] == {}, "nothing to learn from what is right"
    slow = own | {"mean_tpot_ms": own["mean_tpot_ms"] * 1.3}
    moved = checked(capsys, str(run_folder), str(write(tmp_path / "x.json", slow)))["calibrate"]
    assert moved["launch_share"]["after"] > 1.03 * moved["launch_share"]["before"]
    assert all(0.0 <= change["certainty"] <= 1.0 for change in moved.values())


def test_a_rate_is_simulated(run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = checked(capsys, str(run_folder), str(write(tmp_path / "s.json", SGLANG)), "--servers", "2")
    assert found["calibrate"] is None
    assert {c["figure"] for c in found["figures"]} >= {"ttft_s_mean", "e2e_s_p99"}
    assert servefront(["check", str(run_folder), str(tmp_path / "s.json")]) == 0
    assert "4 requests/s" in capsys.readouterr().out


def test_bad_words_are_one_line(run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(write(tmp_path / "v.json", VLLM))
    long = str(write(tmp_path / "long.json", SGLANG | {"completed": 1}))
    for words, said in (
        ([long], "long.json: no request of 500000 + 125000 tokens has room in the plan's cache"),
        ([path, "--servers", "0"], "--servers: 0 is not allowed"),
        ([str(tmp_path / "none.json")], "none.json"),
        ([path, "--plan", "tp=3"], "--plan: rule attention_fills_stage keeps it out"),
    ):
        capsys.readouterr()
        assert servefront(["check", str(run_folder), *words]) == 2
        printed = capsys.readouterr()
        assert said in printed.err and printed.err.count("\n") == 1 and not printed.out
