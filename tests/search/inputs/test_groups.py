"""Configuration groups: every one can be changed from the command line, whatever the experiment chose."""

import json

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from search.base.paths import conf_dir
from search.inputs.compared import compared
from search.inputs.config import read_model, read_scenario
from search.inputs.own_engine import as_launched
from search.inputs.typed import typed

EXPERIMENTS = sorted(p.stem for p in (conf_dir() / "experiment").glob("*.yaml"))
CHANGES = {
    "model": "qwen3_32b_fp8",
    "hardware": "h100_sxm",
    "cluster": "hgx8_400g",
    "engine": "sglang",
    "workload": "in1024_out1024",
    "limits": "interactive",
    "space": "one_node",
    "objective": "throughput",
    "strategy": "random",
    "sensitivity": "none",
}


def composed(*overrides: str):
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose("config", list(overrides))


@pytest.mark.parametrize("group", CHANGES)
def test_a_group_on_the_command_line_wins_over_the_experiment(group):
    before = composed("+experiment=qwen3_235b")
    after = composed("+experiment=qwen3_235b", f"{group}={CHANGES[group]}")
    assert after[group] == composed(f"{group}={CHANGES[group]}")[group]
    assert after[group] != before[group]
    follows = {"cluster"} if group == "hardware" else set()  # an accelerator's own
    for other in set(CHANGES) - {group} - follows:
        assert after[other] == before[other]


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_experiments_set_no_key_inside_a_group(experiment):
    body = OmegaConf.load(conf_dir() / "experiment" / f"{experiment}.yaml")
    assert set(body) <= {"defaults", "name", "baselines", "assumptions"}
    typed(composed(f"+experiment={experiment}"))


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_recommends_a_plan(search, tmp_path, experiment):
    code, out, err = search(f"+experiment={experiment}", "hydra.run.dir=r", "strategy.n_trials=100")
    assert code == 0, err
    assert "Recommended plan" in out
    assert json.loads((tmp_path / "r" / "summary.json").read_text())["status"] == "ok"


def test_changing_the_hardware_changes_the_answer():
    def recommended_speed(*overrides: str) -> float:
        from search.optimizer.run import run

        config = typed(composed("+experiment=qwen3_235b", "strategy=exact", *overrides))
        outcome = run(config)
        assert outcome.choice is not None
        return float(outcome.scores.output_tokens_per_s_per_gpu[outcome.choice.recommended])

    base = recommended_speed()
    assert recommended_speed("hardware=h200_sxm") > base
    assert recommended_speed("workload=in8192_out1024") < base
    assert recommended_speed("space.gpus=[16]") != 0


@pytest.mark.parametrize("group", [g for g in CHANGES if g not in ("model",)])
def test_every_file_of_a_group_reads(group):
    for path in sorted((conf_dir() / group).glob("*.yaml")):
        config = typed(composed(f"{group}={path.stem}"))
        configs = [as_launched(config, name) for name in compared(config)] or [config]
        try:
            for one in configs:
                read_scenario(one, read_model(one.model).architecture)
        except ValueError as error:  # a part without a link needs a cluster that states its speed
            assert "own link" in str(error) or "is simulated, not searched" in str(error)
