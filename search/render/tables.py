"""The CSV files: one row a plan, the columns of docs/formats.md."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from costmodel.engine import ENGINES
from costmodel.plans import AXES, IntArray, Plans
from costmodel.scenario import Scenario
from costmodel.scores import COSTS, FIGURES, PREDICTED, Scores
from search.base.escape import csv_cell
from search.evidence.measured.intervals import CLASSES, load_intervals
from search.optimizer.outcome import Outcome

DEGREES = ("tp", "ep", "dp", "pp", "sp", "batch", "gpus")
BOUNDS = ("_low", "_high")


def header(scores: Scores | None = None) -> list[str]:
    """Columns that every table of plans has, in order; with ``scores`` at a rate those of traffic too."""
    names = [*DEGREES, "attn_dp", "moe_tp", "engines"]
    for figure in FIGURES:
        names.append(figure)
        if figure in PREDICTED:
            names += [figure + suffix for suffix in BOUNDS]
    for figure in COSTS:
        names += [figure, *(figure + suffix for suffix in BOUNDS)]
    return [*names, *(scores.traffic if scores is not None else ()), "coverage"]


def columns(outcome: Outcome, rows: IntArray) -> list[list[Any]]:
    """The columns of ``header`` for some rows, as Python values."""
    plans, scores = outcome.plans.take(rows), outcome.scores.take(rows)
    return plan_columns(outcome.scenario, plans, scores, outcome.engines[:, rows], outcome.coverage[rows])


def plan_columns(
    scenario: Scenario, plans: Plans, scores: Scores, engines: np.ndarray, coverage: IntArray
) -> list[list[Any]]:
    """The columns of ``header`` for ``n`` plans that no run need have found: ``engines`` of shape (3, n), which engine
    takes each, ``coverage`` of shape (n,), indices into ``CLASSES``. A figure that needs a price or a power which is
    not known is empty text."""
    intervals, known = load_intervals(), coverage
    ones = [1] * len(plans)
    table: list[list[Any]] = [getattr(plans, name).tolist() for name in DEGREES]
    table += [plans.attn_dp.tolist(), plans.moe_tp.tolist() if scenario.model.has_experts else ones]
    table += [engine_names(engines)]
    for figure in FIGURES:
        table.append(getattr(scores, figure).tolist())
        if figure in PREDICTED:
            table += [bound.tolist() for bound in intervals.of(figure, known, getattr(scores, figure))]
    for figure in COSTS:
        if figure in scores.costs:
            table += [getattr(scores, figure).tolist()]
            table += [bound.tolist() for bound in intervals.of(figure, known, getattr(scores, figure))]
        else:
            table += [[""] * len(plans)] * 3
    table += [getattr(scores, figure).tolist() for figure in scores.traffic]
    return [*table, [CLASSES[c] for c in known]]


def engine_names(takes: np.ndarray) -> list[str]:
    """Which engines take each plan, joined by a bar."""
    codes = np.array([1, 2, 4]) @ takes
    words = {c: "|".join(e for i, e in enumerate(ENGINES) if c >> i & 1) for c in range(8)}
    return [words[int(c)] for c in codes]


def front_rows(outcome: Outcome) -> IntArray:
    """The front, best plan by the policy first."""
    plans, scores = outcome.plans.take(outcome.front), outcome.scores.take(outcome.front)
    return outcome.front[outcome.policy.order(plans, scores)]


def write_front(outcome: Outcome, path: Path) -> None:
    """``pareto.csv``."""
    rows = front_rows(outcome)
    best = outcome.choice.recommended if outcome.choice else -1
    marks = [str(r == best).lower() for r in rows]
    _write(path, [*header(outcome.scores), "recommended"], [*columns(outcome, rows), marks])


def candidate_rows(outcome: Outcome, most: int) -> tuple[IntArray, bool]:
    """All scored rows, or, beyond ``most``, the front, the baselines that are among them and a seeded sample of the
    rest; and whether it is a sample."""
    total = len(outcome.plans)
    if total <= most:
        return np.arange(total), False
    kept = np.union1d(outcome.front, [row for b in outcome.baselines for row in rows_of(outcome.plans, b.plan)])
    rest = np.setdiff1d(np.arange(total), kept)
    rng = np.random.default_rng(outcome.config.strategy.seed)
    drawn = rng.choice(rest, size=max(most - len(kept), 0), replace=False)
    return np.sort(np.concatenate([kept, drawn])).astype(np.int64), True


def rows_of(plans: Plans, one: Plans) -> IntArray:
    """The rows of ``plans`` that are the plan ``one``."""
    return np.flatnonzero(np.all([getattr(plans, a) == getattr(one, a)[0] for a in AXES], axis=0))


def write_candidates(outcome: Outcome, path: Path) -> tuple[int, bool]:
    """``candidates.csv.gz``; returns the number of rows and whether they are a sample. Baselines that lie outside the
    space are not legal plans of it and stand in ``plan.md``."""
    rows, sampled = candidate_rows(outcome, outcome.config.output.max_candidates)
    scores = outcome.scores.take(rows)
    table = [*columns(outcome, rows), [str(b).lower() for b in scores.feasible.tolist()], missed_limits(scores)]
    _write(path, [*header(scores), "feasible", "violated"], table)
    return len(rows), sampled


def missed_limits(scores: Scores) -> list[str]:
    """The first limit that each plan misses, empty text where it keeps all."""
    limits = np.array([*scores.limits, ""])
    return [str(limits[i]) for i in scores.first_violated()]


def _write(path: Path, names: Sequence[str], table: list[list[Any]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(zip(*map(_safe, table), strict=True))
    data = text.getvalue().encode()
    # mtime 0: the same run gives the same bytes.
    path.write_bytes(gzip.compress(data, compresslevel=1, mtime=0) if path.suffix == ".gz" else data)


def _safe(column: list[Any]) -> list[Any]:
    """A column is all text or all numbers, which stay as they are. Long columns hold few different texts."""
    if not column or not isinstance(column[0], str):
        return column
    cells = {text: csv_cell(text) for text in set(column)}
    return [cells[text] for text in column]
