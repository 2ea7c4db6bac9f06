"""Another program's predictions of the same rows, read from its file."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from search.base.errors import InputError
from search.evidence.measured.predict import Figure, Prediction
from search.evidence.measured.rows import Measurement

# A column of ten waves of requests is what benchmarks of ten times the concurrency measure, so it goes first.
TTFT_MS = ("pred_ttft_10waves_ms", "pred_ttft_ms")
TPOT_MS = ("pred_tpot_ms",)
SPEED = ("tokens_s_gpu", "pred_output_tok_s_per_gpu")


def read_peer(path: Path, measurements: Sequence[Measurement]) -> list[Prediction]:
    """The peer's predictions of those measurements that its file names; ``InputError`` if it is no such file."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            header = set(reader.fieldnames or [])
            lines = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV: {error}") from error
    key = next((name for name in ("row", "id") if name in header), None)
    if key is None or "pred_tpot_ms" not in header or not header & set(TTFT_MS):
        raise InputError(f"{path}: not a file of predictions: it needs row (or id), pred_ttft_ms and pred_tpot_ms")
    given = {line[key]: line for line in lines}
    found = []
    for m in measurements:
        line = given.get(m.id)
        if line is not None:
            ttft, tpot = _number(line, TTFT_MS) / 1e3, _number(line, TPOT_MS) / 1e3
            found.append(Prediction(m, Figure(ttft), Figure(tpot), Figure(_number(line, SPEED)), "peer"))
    return found


def _number(line: dict[str, str], names: Sequence[str]) -> float:
    """The first of some columns that holds a finite number; NaN if none does."""
    for name in names:
        try:
            value = float(line.get(name) or "nan")
        except ValueError:
            continue
        if math.isfinite(value):
            return value
    return math.nan
