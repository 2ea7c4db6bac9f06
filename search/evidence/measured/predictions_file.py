"""The file of predictions: a line for every input row, written whole or not at all."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from search.base.escape import csv_cell
from search.base.whole_file import put_out
from search.evidence.measured.predict import Figure, Prediction

COLUMNS = ("ttft_ms", "tpot_ms", "output_tokens_per_s_per_gpu")


def id_column(path: Path) -> str:
    """``row`` or ``id``: how the input file names its rows."""
    with path.open(newline="", encoding="utf-8") as file:
        header = next(csv.reader(file), [])
    return "row" if "row" in header else "id"


def header(key: str) -> list[str]:
    """Names of the columns."""
    figures = [name + suffix for name in COLUMNS for suffix in ("", "_low", "_high")]
    return [key, *figures, "coverage", "skipped"]


def line(p: Prediction) -> list[str]:
    """The cells of one prediction: milliseconds, milliseconds, tokens a second and GPU; what is not known is empty."""
    cells = [csv_cell(p.measurement.id or "")]
    for figure, unit in ((p.ttft_s, 1e3), (p.tpot_s, 1e3), (p.tokens_per_s_per_gpu, 1.0)):
        cells += _cells(figure, unit)
    return [*cells, csv_cell(p.coverage), csv_cell(p.skipped or "")]


def _cells(figure: Figure, unit: float) -> Iterable[str]:
    for value in (figure.value, figure.low, figure.high):
        yield f"{value * unit:.6g}" if math.isfinite(value) else ""


def write_predictions(predictions: Sequence[Prediction], key: str, path: Path) -> None:
    """Write beside ``path`` and rename; ``InputError`` if that cannot be done."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header(key))
    writer.writerows(line(p) for p in predictions)
    put_out("--out", path, text.getvalue())
