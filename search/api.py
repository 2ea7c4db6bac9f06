"""What ``import search`` offers (docs/python.md): a search and the scores of given plans, as Python values.

Nothing is written, nothing is printed. Bad input is an ``InputError`` of one line, as for the commands.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from costmodel.plans import AXES, Plans
from costmodel.plans import concatenate as join_plans
from costmodel.scenario import Scenario
from costmodel.scores import Scores
from costmodel.scores import concatenate as join_scores
from search.base.errors import InputError, NoFeasiblePlan
from search.evidence.measured.intervals import coverage_of
from search.inputs.compared import compared
from search.inputs.compose import composed
from search.inputs.config import check_rate, read_model, read_scenario
from search.inputs.own_engine import as_launched
from search.inputs.plan_reader import read_degrees
from search.inputs.schema import Config
from search.optimizer.outcome import Outcome
from search.optimizer.recommend import Policy
from search.optimizer.refused import Refused, refused
from search.optimizer.rules.facts import facts_of
from search.optimizer.rules.registry import engines_of
from search.optimizer.run import run as search_run
from search.optimizer.run import score_all
from search.render.tables import columns, front_table, header, missed_limits, plan_columns

__all__ = ["InputError", "NoFeasiblePlan", "Result", "evaluate", "run"]


@dataclass(frozen=True, repr=False)
class Result:
    """What a search found. ``outcome`` is the record that a run's files are made from."""

    outcome: Outcome

    @property
    def recommended(self) -> dict[str, int] | None:
        """The degrees, batch and gpus of the recommended plan, as ``evaluate`` takes them; ``None`` where no plan keeps
        every limit. Whose plan it is says ``engine``."""
        choice = self.outcome.choice
        return None if choice is None else self.outcome.plans.row(choice.recommended)

    @property
    def engine(self) -> str:
        """The engine that the plans are scored for; of several that were compared, the recommended plan's."""
        return self.outcome.engine

    def front_table(self) -> pd.DataFrame:
        """The front, one row a plan, the best by the policy first: the columns of ``pareto.csv`` (docs/formats.md)."""
        table, marks = front_table(self.outcome)
        return _table(table, self.outcome.scores).assign(recommended=marks)

    def candidates_table(self) -> pd.DataFrame:
        """Every plan that was scored: the columns of ``candidates.csv.gz`` (docs/formats.md), never a sample."""
        parts = []
        for one in self.outcome.each:
            table = _table(columns(one, np.arange(len(one.scores))), one.scores)
            parts.append(table.assign(feasible=one.scores.feasible, violated=missed_limits(one.scores)))
        return pd.concat(parts, ignore_index=True)

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
    found = search_run(_config(experiment, overrides, config_dir))
    words = ["servefront", *([] if experiment is None else [f"+experiment={experiment}"]), *overrides]
    return Result(replace(found, command=shlex.join(words)))


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
    the rule. Where the experiment compares engines, a plan's row is that of the best engine that takes it. Whether a
    plan keeps the limits stands in ``feasible`` and ``violated``.
    """
    if isinstance(plans, Mapping | str) or not isinstance(plans, Sequence):
        raise InputError(f"plans: {plans!r} is not allowed; give a list of plans")
    if not plans:
        raise InputError("plans: [] is empty; give at least one plan")
    axes = [read_degrees(f"plans[{i}]", plan) for i, plan in enumerate(plans)]
    config = _config(experiment, overrides, config_dir)
    given = Plans.of(**{name: [plan[name] for plan in axes] for name in AXES})
    model = read_model(config.model).architecture
    names = compared(config)
    scenarios = [read_scenario(as_launched(config, name), model) for name in names] or [read_scenario(config, model)]
    check_rate(scenarios[0])
    answers = [refused(given, facts_of(scenario)) for scenario in scenarios]
    _check_taken(given, [scenario.engine.name for scenario in scenarios], answers)
    tables = [_scored(scenario, given, found) for scenario, found in zip(scenarios, answers, strict=True)]
    if len(tables) == 1:
        return tables[0][0]
    best = _best_engine(config, given, [scores for _, scores in tables], answers, names)
    rows = [table.iloc[[i]] for i, table in enumerate(tables[e][0] for e in best)]
    return pd.concat(rows, ignore_index=True)


def _config(experiment: str | None, overrides: Sequence[str], folder: str | Path | None) -> Config:
    if isinstance(overrides, str) or not all(isinstance(word, str) for word in overrides):
        raise InputError(f"overrides: {overrides!r} is not allowed; give a list of texts, as ['hardware=h200_sxm']")
    if experiment is not None and not isinstance(experiment, str):
        raise InputError(f"experiment: {experiment!r} is not allowed; give the name of a file in conf/experiment")
    chosen = [] if experiment is None else [f"+experiment={experiment}"]
    return composed([*chosen, *overrides], None if folder is None else Path(folder))


def _check_taken(plans: Plans, engines: Sequence[str], answers: Sequence[list[Refused]]) -> None:
    """``InputError`` for the first plan that none of the engines takes."""
    for i in range(len(plans)):
        rules = [found[i].by(engine) for engine, found in zip(engines, answers, strict=True)]
        if not all(rules):
            continue
        broken = list({rule.name: rule for some in rules for rule in some}.values())
        degrees = ", ".join(f"{name} {value}" for name, value in plans.row(i).items())
        wanted = ", ".join(name for engine in engines for name in engines_of(engine))
        kind = "cannot exist" if answers[0][i].layout else f"is refused by {wanted}"
        reasons = "; ".join(f"rule {rule.name}: {rule.text}" for rule in broken)
        raise InputError(f"plans[{i}] ({degrees}) {kind}: {reasons}")


def _scored(scenario: Scenario, plans: Plans, found: list[Refused]) -> tuple[pd.DataFrame, Scores]:
    scores = score_all(scenario, plans)
    coverage = coverage_of(scenario, plans, scores)
    takes = np.array([one.takers for one in found]).T
    table = _table(plan_columns(scenario, plans, scores, takes, coverage), scores)
    return table.assign(feasible=scores.feasible, violated=missed_limits(scores)), scores


def _best_engine(
    config: Config, plans: Plans, scores: list[Scores], answers: Sequence[list[Refused]], names: Sequence[str]
) -> list[int]:
    """For each plan the engine that takes it and serves it best by the policy, feasible before not."""
    policy = Policy.from_config(config.objective.recommend, config.objective.ties)
    best = []
    for i in range(len(plans)):
        takers = [e for e, name in enumerate(names) if not answers[e][i].by(name)]
        same = join_plans([plans.take([i])] * len(takers))
        theirs = join_scores([scores[e].take([i]) for e in takers])
        order = policy.order(same, theirs)
        best.append(takers[int(order[np.argsort(~theirs.feasible[order], kind="stable")][0])])
    return best


def _table(values: list[list[Any]], scores: Scores) -> pd.DataFrame:
    """Columns of ``header``; figures that need a price or a power which is not known are left out."""
    return pd.DataFrame(
        {name: column for name, column in zip(header(scores), values, strict=True) if "" not in column[:1]}
    )
