"""Values of the plans in the picture and in the table: the front, a sample of the other scored plans, and the plans
that are marked, each with every column of ``search.render.tables.header``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from costmodel.engine import ENGINES
from costmodel.plans import IntArray
from costmodel.scores import COSTS
from search.evidence.measured.intervals import coverage_of
from search.optimizer.outcome import Outcome
from search.optimizer.recommend import nearest
from search.render.report.view import ReportValues
from search.render.tables import candidate_rows, columns, front_order, front_rows, header

MOST_FRONT = 1000  # rows of the table
MOST_NEAREST = 3


def point_values(outcome: Outcome) -> ReportValues:
    """Keys ``plans.<column>`` and ``cloud.<column>`` are columns; ``mark.<n>.<column>`` are scalars. ``plans.row`` is
    the line in ``pareto.csv``, which has the fronts of all engines that were compared."""
    front, cloud, sampled = _chosen_rows(outcome)
    missed = outcome.scores.first_violated()
    limits = np.array([*outcome.scores.limits, "none"])
    which, rows = front_order(outcome)
    own = np.flatnonzero(which == [one.engine for one in outcome.each].index(outcome.engine))
    values: ReportValues = {"plans.row": tuple((own[np.isin(rows[own], front)] + 1).tolist())}
    values |= _table("plans", outcome, front)
    values |= _table("cloud", outcome, cloud)
    values["cloud.misses"] = tuple(limits[missed[cloud]].tolist())
    values |= {
        "points.front": len(outcome.front),
        "points.front_shown": len(front),
        "points.scored": outcome.counted.scored,
        "points.shown": len(front) + len(cloud),
        "points.sampled": "yes" if sampled else "no",
        "points.seed": outcome.config.strategy.seed,
    }
    for i, mark in enumerate(_marks(outcome)):
        values |= {f"mark.{i}.{key}": value for key, value in mark.items()}
    return values


def _chosen_rows(outcome: Outcome) -> tuple[IntArray, IntArray, bool]:
    """Rows of the front (the recommended plan among them), of other scored plans, and whether some of those are left
    out."""
    every = front_rows(outcome)
    front = every[:MOST_FRONT]
    if outcome.choice is not None and outcome.choice.recommended not in front:
        front = np.append(front[:-1], outcome.choice.recommended)
    # Of the other points of a very long front, a few thousand would say no more than the first thousand.
    kept, sampled = candidate_rows(outcome, outcome.config.report.max_points + len(every))
    kept = kept[np.isfinite(outcome.scores.ttft_s[kept])]  # a plan beyond its capacity has no place in a picture
    return front, np.setdiff1d(kept, every), sampled


def _table(name: str, outcome: Outcome, rows: IntArray) -> ReportValues:
    return {f"{name}.{c}": tuple(v) for c, v in _known_columns(outcome, rows).items()}


def _known_columns(outcome: Outcome, rows: IntArray) -> dict[str, list[Any]]:
    """The columns of the tables, without those of costs that the accelerator does not state (empty cells in a CSV)."""
    table = dict(zip(header(outcome.scores), columns(outcome, rows), strict=True))
    unknown = tuple(figure for figure in COSTS if figure not in outcome.scores.costs)
    return {name: values for name, values in table.items() if not name.startswith(unknown)}


def _marks(outcome: Outcome) -> list[ReportValues]:
    """The recommended plan, the runner-up and the baselines; without a feasible plan the nearest ones."""
    marks: list[ReportValues] = []
    if outcome.choice is None:
        for row in nearest(outcome.plans, outcome.scores)[:MOST_NEAREST]:
            marks.append(_mark(outcome, row, "nearest", f"nearest {len(marks) + 1}" if marks else "nearest plan"))
    else:
        marks.append(_mark(outcome, outcome.choice.recommended, "recommended", "recommended plan"))
        if outcome.choice.runner_up is not None:
            marks.append(_mark(outcome, outcome.choice.runner_up, "runner-up", "runner-up"))
    for baseline in outcome.baselines:
        if not np.isfinite(baseline.scores.ttft_s[0]):
            continue
        takes = np.array([[e in baseline.engines] for e in ENGINES])
        known = coverage_of(outcome.scenario, baseline.plan, baseline.scores)
        alone = replace(outcome, plans=baseline.plan, scores=baseline.scores, engines=takes, coverage=known)
        marks.append(_mark(alone, 0, "baseline", f"baseline {baseline.name}"))
    return marks


def _mark(outcome: Outcome, row: int, role: str, name: str) -> ReportValues:
    missed = [n for n, v in zip(outcome.scores.limits, outcome.scores.violations[:, row], strict=True) if v > 0]
    values: ReportValues = {"role": role, "name": name, "misses": ", ".join(missed) or "none"}
    return values | {c: v[0] for c, v in _known_columns(outcome, np.array([row])).items()}
