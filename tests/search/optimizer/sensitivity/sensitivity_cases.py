"""Outcomes and runs for the tests of the sensitivity and of ``explain``."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir

from costmodel.scenario import Scenario
from search.base.paths import conf_dir
from search.commands.search import main
from search.inputs.config import read_model, read_scenario
from search.inputs.schema import Config
from search.inputs.typed import typed
from search.optimizer.outcome import Outcome
from search.optimizer.run import run

WORKED = ("+experiment=qwen3_235b", "strategy=exact")


def config(*overrides: str) -> Config:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return typed(compose("config", list(overrides)))


def scenario(*overrides: str) -> Scenario:
    engine = () if any(word.startswith(("engine=", "+experiment=")) for word in overrides) else ("engine=any",)
    read = config(*overrides, *engine)
    return read_scenario(read, read_model(read.model).architecture)


def outcome(*overrides: str) -> Outcome:
    return run(config(*WORKED, *overrides))


def run_folder(folder: Path, *overrides: str) -> Path:
    """A run of the worked case by the main job, in ``folder``."""
    assert main([*WORKED, f"hydra.run.dir={folder}", *overrides]) == 0
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def only(plan: dict[str, int] | dict[str, Any]) -> list[str]:
    """Overrides that leave nothing but this plan in the space, with no limit that it could miss but memory."""
    axes = [f"space.{axis}=[{plan[axis]}]" for axis in ("gpus", "dp", "pp", "sp", "tp", "ep", "batch")]
    return [*axes, "limits=default"]
