"""Bad input: one clear line, exit 2, no traceback; limits that nothing meets: exit 1."""

import pytest

from search.cli import main

CASES = {
    "+modle=x": "modle: unknown key",
    "+limits.tpot=3": "limits.tpot: unknown key; allowed: e2e_s",
    "limits.tpot=3": "limits.tpot",
    "limits.ttft_s=soon": "limits.ttft_s",
    "limits.ttft_s=-1": "limits.ttft_s: -1.0 is not allowed",
    "limits.ttft_s=nan": "limits.ttft_s",
    "limits.ttft_statistic=p99": "limits.ttft_statistic: p99 is not known in the closed loop",
    "limits.memory_fraction=1.5": "limits.memory_fraction: 1.5",
    "workload.isl=0": "workload.isl: 0",
    "workload.prefix_hit=1": "workload.prefix_hit",
    "space.gpus=[7]": "none of its",
    "space.tp=[]": "space.tp: []",
    "space.tp=[2,2]": "space.tp",
    "space.tp=abc": "space.tp",
    "space.batch=['8:4:1']": "space.batch",
    "space.batch=['1:9999999:1']": "space.batch",
    "model=nope": "model: there is no 'nope'; near: ",
    "hardware.memory_bytes=-5": "hardware.memory_bytes: -5",
    "hardware.efficiency.mfu=1.5": "hardware.efficiency.mfu: 1.5",
    "hardware.efficiency.mfu=[0.5]": "hardware.efficiency.mfu: [0.5] is not allowed; give a number above 0 to 1",
    "hardware.efficiency.law=magic": "hardware.efficiency.law",
    "+hardware.efficiency.speed=2": "hardware.efficiency.speed: unknown key",
    "cluster.tiers=[]": "cluster.tiers",
    "cluster=[1,1]": "cluster: '[1,1]' is not allowed; give the name of an option",
    "cluster.tiers.x=1": "cluster.tiers.x: 'x' is no place in a list",
    "engine=0": "engine: '0' is not allowed; give the name of an option",
    "+hardware.peak_flops.fp8x=1e15": "hardware.peak_flops: 'fp8x' is not allowed; dtypes: bf16, ",
    "engine.name=tgi": "engine.name: 'tgi'",
    "engine.dense_split=x": "engine.dense_split",
    "strategy.sampler=cmaes": "strategy.sampler: 'cmaes' is not allowed; give one of nsga2",
    "strategy.n_trials=0": "strategy.n_trials: 0",
    "strategy.seed=-1": "strategy.seed: -1",
    "+objective.recommend.gpus=min": "objective.recommend",
    "+objective.columns.beauty=max": "objective.columns: unknown column 'beauty'",
    "objective.columns.gpus=up": "objective.columns.gpus: 'up'",
    "baselines=[{name: x, layout: {gpus: 8, tp: 3}, batch: 1}]": "breaks rule",
    "baselines=[{name: x, layout: {gpus: 8, tq: 3}, batch: 1}]": "unknown degree 'tq'",
    "baselines=[{name: x, layout: {gpus: 8, tp: 8}, batch: 1, claims: {speed: 2}}]": "unknown figure 'speed'",
    "baselines=[{name: x}]": "baselines",
    "model.config=absent.json": "absent.json",
    "hydra.run.dir=/proc/nowhere/run": "/proc/nowhere",
    "a==b": "a==b",
    "limits.tpot_s=40": "limits.tpot_s: 40.0 is not allowed; give a number above 0 to 10; 0.04 if ms were meant",
    "limits.ttft_s=2000": "0 to 600; 2 if ms were meant",
    "limits.memory_fraction=90": "0.9 if percent were meant",
    "workload.prefix_hit=30": "0 to 0.999; 0.3 if percent were meant",
    "hardware.memory_bytes=96": "hardware.memory_bytes: 96.0 is not allowed; give a number from 1e8 to 1e14; 9.6e",
    "cluster.tiers.1.bytes_per_s=400": "4e+11 if GB/s were meant or 5e+10 if Gb/s were meant",
}


@pytest.mark.parametrize("override", CASES)
def test_bad_input_is_one_line_and_exit_2(search, override):
    code, out, err = search("+experiment=qwen3_235b", override)
    lines = [line for line in err.splitlines() if line.strip()]
    assert code == 2, err
    assert len(lines) == 1, err
    assert lines[0].startswith("error: ")
    assert CASES[override] in lines[0]
    assert "Traceback" not in out + err


def test_unknown_experiment(search):
    code, _, err = search("+experiment=nope")
    assert code == 2
    assert err.splitlines() == [line for line in err.splitlines() if "there is no 'nope'" in line]
    assert "qwen3_235b" in err


def test_unknown_key_inside_a_file(search, tmp_path):
    folder = tmp_path / "mine" / "limits"
    folder.mkdir(parents=True)
    (folder / "typo.yaml").write_text("memory_fraction: 0.9\nttft: 3\n")
    code, _, err = search("--config-dir", str(tmp_path / "mine"), "+experiment=qwen3_235b", "limits=typo")
    assert code == 2
    assert err.startswith("error: limits.ttft: unknown key")


def test_limits_that_nothing_meets(search, tmp_path):
    code, out, err = search("+experiment=qwen3_235b", "limits.ttft_s=0.001", "hydra.run.dir=r")
    assert code == 1
    assert len(err.splitlines()) == 1
    assert "misses ttft by" in err
    assert out.splitlines() == [f"Written to {tmp_path / 'r'}"]
    assert (tmp_path / "r" / "pareto.csv").read_text().count("\n") == 1
    assert not (tmp_path / "r" / "plan.yaml").exists()


def test_a_folder_that_holds_a_run_is_not_written_into(search, tmp_path):
    assert search("+experiment=qwen3_235b", "strategy=exact", "hydra.run.dir=r")[0] == 0
    before = (tmp_path / "r" / "pareto.csv").read_bytes()
    code, _, err = search("+experiment=qwen3_235b", "strategy=exact", "hydra.run.dir=r", "workload.isl=512")
    assert code == 2
    assert "already holds a run" in err
    assert (tmp_path / "r" / "pareto.csv").read_bytes() == before
    assert not (tmp_path / "r" / "status.json").exists()


def test_an_infeasible_run_names_the_ends_where_the_nearest_plan_stands_and_can_be_explained(search, tmp_path, capsys):
    tight = ("limits.ttft_s=null", "limits.tpot_s=0.001", "space.gpus=[8]", "space.batch=[16,32]")
    code, _, err = search("+experiment=qwen3_235b", *tight, "strategy=exact", "hydra.run.dir=r")
    assert code == 1
    assert "batch 16 is the smallest of space.batch" in err
    assert "gpus 8 is the only of space.gpus" in err
    assert main(["explain", str(tmp_path / "r")]) == 0
    told = capsys.readouterr().out
    assert told.startswith("Plan nearest: gpus 8")
    assert "batch 16" in told.splitlines()[0]
    assert "Not recommended: it misses tpot by" in told


def test_a_batch_axis_from_one_ends_nowhere(search):
    tight = ("limits.ttft_s=null", "limits.tpot_s=0.001", "strategy=exact", "hydra.run.dir=r")
    code, _, err = search("+experiment=qwen3_235b", *tight)
    assert code == 1
    assert "batch 1 misses" in err
    assert "space.batch" not in err
