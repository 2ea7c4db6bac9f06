"""Published minimum deployments against the memory model. The rows and their sources stand in
``docs/known_deployments.md``; this reads them there."""

import re
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from costmodel.evaluate import evaluate
from costmodel.scores import Scores
from search.base.paths import conf_dir
from search.inputs.config import read_model, read_scenario
from search.inputs.models import read_architecture
from search.inputs.models.catalog import load_entry
from search.inputs.typed import typed
from search.optimizer.legal import legal_plans
from search.optimizer.rules.facts import facts_of
from search.optimizer.space import Space

PAGE = (Path(__file__).parents[1] / "docs" / "known_deployments.md").read_text()
ROW = re.compile(r"^\| (\w+) \| (\d+) (\w+) \| ([\d.]+) \| ([\d.]+) \| (yes|no) \| (.+) \|$", re.MULTILINE)
ROWS = ROW.findall(PAGE)
ASKED = {
    (model, "8", hardware)
    for model in ("deepseek_v3", "llama_3_1_405b_fp8", "llama_3_1_405b", "qwen3_235b")
    for hardware in ("a100_80gb_sxm", "h100_sxm", "h200_sxm", "b200_sxm", "mi300x")
}


def scored(model: str, gpus: str, hardware: str, architecture=None) -> tuple[Scores, float]:
    """Every legal layout of one replica at batch 1, scored, and the memory that the driver reports."""
    overrides = [
        "engine=any",
        f"model={model}",
        f"hardware={hardware}",
        f"space.gpus={gpus}",
        "space.dp=1",
        "space.sp=1",
        "space.pp=[1,2]",
        "space.tp=[1,2,4,8,16]",
        "space.ep=[1,2,4,8,16]",
        "space.batch=1",
        "workload.isl=3072",
        "workload.osl=1024",
        "limits.memory_fraction=0.9",
    ]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = typed(compose("config", overrides))
    scenario = read_scenario(config, architecture or read_model(config.model).architecture)
    legal = legal_plans(Space.from_config(vars(config.space)), facts_of(scenario), "any")
    assert len(legal)
    return evaluate(scenario, legal.plans), scenario.accelerator.memory_bytes


def test_every_combination_that_was_asked_for_is_there():
    assert {(model, gpus, hardware) for model, gpus, hardware, *_ in ROWS} >= ASKED


@pytest.mark.parametrize(
    ("model", "gpus", "hardware", "needed", "memory", "fits", "source"), ROWS, ids=lambda value: value[:20]
)
def test_published_deployment(model, gpus, hardware, needed, memory, fits, source):
    scores, memory_bytes = scored(model, gpus, hardware)
    assert bool(scores.feasible.any()) == (fits == "yes")
    # The page's own figures are kept up to date.
    assert scores.memory_bytes_per_gpu.min() / 1e9 == pytest.approx(float(needed), abs=1.0)
    assert memory_bytes / 1e9 == pytest.approx(float(memory), abs=0.05)


def test_every_source_is_explained():
    cited = {mark for *_, source in ROWS for mark in re.findall(r"\[\w+\]", source)}
    assert cited == set(re.findall(r"^- (\[\w+\])", PAGE, re.MULTILINE))
    assert all("[" in source or source.startswith("follows from") for *_, source in ROWS)


@pytest.mark.parametrize("hardware", ["h100_sxm", "a100_80gb_sxm"])
def test_metas_own_fp8_checkpoint_fits_too(hardware):
    """It leaves attention in bf16 (docs/known_deployments.md)."""
    attention = [f"model.layers.{i}.self_attn.{p}_proj" for i in range(126) for p in "qkvo"]
    quantization = {"quant_method": "fbgemm_fp8", "modules_to_not_convert": ["lm_head", *attention]}
    config = load_entry("llama_3_1_405b")["published"] | {"quantization_config": quantization}
    architecture = read_architecture(config, name="Meta-Llama-3.1-405B-Instruct-FP8").architecture
    scores, _ = scored("llama_3_1_405b", "8", hardware, architecture)
    assert scores.feasible.any()
    assert scores.weights_bytes_per_gpu.min() / 1e9 == pytest.approx(60.2, abs=0.5)
