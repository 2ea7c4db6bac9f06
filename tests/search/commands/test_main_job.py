"""The main job end to end: what a run leaves behind, and that it says what the model says."""

import csv
import gzip
import json
import math
import re
from pathlib import Path

import numpy as np
import optuna
import pytest
import yaml

from costmodel.evaluate import evaluate
from costmodel.plans import Plans
from search.commands.search import main
from search.inputs.config import read_model, read_scenario
from search.inputs.typed import typed

REQUIRED = """tp, ep, dp, pp, sp, batch, gpus, attn_dp, moe_tp, engines,
ttft_s, burst_ttft_s, tpot_s, output_tokens_per_s,
output_tokens_per_s_per_gpu, requests_per_s, weights_bytes_per_gpu, kv_cache_bytes_per_gpu, activation_bytes_per_gpu,
reserve_bytes_per_gpu, memory_bytes_per_gpu, memory_utilization, kv_capacity_tokens, recommended"""


def only(folder: Path) -> Path:
    (run,) = folder.iterdir()
    return run


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> Path:
    """The folder of one run of the worked case."""
    folder = tmp_path_factory.mktemp("job") / "run"
    assert main(["+experiment=qwen3_235b", f"hydra.run.dir={folder}"]) == 0
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return list(csv.DictReader(data.decode().splitlines()))


def test_a_run_leaves_all_of_its_files(job):
    names = {p.name for p in job.iterdir() if not p.name.startswith(".")}
    wanted = {"pareto.csv", "candidates.csv.gz", "summary.json", "plan.yaml", "plan.md", "study.journal"}
    assert wanted <= names


def test_front_has_its_columns_and_one_recommended_plan(job):
    front = rows(job / "pareto.csv")
    assert set(re.findall(r"\w+", REQUIRED)) <= set(front[0])
    assert {"ttft_s_low", "ttft_s_high", "tpot_s_low", "output_tokens_per_s_high"} <= set(front[0])
    assert [r["recommended"] for r in front].count("true") == 1


def test_front_rows_keep_the_contract_between_figures(job):
    for row in rows(job / "pareto.csv"):
        words = ("engine", "engines", "coverage", "recommended")
        r = {k: float(v) for k, v in row.items() if k not in words and not k.startswith(("usd_", "joules_"))}
        stay = r["ttft_s"] + 2047 * r["tpot_s"]
        assert math.isclose(r["output_tokens_per_s"], r["dp"] * r["batch"] * 2048 / stay, rel_tol=1e-12)
        assert r["gpus"] == r["dp"] * r["pp"] * r["tp"] * r["sp"] * r["attn_dp"]
        assert r["ep"] * r["moe_tp"] == r["gpus"] / (r["dp"] * r["pp"])
        parts = ("weights", "kv_cache", "activation", "reserve")
        assert math.isclose(sum(r[f"{p}_bytes_per_gpu"] for p in parts), r["memory_bytes_per_gpu"])
        assert r["burst_ttft_s"] <= 30
        assert r["memory_utilization"] <= 0.9


def test_front_is_mutually_non_dominated_and_nothing_feasible_dominates_it(job):
    def costs(table):
        return np.array(
            [
                [-float(r["output_tokens_per_s"]), float(r["ttft_s"]), float(r["tpot_s"]), float(r["gpus"])]
                for r in table
            ]
        )

    front = costs(rows(job / "pareto.csv"))
    feasible = costs([r for r in rows(job / "candidates.csv.gz") if r["feasible"] == "true"])
    for row in front:
        assert not np.any(np.all(feasible <= row, axis=1) & np.any(feasible < row, axis=1))
    # And whatever is feasible and not on the front is dominated by something on it, or equal to it.
    for row in feasible:
        assert np.any(np.all(front <= row, axis=1))


def test_summary_counts_every_point_once(job):
    s = json.loads((job / "summary.json").read_text())
    assert s["legal"] + sum(s["removed_by_rule"].values()) == s["space"]
    assert s["feasible"] + sum(s["removed_by_limit"].values()) == s["scored"] == s["legal"]
    assert s["trials"] == 1000
    assert 0.99 < s["hypervolume_share"] <= 1.0
    assert s["candidates_written"] == len(rows(job / "candidates.csv.gz"))


