"""Hydra multirun: one folder a sweep, one ``sweep.csv``, jobs that fail do not stop the others."""

import csv
from pathlib import Path

BARE = ("report=none", "sensitivity=none")  # a job in a second


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "sweep.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_sweep_gathers_all_fronts_with_the_varied_keys(search, tmp_path):
    code, _, _ = search(
        "-m", "+experiment=qwen3_235b", "strategy=exact", *BARE, "workload.isl=1024,2048", "limits.ttft_s=10,30",
        "hydra.sweep.dir=s",
    )  # fmt: skip
    assert code == 0
    rows = table(tmp_path / "s")
    assert {(r["workload.isl"], r["limits.ttft_s"]) for r in rows} == {
        ("1024", "10"), ("1024", "30"), ("2048", "10"), ("2048", "30"),
    }  # fmt: skip
    assert "strategy" not in rows[0]
    assert {r["status"] for r in rows} == {"ok"}
    for job in ("0", "1", "2", "3"):
        with (tmp_path / "s" / job / "pareto.csv").open() as file:
            assert sum(1 for _ in csv.DictReader(file)) == sum(r["job"] == job for r in rows)


def test_an_infeasible_job_does_not_stop_the_others_and_the_exit_code_is_1(search, tmp_path):
    code, _, err = search(
        "-m", "+experiment=qwen3_235b", "strategy=exact", *BARE, "limits.ttft_s=0.001,30", "space.gpus=[8],[16]",
        "hydra.sweep.dir=s",
    )  # fmt: skip
    assert code == 1
    assert "job 0:" in err
    statuses = {r["job"]: r["status"] for r in table(tmp_path / "s")}
    assert statuses == {"0": "no feasible plan", "1": "no feasible plan", "2": "ok", "3": "ok"}


def test_a_job_with_bad_input_does_not_stop_the_others_and_the_exit_code_is_2(search, tmp_path):
    code, _, err = search(
        "-m", "+experiment=qwen3_235b", "strategy=exact", *BARE, "workload.isl=0,2048", "hydra.sweep.dir=s"
    )
    assert code == 2
    assert "workload.isl: 0" in err
    assert [r["status"] for r in table(tmp_path / "s")][0] == "error"
    assert "ok" in {r["status"] for r in table(tmp_path / "s")}


def test_hardware_and_experiments_can_be_swept(search, tmp_path):
    code, _, _ = search(
        "-m", "+experiment=qwen3_235b", "strategy=exact", *BARE, "hardware=h100_sxm,h200_sxm", "hydra.sweep.dir=s"
    )
    assert code == 0
    assert {r["hardware"] for r in table(tmp_path / "s")} == {"h100_sxm", "h200_sxm"}
    code, _, _ = search("-m", "+experiment=glob(*)", "strategy=exact", *BARE, "hydra.sweep.dir=e")
    assert code == 0
    assert len({r["experiment"] for r in table(tmp_path / "e")}) >= 4
