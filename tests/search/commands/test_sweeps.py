"""Hydra multirun: one folder a sweep, one ``sweep.csv``, jobs that fail do not stop the others."""

import csv
import importlib.util
import shutil
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


def files(folder: Path) -> dict[str, bytes]:
    """What the jobs of a sweep left, but for times and places."""
    names = {"summary.json", "search.log", "config.yaml", "hydra.yaml", "overrides.yaml", "multirun.yaml"}
    there = [path for path in folder.rglob("*") if path.is_file() and path.name not in names]
    return {str(path.relative_to(folder)): path.read_bytes() for path in there}


def test_jobs_elsewhere_leave_and_say_the_same(search, tmp_path):
    """In processes of ours, or of joblib's: files, the closing table, exit code, a line for each failure."""
    words = [
        "-m",
        "+experiment=qwen3_235b",
        "strategy=exact",
        *BARE,
        "space.batch=[64,256]",
        "limits.ttft_s=-1,0.001,30",
    ]
    code, out, err = search(*words, "hydra.sweep.dir=here")
    assert (code, len(err.splitlines())) == (2, 2)
    table = out[out.index("Recommended plans") :].replace("here", "there")
    launchers = [("compute=processes", "compute.workers=2")]
    if importlib.util.find_spec("hydra_plugins.hydra_joblib_launcher"):
        launchers.append(("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"))
    for launcher in launchers:
        told = search(*words, *launcher, "hydra.sweep.dir=there")
        assert told[0] == code
        assert table in told[1]
        assert "compute=processes" not in launcher or told[2] == err  # joblib's write to the terminal themselves
        assert files(tmp_path / "here") == files(tmp_path / "there")
        shutil.rmtree(tmp_path / "there")


def test_a_job_that_cannot_be_composed_bars_the_others(search, tmp_path):
    """All are composed before the first begins, each once."""
    code, _, err = search(
        "-m", "+experiment=qwen3_235b", "strategy=exact", *BARE, "hardware=h100_sxm,n", "hydra.sweep.dir=s"
    )
    assert (code, err.count("\n")) == (2, 1)
    assert "hardware=n" in err or "'n'" in err
    assert not list((tmp_path / "s").rglob("pareto.csv"))
