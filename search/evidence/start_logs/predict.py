"""Predictions of start logs, and the file that holds them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from costmodel.memory import starting
from costmodel.memory.device import usable_bytes
from costmodel.working_memory import GIB
from search.base.errors import InputError
from search.base.escape import csv_cell
from search.base.whole_file import put_out
from search.evidence.start_logs.cases import case_of
from search.evidence.start_logs.rows import StartLog

COLUMNS = (
    "id", "weights_gib", "available_kv_gib", "available_kv_gib_low", "available_kv_gib_high", "kv_tokens", "starts",
    "starts_probability", "skipped",
)  # fmt: skip


@dataclass(frozen=True)
class Prediction:
    """Sizes in GiB of one accelerator; ``share_gib``: the engine's share of the memory, ``nan`` with a ``skipped``
    reason."""

    row: StartLog
    weights_gib: float = math.nan
    cache_gib: float = math.nan
    low_gib: float = math.nan
    high_gib: float = math.nan
    kv_tokens: float = math.nan
    starts: bool | None = None
    probability: float = math.nan
    share_gib: float = math.nan
    skipped: str = ""

    @property
    def error(self) -> float:
        """Of the cache, as a share of what the engine may use beside the weights."""
        return (self.cache_gib - self.row.cache_gib) / (self.share_gib - self.weights_gib)


def predict(rows: Sequence[StartLog], models: Path | None = None) -> list[Prediction]:
    """One prediction a row, or why there is none."""
    found = []
    for row in rows:
        try:
            found.append(_predict(row, models))
        except InputError as error:
            found.append(Prediction(row, skipped=str(error)))
    return found


def _predict(row: StartLog, models: Path | None) -> Prediction:
    case = case_of(row, models)
    start = starting(case.scenario, case.plan, case.server)

    def gib(value: object) -> float:
        return float(np.asarray(value).ravel()[0]) / GIB

    part = case.cache_share
    share = case.server.fraction * usable_bytes(case.scenario.accelerator) / GIB
    return Prediction(
        row,
        weights_gib=gib(start.weights_bytes + case.drafter_bytes),
        cache_gib=gib(start.available_kv_bytes) * part,
        low_gib=gib(start.low) * part,
        high_gib=gib(start.high) * part,
        kv_tokens=float(start.kv_tokens[0]) * part,
        starts=bool(start.starts[0]),
        probability=float(start.starts_probability[0]),
        share_gib=share,
    )


def write_predictions(predictions: Sequence[Prediction], path: Path) -> None:
    """The file of docs/formats.md, whole or not at all; ``InputError`` if it cannot be written."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for p in predictions:
        figures = (p.weights_gib, p.cache_gib, p.low_gib, p.high_gib)
        writer.writerow(
            [
                csv_cell(p.row.id),
                *("" if math.isnan(v) else f"{v:.4f}" for v in figures),
                "" if math.isnan(p.kv_tokens) else f"{p.kv_tokens:.0f}",
                "" if p.starts is None else str(p.starts).lower(),
                "" if math.isnan(p.probability) else f"{p.probability:.4f}",
                csv_cell(p.skipped),
            ]
        )
    put_out("--out", path, text.getvalue())
