"""``sensitivity.csv``: one row a situation, the columns of docs/formats.md."""

from __future__ import annotations

import csv
import io
from typing import Any

from costmodel.plans import AXES
from search.base.escape import csv_cell
from search.optimizer.sensitivity.inputs import INPUTS
from search.optimizer.sensitivity.records import FIGURES, Sensitivity, Situation

CHANGES = FIGURES[:4]
HEADER = (
    "kind", "input", "key", "unit", "before", "after", *FIGURES, *(f"{f}_change" for f in CHANGES),
    "feasible", "missed", "best_plan", "best_is_recommended", *(f"best_{f}" for f in FIGURES), "best_gain", "source",
)  # fmt: skip


def csv_text(found: Sensitivity) -> str:
    """The plan as configured, then every situation."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    base = [found.figures[f] for f in FIGURES] + [0.0] * len(CHANGES)
    own = [axes_text(found.plan), "true", *(found.figures[f] for f in FIGURES), 0.0, ""]
    writer.writerow(["configured", "", "", "", "", "", *base, "true", "", *own])
    writer.writerows(_row(found, s) for s in found.situations)
    return text.getvalue()


def _row(found: Sensitivity, s: Situation) -> list[Any]:
    row: list[Any] = [s.kind, s.name, s.key, s.unit, s.before, s.after]
    if s.figures is None:
        row += [""] * (len(FIGURES) + len(CHANGES) + 2)
    else:
        row += [s.figures[f] for f in FIGURES]
        row += [change(found, s, f) for f in CHANGES]
        row += [str(not s.missed).lower(), "|".join(s.missed)]
    if s.best is None:
        row += [""] * (len(FIGURES) + 3)
    else:
        row += [axes_text(s.best.plan), str(s.best.same).lower()]
        row += [*(s.best.figures[f] for f in FIGURES), s.best.gain]
    return [*row, csv_cell(s.source)]


def change(found: Sensitivity, s: Situation, figure: str) -> float:
    """Relative change of a figure of the recommended plan."""
    assert s.figures is not None
    return s.figures[figure] / found.figures[figure] - 1.0


def axes_text(plan: dict[str, int]) -> str:
    """As ``--plan`` takes it."""
    return ",".join(f"{axis}={plan[axis]}" for axis in AXES)


def summary(found: Sensitivity) -> dict[str, Any]:
    """What ``summary.json`` says of it."""
    said: dict[str, Any] = {"ranked": found.ranked, "scored": found.scored}
    if found.draws is not None:
        d = found.draws
        said |= {"draws": d.count, "feasible": d.feasible, "best": d.best, "best_layout": d.layout}
    return said


RESOURCES = {
    "memory": "memory of a GPU",
    "bandwidth": "memory bandwidth",
    "compute": "peak FLOP/s",
    "beta": "link rate",
    "alpha": "link latency",
    "node": "a node",
}
LIMITS = {"memory": "memory fraction", "ttft": "TTFT", "tpot": "TPOT", "requests": "requests/s"}


def label(s: Situation) -> str:
    """What the input, the resource or the limit of a situation is called."""
    if s.kind == "range":
        return INPUTS[s.name].label
    return f"limit: {LIMITS[s.name]}" if s.kind == "limit" else RESOURCES[s.name]
