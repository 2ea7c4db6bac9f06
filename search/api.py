"""What ``import search`` offers (docs/python.md): a search and the scores of given plans, as Python values.

Nothing is written, nothing is printed. Bad input is an ``InputError`` of one line, as for the commands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from costmodel.engine import ENGINES
from costmodel.plans import AXES, Plans
from costmodel.scores import Scores
from search.base.errors import InputError, NoFeasiblePlan
from search.evidence.measured.intervals import coverage_of
from search.inputs.compose import composed
from search.inputs.config import check_rate, read_model, read_scenario
from search.inputs.plan_reader import read_degrees
from search.inputs.schema import Config
from search.optimizer.legal import why_not
from search.optimizer.outcome import Outcome
from search.optimizer.rules.facts import Facts, facts_of
from search.optimizer.rules.registry import engine_rules, general_rules
from search.optimizer.run import run as search_run
from search.optimizer.run import score_all
from search.render.tables import columns, front_rows, header, missed_limits, plan_columns

__all__ = ["InputError", "NoFeasiblePlan", "Result", "evaluate", "run"]


@dataclass(frozen=True, repr=False)
class Result:
    """What a search found. ``outcome`` is the record that a run's files are made from."""

    outcome: Outcome

    @property
    def recommended(self) -> dict[str, int] | None:
        """The degrees, batch and gpus of the recommended plan, as ``evaluate`` takes them; ``None`` where no plan keeps
        every limit."""
        choice = self.outcome.choice
        return None if choice is None else self.outcome.plans.row(choice.recommended)

    def front_table(self) -> pd.DataFrame:
        """The front, one row a plan, the best by the policy first: the columns of ``pareto.csv`` (docs/formats.md)."""
        rows = front_rows(self.outcome)
        table = _table(columns(self.outcome, rows), self.outcome.scores)
        choice = self.outcome.choice
        return table.assign(recommended=rows == (-1 if choice is None else choice.recommended))

    def candidates_table(self) -> pd.DataFrame:
        """Every plan that was scored: the columns of ``candidates.csv.gz`` (docs/formats.md), never a sample."""
        scores = self.outcome.scores
        table = _table(columns(self.outcome, np.arange(len(scores))), scores)
        return table.assign(feasible=scores.feasible, violated=missed_limits(scores))

    def plan_markdown(self) -> str:
        """``plan.md``. ``NoFeasiblePlan`` where there is none, with the nearest plans."""
        if self.outcome.choice is None:
            from search.render.terminal import infeasible_message

            raise NoFeasiblePlan(infeasible_message(self.outcome))
        from search.render.document import render_plan

        return render_plan(self.outcome)

    def __repr__(self) -> str:
        found = "no feasible plan" if self.recommended is None else f"recommended={self.recommended}"
        return f"<search.Result of {self.outcome.config.name!r}: {len(self.outcome.front)} plans on the front, {found}>"


def run(
    experiment: str | None = None, overrides: Sequence[str] = (), *, config_dir: str | Path | None = None
) -> Result:
    """What ``servefront +experiment=EXPERIMENT OVERRIDES --config-dir CONFIG_DIR`` finds. Without an experiment it is
    the default choice of every group."""
    return Result(search_run(_config(experiment, overrides, config_dir)))


def evaluate(
    experiment: str | None = None,
    plans: Sequence[Mapping[str, Any]] = (),
    overrides: Sequence[str] = (),
    *,
    config_dir: str | Path | None = None,
) -> pd.DataFrame:
    """The scores of the given plans in the experiment's scenario, one row a plan in their order: the columns of
    ``candidates.csv.gz`` (docs/formats.md).

    A plan maps ``tp``, ``ep``, ``dp``, ``pp``, ``sp``, ``batch`` and ``gpus`` to whole numbers; what is left out is 1,
    ``gpus`` the fewest that the degrees fill. A plan outside the experiment's space is scored like any other. One that
    cannot exist, or that the experiment's engine (under ``any`` all three) refuses, is an ``InputError`` that names
    the rule. Whether a plan keeps the limits stands in ``feasible`` and ``violated``.
    """
    if isinstance(plans, Mapping | str) or not isinstance(plans, Sequence):
        raise InputError(f"plans: {plans!r} is not allowed; give a list of plans")
    if not plans:
        raise InputError("plans: [] is empty; give at least one plan")
    axes = [read_degrees(f"plans[{i}]", plan) for i, plan in enumerate(plans)]
    config = _config(experiment, overrides, config_dir)
    scenario = read_scenario(config, read_model(config.model).architecture)
    check_rate(scenario)
    given = Plans.of(**{name: [plan[name] for plan in axes] for name in AXES})
    engines = _takers(given, facts_of(scenario), config.engine.name)
    scores = score_all(scenario, given)
    coverage = coverage_of(scenario, given, scores)
    table = _table(plan_columns(scenario, given, scores, engines, coverage), scores)
    return table.assign(feasible=scores.feasible, violated=missed_limits(scores))


def _config(experiment: str | None, overrides: Sequence[str], folder: str | Path | None) -> Config:
    if isinstance(overrides, str) or not all(isinstance(word, str) for word in overrides):
        raise InputError(f"overrides: {overrides!r} is not allowed; give a list of texts, as ['hardware=h200_sxm']")
    if experiment is not None and not isinstance(experiment, str):
        raise InputError(f"experiment: {experiment!r} is not allowed; give the name of a file in conf/experiment")
    chosen = [] if experiment is None else [f"+experiment={experiment}"]
    return composed([*chosen, *overrides], None if folder is None else Path(folder))


def _takers(plans: Plans, facts: Facts, engine: str) -> np.ndarray:
    """Which engine takes each plan, of shape (3, n); ``InputError`` for the first plan that none takes which may."""
    rules = {rule.name: rule for rule in (*general_rules(), *(rule for e in ENGINES for rule in engine_rules(e)))}
    wanted = ENGINES if engine == "any" else (engine,)
    verdicts = why_not(plans, facts)
    for i, refused in enumerate(verdicts):
        broken = [refused["layout"]] if refused["layout"] else list(dict.fromkeys(refused[e] for e in wanted))
        if all(broken):  # a rule each: `None` stands where an engine takes the plan
            degrees = ", ".join(f"{name} {value}" for name, value in plans.row(i).items())
            kind = "cannot exist" if refused["layout"] else f"is refused by {', '.join(wanted)}"
            reasons = "; ".join(f"rule {name}: {rules[name].text}" for name in broken if name)
            raise InputError(f"plans[{i}] ({degrees}) {kind}: {reasons}")
    return np.array([[refused[e] is None for refused in verdicts] for e in ENGINES])


def _table(values: list[list[Any]], scores: Scores) -> pd.DataFrame:
    """Columns of ``header``; figures that need a price or a power which is not known are left out."""
    return pd.DataFrame(
        {name: column for name, column in zip(header(scores), values, strict=True) if "" not in column[:1]}
    )
