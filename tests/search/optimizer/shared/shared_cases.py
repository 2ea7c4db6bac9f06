"""A small study, alone and as a worker of a shared one."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from search.inputs.compose import composed
from search.inputs.config import read_model, read_scenario
from search.optimizer.front import Objectives
from search.optimizer.legal import legal_plans
from search.optimizer.rules.facts import facts_of
from search.optimizer.shared import ledger
from search.optimizer.space import Space
from search.optimizer.study import run_study

NAME = "qwen3_235b on any"
WORDS = ("+experiment=qwen3_235b", "space.batch=[16,64,128,256,400]", "strategy.n_trials=36", "strategy.population=12")


@cache
def problem(*words: str) -> tuple[Any, ...]:
    """Composed once: Hydra does so in one thread at a time."""
    config = composed([*WORDS, *words])
    scenario = read_scenario(config, read_model(config.model).architecture)
    space = Space.from_config(vars(config.space))
    legal = legal_plans(space, facts_of(scenario), "any")
    return config, scenario, space, legal, Objectives.from_config("objective.columns", config.objective.columns)


def study(storage: str | None, *words: str, asked: str = "this") -> tuple[list[Any], Any]:
    """The trials of a study, and the archive of all that it scored."""
    config, scenario, space, legal, objectives = problem(*words)
    strategy = replace(config.strategy, storage=storage)
    found, archive = run_study(scenario, space, legal, objectives, strategy, config.name, asked)
    return [(t.number, t.params, t.values, t.system_attrs, t.user_attrs) for t in found.trials], archive


def same(a: tuple[list[Any], Any], b: tuple[list[Any], Any]) -> bool:
    """To the last bit: trials, and figures of every plan that they asked for."""
    (trials, archive), (others, other) = a, b
    mine, theirs = archive.contents()[1], other.contents()[1]
    return trials == others and archive.repeats == other.repeats and np.array_equal(mine.ttft_s, theirs.ttft_s)


if __name__ == "__main__":  # a worker: says that it begins, and whether it found what one alone finds
    ledger.PATIENCE_S = 1.5
    print(os.getpid(), flush=True)
    print(same(study(sys.argv[1]), study(None)))