def test_every_trial_of_the_exported_study_is_a_legal_plan_with_constraints(job):
    backend = optuna.storages.journal.JournalFileBackend(str(job / "study.journal"))
    (study,) = optuna.get_all_study_summaries(storage=optuna.storages.JournalStorage(backend))
    trials = optuna.load_study(study_name=study.study_name, storage=optuna.storages.JournalStorage(backend)).trials
    legal = {
        tuple(int(r[a]) for a in ("gpus", "dp", "pp", "sp", "tp", "ep", "batch"))
        for r in rows(job / "candidates.csv.gz")
    }
    assert len(trials) == 1000
    assert {tuple(t.params[a] for a in ("gpus", "dp", "pp", "sp", "tp", "ep", "batch")) for t in trials} <= legal
    assert all(any(k.startswith("constraints:memory") for k in t.system_attrs) for t in trials)


def test_recommended_is_the_best_feasible_plan_by_tokens_per_gpu(job):
    candidates = [r for r in rows(job / "candidates.csv.gz") if r["feasible"] == "true"]
    best = max(float(r["output_tokens_per_s_per_gpu"]) for r in candidates)
    (chosen,) = [r for r in rows(job / "pareto.csv") if r["recommended"] == "true"]
    assert float(chosen["output_tokens_per_s_per_gpu"]) == best
    plan = yaml.safe_load((job / "plan.yaml").read_text())
    assert {a: int(chosen[a]) for a in plan["layout"]} == plan["layout"]
    assert plan["batch"] == int(chosen["batch"])
    assert isinstance(plan["claims"]["tpot_s"], float)


def test_same_seed_same_result(job, tmp_path):
    again = tmp_path / "again"
    assert main(["+experiment=qwen3_235b", f"hydra.run.dir={again}"]) == 0
    for name in ("pareto.csv", "candidates.csv.gz", "plan.yaml"):
        assert (job / name).read_bytes() == (again / name).read_bytes()
    trials = [
        [json.loads(line).get("params") for line in (run / "study.journal").read_text().splitlines()]
        for run in (job, again)
    ]
    assert trials[0] == trials[1]


def test_plan_file_is_a_baseline_of_the_next_run(job, search):
    plan = yaml.safe_load((job / "plan.yaml").read_text())
    layout = ",".join(f"{k}:{v}" for k, v in plan["layout"].items())
    claims = ",".join(f"{k}:{v!r}" for k, v in plan["claims"].items())
    item = f"{{name:again,layout:{{{layout}}},batch:{plan['batch']},claims:{{{claims}}}}}"
    code, out, _ = search("+experiment=qwen3_235b", f"baselines=[{item}]", "strategy=exact")
    assert code == 0
    assert "baseline again" in out


def test_sample_of_candidates_holds_the_front(search, tmp_path):
    code, _, _ = search("+experiment=qwen3_235b", "output.max_candidates=200", "strategy=exact", "hydra.run.dir=r")
    assert code == 0
    run = tmp_path / "r"
    s = json.loads((run / "summary.json").read_text())
    assert s["candidates_are_a_sample"]
    candidates = {
        tuple(r[a] for a in ("gpus", "dp", "pp", "sp", "tp", "ep", "batch")) for r in rows(run / "candidates.csv.gz")
    }
    front = {tuple(r[a] for a in ("gpus", "dp", "pp", "sp", "tp", "ep", "batch")) for r in rows(run / "pareto.csv")}
    assert len(candidates) == 200
    assert front <= candidates
    # The two hand-written plans are legal points of this space.
    assert {("8", "1", "1", "1", "8", "8", "128"), ("16", "2", "1", "1", "4", "8", "256")} <= candidates


def test_baselines_are_scored_by_the_same_model(search):
    from hydra import compose, initialize_config_dir

    from search.base.paths import conf_dir

    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = typed(compose("config", ["+experiment=qwen3_235b"]))
    scenario = read_scenario(config, read_model(config.model).architecture)
    refined = evaluate(scenario, Plans.of(gpus=16, tp=4, ep=8, dp=2, batch=256))
    _, out, _ = search("+experiment=qwen3_235b", "strategy=exact")
    assert f"baseline refined: {refined.output_tokens_per_s[0]:,.0f} output tokens/s" in out
