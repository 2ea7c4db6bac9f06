"""Classes of measured runs with the residuals of predictions, as ``conf/evidence.csv`` holds them: no run is in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from search.base.paths import conf_dir
from search.evidence.near.likeness import DEGREES, Likeness

FIGURES = ("ttft", "tpot", "speed")
# Of each figure: runs that measure it; mean absolute error of the prediction; median of predicted over measured, less
# one; 10th and 90th percentile of measured over predicted; share of the runs inside the prediction's 80 % interval.
PARTS = ("rows", "error", "bias", "low", "high", "inside")
RANGES = ("in_flight", "prompt", "answer")
NAMES = ("source", "engine", "accelerator", "model", "kind", "precision", *DEGREES, "versions")
COLUMNS = (
    *NAMES,
    *(f"{name}_{end}" for name in RANGES for end in ("low", "high")),
    "rows",
    *(f"{figure}_{part}" for figure in FIGURES for part in PARTS),
)
FILE = "evidence.csv"
HEADER = (
    "# Written by `servefront fidelity FILE --published FILE --write` (docs/evidence.md): residuals of predictions by",
    "# class of measured runs. Those of logs were predicted without their model, system and engine version in the fit;",
    "# published ones and decode pools by the constants as they stand, which are not fitted to them.",
)


@dataclass(frozen=True)
class Residuals:
    """Of one figure over ``rows`` runs (``PARTS``)."""

    rows: int
    error: float
    bias: float
    low: float
    high: float
    inside: float


@dataclass(frozen=True)
class RunClass:
    """Runs of one engine, accelerator, model, precision and layout. ``source``: ``logs`` of closed loops, decode
    ``pools`` of disaggregated runs or ``published`` tables; ``in_flight`` a replica (zeros: all requests queued),
    ``prompt`` and ``answer`` tokens, from the least to the most."""

    source: str
    like: Likeness
    name: str
    versions: str
    in_flight: tuple[float, float]
    prompt: tuple[float, float]
    answer: tuple[float, float]
    rows: int
    residuals: dict[str, Residuals]


def pooled(classes: Sequence[RunClass], figure: str) -> Residuals | None:
    """Over all runs of some classes: error and share inside are exact, of the others the mean, weighted by rows;
    ``None`` where nobody measured the figure."""
    found = [c.residuals[figure] for c in classes if figure in c.residuals]
    rows = sum(r.rows for r in found)
    if not rows:
        return None

    def mean(part: str) -> float:
        return float(sum(r.rows * getattr(r, part) for r in found) / rows)

    return Residuals(rows, *(mean(part) for part in PARTS[1:]))


def text_of(classes: Sequence[RunClass]) -> str:
    """The file's content."""
    out = io.StringIO()
    out.write("\n".join(HEADER) + "\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for c in classes:
        like = [getattr(c.like, name) for name in ("kind", "precision", *DEGREES)]
        cells: list[object] = [c.source, c.like.engine, c.like.accelerator, c.name, *like, c.versions]
        cells += [f"{value:g}" for name in RANGES for value in getattr(c, name)]
        cells.append(c.rows)
        for figure in FIGURES:
            r = c.residuals.get(figure)
            parts = [r.rows, *(round(getattr(r, part), 4) for part in PARTS[1:])] if r else [0, *[""] * 5]
            cells += parts
        writer.writerow(cells)
    return out.getvalue()


@cache
def load_classes() -> tuple[RunClass, ...]:
    """``conf/evidence.csv``."""
    lines = (conf_dir() / FILE).read_text(encoding="utf-8").splitlines()
    reader = csv.DictReader(line for line in lines if not line.startswith("#"))
    return tuple(_read(row) for row in reader)


def _read(row: dict[str, str]) -> RunClass:
    from search.evidence.near.likeness import model_name

    like = Likeness(
        row["engine"], row["accelerator"], model_name(row["model"]), row["kind"], row["precision"],
        *(int(row[name]) for name in DEGREES),
    )  # fmt: skip
    ranges = {name: (float(row[f"{name}_low"]), float(row[f"{name}_high"])) for name in RANGES}
    residuals = {
        figure: Residuals(int(row[f"{figure}_rows"]), *(float(row[f"{figure}_{part}"]) for part in PARTS[1:]))
        for figure in FIGURES
        if int(row[f"{figure}_rows"])
    }
    return RunClass(row["source"], like, row["model"], row["versions"], rows=int(row["rows"]), residuals=residuals,
                    **ranges)  # fmt: skip
