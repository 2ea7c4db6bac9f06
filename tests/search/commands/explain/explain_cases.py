"""Outcomes and plain loops for the tests of ``explain``."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hydra import compose, initialize_config_dir

from costmodel.engine import ENGINES
from costmodel.plans import AXES, Plans
from search.base.paths import conf_dir
from search.inputs.typed import typed
from search.optimizer.outcome import Outcome
from search.optimizer.refused import refused
from search.optimizer.rules.facts import facts_of
from search.optimizer.run import run

DECIDING = "output_tokens_per_s_per_gpu"


def outcome(*overrides: str) -> Outcome:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return run(
            typed(compose("config", ["+experiment=qwen3_235b", "sensitivity=none", "strategy=exact", *overrides]))
        )


def plan(**axes: int) -> Plans:
    return Plans.of(**{"gpus": 8, "tp": 4, "ep": 8, "batch": 128, **axes})


def some(found: Outcome) -> list[Plans]:
    """The recommended plan and a spread of others."""
    rows = np.unique(np.linspace(0, len(found.plans) - 1, 12).astype(int)).tolist()
    assert found.choice is not None
    return [found.plans.take([row]) for row in [found.choice.recommended, *rows]]


def is_legal(found: Outcome, row: dict[str, int]) -> bool:
    """By the rules themselves, one plan at a time."""
    answer = refused(Plans.of(**row), facts_of(found.scenario))[0]
    wanted = ENGINES if found.config.engine.name == "any" else (found.config.engine.name,)
    return any(answer.first(e) is None for e in wanted)


def neighbours_by_hand(found: Outcome, one: Plans) -> set[tuple[int, ...]]:
    """One axis changed, and pairs of degrees of which one alone is not legal."""
    row, axes = one.row(0), found.space.axes
    singles = {
        (axis, value)
        for axis in AXES
        for value in axes[axis]
        if value != row[axis] and is_legal(found, {**row, axis: value})
    }
    wanted = [{**row, axis: value} for axis, value in singles]
    for a, b in combinations([axis for axis in AXES if axis != "batch"], 2):
        for x in axes[a]:
            for y in axes[b]:
                both = {**row, a: x, b: y}
                together = x != row[a] and y != row[b] and not {(a, x), (b, y)} <= singles
                if together and is_legal(found, both):
                    wanted.append(both)
    return {tuple(r[axis] for axis in AXES) for r in wanted}
