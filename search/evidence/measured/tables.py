"""Printing how far predictions are off. Plain text when nobody watches."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from search.base.escape import plain
from search.evidence.measured.errors import FIGURES, GROUPINGS, LABELS, by, errors, reasons
from search.evidence.measured.families import options, ranking, regret
from search.evidence.measured.predict import Prediction

WIDTH_WITHOUT_TERMINAL = 150
MOST_GROUPS = 40


def print_report(predictions: Sequence[Prediction], peers: Mapping[str, Sequence[Prediction]]) -> None:
    """Everything, on standard output."""
    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else WIDTH_WITHOUT_TERMINAL, highlight=False, emoji=False, markup=False)
    done = [p for p in predictions if p.skipped is None]
    console.print(f"{len(predictions)} rows, {len(done)} predicted, {len(predictions) - len(done)} skipped")
    for table in _tables(predictions, done, peers):
        if not terminal:
            table.box = box.ASCII
        console.print(table)


def _tables(
    predictions: Sequence[Prediction], done: Sequence[Prediction], peers: Mapping[str, Sequence[Prediction]]
) -> list[Table]:
    tables = [_overall(done)]
    tables += [_grouped(done, grouping) for grouping in GROUPINGS]
    tables.append(_choices({"this model": done}))
    for name, peer in peers.items():
        tables += _beside(done, name, peer)
    skipped = reasons(predictions)
    if skipped:
        tables.append(_skipped(skipped))
    return tables


def percent(value: float) -> str:
    """One decimal, or a dash where there is nothing."""
    return f"{value:.1%}" if math.isfinite(value) else "-"


def _table(title: str, first: Sequence[str], others: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in first:
        table.add_column(name)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _overall(done: Sequence[Prediction]) -> Table:
    columns = ("rows", "families", "mean", "median", "bias", "mean over families", "inside interval", "of")
    table = _table("Errors, all rows (absolute percentage; bias is the signed median)", ["figure"], columns)
    for figure, e in errors(done).items():
        table.add_row(
            LABELS[figure],
            *(str(n) for n in (e.rows, e.families)),
            *(percent(x) for x in (e.mean, e.median, e.bias, e.family_mean, e.inside)),
            str(e.intervals),
        )
    return table


def _grouped(done: Sequence[Prediction], grouping: str) -> Table:
    found = by(done, grouping)
    shown = f", the {MOST_GROUPS} largest of {len(found)}" if len(found) > MOST_GROUPS else ""
    others = ["rows", "mean", "median", "bias", "inside interval"]
    table = _table(f"Errors by {grouping}{shown}", [grouping, "figure"], others)
    for name, group in list(found.items())[:MOST_GROUPS]:
        label = name
        for figure, e in group.items():
            if e.rows:
                cells = (percent(x) for x in (e.mean, e.median, e.bias, e.inside))
                table.add_row(plain(label), LABELS[figure], str(e.rows), *cells)
                label = ""
    return table


def _choices(programs: Mapping[str, Sequence[Prediction]]) -> Table:
    names = ["rank corr.", "median", "worst", "settings", "decisions", "abstained", "hopeless"]
    names += ["loss", "loss kept", "kept", "within 5 %"]
    table = _table("Choosing inside each setting: ranks, and picks under TPOT limits", ["by"], names)
    for name, predictions in programs.items():
        rows = options(predictions)
        order, choice = ranking(rows), regret(rows)
        table.add_row(
            plain(name),
            *(f"{x:.3f}" if math.isfinite(x) else "-" for x in (order.mean, order.median, order.worst)),
            *(str(n) for n in (choice.settings, choice.decisions, choice.abstained, choice.hopeless)),
            *(percent(x) for x in (choice.loss, choice.loss_kept, choice.kept, choice.nearly_kept)),
        )
    return table


def _beside(done: Sequence[Prediction], name: str, peer: Sequence[Prediction]) -> list[Table]:
    ours = {p.measurement.id for p in done}
    theirs = {p.measurement.id for p in peer}
    common: dict[str, Sequence[Prediction]] = {
        "this model": [p for p in done if p.measurement.id in theirs],
        name: [p for p in peer if p.measurement.id in ours],
    }
    if len(common[name]) < len(peer):
        common[f"{name}, all its rows"] = list(peer)
    others = ["rows", "mean", "median", "bias", "mean over families"]
    table = _table(f"Beside {plain(name)}", ["figure", "by"], others)
    for figure in FIGURES:
        for program, predictions in common.items():
            e = errors(predictions)[figure]
            cells = (percent(x) for x in (e.mean, e.median, e.bias, e.family_mean))
            table.add_row(LABELS[figure], plain(program), str(e.rows), *cells)
    return [table, _choices(common)]


def _skipped(counts: Mapping[str, int]) -> Table:
    table = _table("Skipped", ["reason"], ["rows"])
    for reason, count in counts.items():
        table.add_row(plain(reason), str(count))
    return table
