"""Input of somebody else's: one line, exit 2, nothing written, nothing run."""

import csv
import os
import resource
import sys
from pathlib import Path

import pytest

from search.cli import main
from search.commands.folders import _lock, release

SMALL = (
    "+experiment=qwen3_235b",
    "strategy=exact",
    "report=none",
    "sensitivity=none",
    "space.gpus=[8]",
    "space.batch=[16]",
)
HARDWARE = {
    "aliases: [a, b": "line 1",
    "\tname: x": "line 1",
    "vendor: @x": "line 1",
    "vendor: a\nvendor: b": "given twice",
    "vendor: caf\xe9": "utf-8",
    "vendor: *a": "aliases",
    "defaults: 1": "defaults: 1",
    "vendor: !!python/object:os.x {}": "tag",
    "vendor: ${oc.env:HOME}": "may refer to its own values",
    "x: {_target_: pathlib.Path.touch}": "run code",
    "hydra: {callbacks: {x: {}}}": "hydra.callbacks",
    "# @package hydra.job_logging\nversion: 1": "Hydra itself",
}
OVERRIDES = {
    "engine.sources.exchange=[a]": "engine.sources.exchange",
    "assumptions=[[a]]": "assumptions[0]",
    "++engine.one_pass_tokens=18446744073709551616": "engine.one_pass_tokens",
    "limits.min_requests_per_s=1e-320": "limits.min_requests_per_s",
    "engine.expert_imbalance=1e200": "engine.expert_imbalance",
    "hardware.peak_flops.bf16=[0]": "hardware.peak_flops.bf16",
    "limits.ttft_s=???": "limits.ttft_s: must be given",
    "engine=0": "engine: '0' is not allowed; give the name of an option",
    "cluster.tiers.x=1": "'x'",
    "limits.ttft_s=" + "x" * 5000: "limits.ttft_s",
    "model=qwen3_8:b": "near: qwen3_8b",
    "space={gpus: '1:99999:1', tp: '1:99999:1', batch: '1:99999:1'}": "points",
}


@pytest.mark.parametrize("text", HARDWARE)
def test_a_file_of_a_folder_is_data(search, tmp_path, text):
    (tmp_path / "mine" / "hardware").mkdir(parents=True)
    (tmp_path / "mine" / "hardware" / "m.yaml").write_bytes(text.encode("latin-1"))
    code, _, err = search(*SMALL, "hardware=m", "hydra.run.dir=r", "hydra.searchpath=[mine]")
    assert (code, len(err.splitlines())) == (2, 1), err
    assert HARDWARE[text] in err
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("override", OVERRIDES)
def test_a_refused_search_leaves_nothing(search, tmp_path, override):
    code, _, err = search(*SMALL, override, "hydra.run.dir=r")
    assert (code, len(err.splitlines())) == (2, 1), err
    assert OVERRIDES[override] in err
    assert len(err) < 500
    assert not (tmp_path / "r").exists()


def test_a_sweep_with_other_values_is_refused_and_the_same_one_resumes(search, tmp_path):
    sweep = ("-m", *SMALL, "hydra.sweep.dir=s")
    assert search(*sweep, "workload.isl=256,512")[0] == 0
    before = (tmp_path / "s" / "sweep.csv").read_bytes()
    code, _, err = search(*sweep, "workload.isl=4096,8192")
    assert code == 2
    assert "another sweep" in err
    assert (tmp_path / "s" / "sweep.csv").read_bytes() == before
    (tmp_path / "s" / "1" / "summary.json").unlink()  # as if killed
    assert search(*sweep, "workload.isl=256,512")[0] == 0
    with (tmp_path / "s" / "sweep.csv").open() as file:
        assert {row["workload.isl"] for row in csv.DictReader(file)} == {"256", "512"}
    assert (tmp_path / "s" / "sweep.csv").read_bytes() == before


def test_what_a_killed_search_left_does_not_stay(search, tmp_path):
    assert search(*SMALL, "hydra.run.dir=r")[0] == 0
    (tmp_path / "r" / "summary.json").unlink()
    assert search(*SMALL, "limits.ttft_s=0.0001", "hydra.run.dir=r")[0] == 1
    assert not {"plan.yaml", "plan.md", "launch"} & {path.name for path in (tmp_path / "r").iterdir()}


def test_a_folder_is_one_searchs(search, tmp_path):
    (tmp_path / "r").mkdir()
    _lock("hydra.run.dir", tmp_path / "r")
    assert (tmp_path / "r" / ".lock").exists()
    release()
    assert not (tmp_path / "r" / ".lock").exists()


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_an_output_takes_the_place_of_a_file_alone(in_folder, tmp_path, kind):
    target = tmp_path / "out.json"
    {"link": lambda: target.symlink_to("else"), "pipe": lambda: os.mkfifo(target), "folder": target.mkdir}[kind]()
    (tmp_path / "plan.yaml").write_text("name: x\nlayout: {gpus: 8, tp: 8}\nbatch: 8\n")
    code, _, err = in_folder(main)("audit", "plan.yaml", "--json", "out.json")
    assert (code, len(err.splitlines())) == (2, 1), err
    assert kind in err
    assert not Path("else").exists()


def test_too_little_memory_leaves_nothing(search, tmp_path, monkeypatch):
    def too_much(*_, **__):
        raise MemoryError

    monkeypatch.setattr("search.optimizer.run.run", too_much)
    with pytest.raises(MemoryError):  # the program's door has the line
        search(*SMALL, "hydra.run.dir=r")
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_closed_output_is_no_error(tmp_path, monkeypatch, closed):
    monkeypatch.setattr(sys, closed, None)
    assert main([*SMALL, f"hydra.run.dir={tmp_path / 'r'}"]) == 0
    assert (tmp_path / "r" / "summary.json").exists()


def test_a_disk_that_fills_up_before_the_search_leaves_nothing(search, tmp_path):
    """Hydra's own files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        code, _, err = search(*SMALL, "hydra.run.dir=r")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (code, err.count("\n")) == (2, 1), err
    assert f"hydra.run.dir: {tmp_path / 'r'}: File too large" in err
    assert not (tmp_path / "r").exists()


def test_a_table_without_rows_is_refused(in_folder, tmp_path):
    (tmp_path / "r.csv").write_text("row,mode,model,system,engine,precision,isl,osl,gpus,ttft_ms,tpot_ms,concurrency\n")
    code, _, err = in_folder(main)("validate", "r.csv")
    assert (code, err) == (2, "error: r.csv: holds no row\n")


def test_a_pipe_is_no_input(in_folder, tmp_path):
    os.mkfifo(tmp_path / "f.csv")
    code, _, err = in_folder(main)("validate", "f.csv")
    assert (code, len(err.splitlines())) == (2, 1), err
