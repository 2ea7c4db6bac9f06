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
from costmodel.plans import concatenate as join_plans
from costmodel.scenario import Scenario
from costmodel.scores import COSTS, FIGURES, PREDICTED, Scores
from costmodel.scores import concatenate as join_scores
from search.base.escape import csv_cell
from search.evidence.measured.intervals import CLASSES, load_intervals
from search.optimizer.outcome import Outcome

DEGREES = ("tp", "ep", "dp", "pp", "sp", "batch", "gpus")
BOUNDS = ("_low", "_high")


def header(scores: Scores | None = None) -> list[str]:
    """Columns that every table of plans has, in order; with ``scores`` at a rate those of traffic too."""
    names = [*DEGREES, "attn_dp", "moe_tp", "engine", "engines"]
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
    table += [[scenario.engine.name] * len(plans), engine_names(engines)]
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


def front_order(outcome: Outcome) -> tuple[IntArray, IntArray]:
    """The front, or the fronts of all engines that were compared, the best plan by the policy first: which of
    ``outcome.each``, and its row there."""
    each = outcome.each
    which = np.repeat(np.arange(len(each)), [len(one.front) for one in each])
    rows = np.concatenate([one.front for one in each])
    if len(rows) == 0:
        return which, rows
    plans = join_plans([one.plans.take(one.front) for one in each])
    scores = join_scores([one.scores.take(one.front) for one in each])
    order = outcome.policy.order(plans, scores)
    return which[order], rows[order]


def front_table(outcome: Outcome) -> tuple[list[list[Any]], list[bool]]:
    """The columns of ``header`` for ``front_order``, and which of the rows is the recommended plan."""
    which, rows = front_order(outcome)
    table: list[list[Any]] = [[None] * len(rows) for _ in header(outcome.scores)]
    for i, one in enumerate(outcome.each):
        places = np.flatnonzero(which == i)
        for column, found in zip(table, columns(one, rows[places]), strict=True):
            for place, cell in zip(places.tolist(), found, strict=True):
                column[place] = cell
    best = outcome.choice.recommended if outcome.choice else -1
    own = np.array([one.engine == outcome.engine for one in outcome.each])
    return table, (own[which] & (rows == best)).tolist()


def write_front(outcome: Outcome, path: Path) -> None:
    """``pareto.csv``."""
    table, marks = front_table(outcome)
    write_table(path, [*header(outcome.scores), "recommended"], [*table, [str(mark).lower() for mark in marks]])


def candidate_rows(outcome: Outcome, most: int) -> tuple[IntArray, bool]:
    """All scored rows, or, beyond ``most``, the front, the baselines that are among them and a seeded sample of the
    rest (of the sample that was drawn where not all are held); and whether it is a sample."""
    total = len(outcome.plans)
    if outcome.sample is None and total <= most:
        return np.arange(total), False
    kept = np.union1d(outcome.front, [row for b in outcome.baselines for row in rows_of(outcome.plans, b.plan)])
    rest = np.setdiff1d(np.arange(total) if outcome.sample is None else outcome.sample, kept)
    rng = np.random.default_rng(outcome.config.strategy.seed)
    drawn = rng.choice(rest, size=min(max(most - len(kept), 0), len(rest)), replace=False)
    return np.sort(np.concatenate([kept, drawn])).astype(np.int64), True


def rows_of(plans: Plans, one: Plans) -> IntArray:
    """The rows of ``plans`` that are the plan ``one``."""
    return np.flatnonzero(np.all([getattr(plans, a) == getattr(one, a)[0] for a in AXES], axis=0))


def write_candidates(outcome: Outcome, path: Path) -> tuple[int, bool]:
    """``candidates.csv.gz``, of all engines that were compared; returns the number of rows and whether they are a
    sample. Baselines that lie outside the space are not legal plans of it and stand in ``plan.md``."""
    most = outcome.config.output.max_candidates // len(outcome.each)
    table: list[list[Any]] = []
    sampled = False
    for one in outcome.each:
        rows, fewer = candidate_rows(one, most)
        scores = one.scores.take(rows)
        part = [*columns(one, rows), [str(b).lower() for b in scores.feasible.tolist()], missed_limits(scores)]
        table = [[*above, *below] for above, below in zip(table, part, strict=True)] if table else part
        sampled = sampled or fewer
    write_table(path, [*header(outcome.scores), "feasible", "violated"], table)
    return len(table[0]), sampled


def missed_limits(scores: Scores) -> list[str]:
    """The first limit that each plan misses, empty text where it keeps all."""
    limits = np.array([*scores.limits, ""])
    return [str(limits[i]) for i in scores.first_violated()]


def write_table(path: Path, names: Sequence[str], table: list[list[Any]]) -> None:
    """A CSV file, packed where its name ends so."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(zip(*map(_safe, table), strict=True))
    data = text.getvalue().encode()
    # mtime 0: the same run gives the same bytes.
    path.write_bytes(gzip.compress(data, compresslevel=1, mtime=0) if path.suffix == ".gz" else data)


def _safe(column: list[Any]) -> list[Any]:
    """A column is all text or all numbers. Long columns hold few different ones, each of which is written out once:
    numbers as Python writes them."""
    if column and isinstance(column[0], float):
        bits, place = np.unique(np.array(column).view(np.int64), return_inverse=True)  # -0.0 is not 0.0
        if 2 * len(bits) < len(column):
            texts = [repr(value) for value in bits.view(np.float64).tolist()]
            return [texts[i] for i in place.tolist()]
    if not column or not isinstance(column[0], str):
        return column
    cells = {text: csv_cell(text) for text in set(column)}
    return [cells[text] for text in column]
