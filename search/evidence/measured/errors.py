"""How far off predictions are, over all rows and by group."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from search.evidence.measured.cases import ENGINES
from search.evidence.measured.predict import Figure, Prediction
from search.evidence.measured.rows import Measurement
from search.evidence.measured.versions import version_of
from search.inputs.models.catalog import plain

FIGURES = ("ttft_s", "tpot_s", "tokens_per_s_per_gpu")
LABELS = {"ttft_s": "TTFT", "tpot_s": "TPOT", "tokens_per_s_per_gpu": "tokens/s/GPU"}
MODERN = {"vllm": (0, 8), "sglang": (0, 4), "trtllm": (1, 0)}  # the first version that counts as such


@dataclass(frozen=True)
class Errors:
    """Of one figure: ``rows`` compared, of ``families``; ``mean`` and ``median`` absolute relative error, ``bias`` the
    signed median, ``family_mean`` the mean over families of their means; ``inside`` share of the ``intervals`` rows
    with an interval whose measured value lies in it."""

    rows: int
    families: int
    mean: float
    median: float
    bias: float
    family_mean: float
    inside: float
    intervals: int


def measured(m: Measurement, figure: str) -> float:
    """A measured figure, NaN where the row has none."""
    value = getattr(m, figure)
    return math.nan if value is None or value <= 0 else float(value)


def errors(predictions: Iterable[Prediction]) -> dict[str, Errors]:
    """Errors by figure; a figure that a row does not measure, or that is not predicted, is not compared."""
    rows = list(predictions)
    return {figure: _errors(rows, figure) for figure in FIGURES}


def _errors(rows: Sequence[Prediction], figure: str) -> Errors:
    found: dict[tuple[str, str, str], list[float]] = {}
    hits: list[bool] = []
    for p in rows:
        guess: Figure = getattr(p, figure)
        actual = measured(p.measurement, figure)
        if not (math.isfinite(guess.value) and math.isfinite(actual)):
            continue
        found.setdefault(p.measurement.family, []).append(guess.value / actual - 1.0)
        if math.isfinite(guess.low) and math.isfinite(guess.high):
            hits.append(guess.low <= actual <= guess.high)
    signed = [e for family in found.values() for e in family]
    if not signed:
        return Errors(0, 0, math.nan, math.nan, math.nan, math.nan, math.nan, 0)
    absolute = np.abs(signed)
    return Errors(
        rows=len(signed),
        families=len(found),
        mean=float(absolute.mean()),
        median=float(np.median(absolute)),
        bias=float(np.median(signed)),
        family_mean=float(np.mean([np.mean(np.abs(e)) for e in found.values()])),
        inside=float(np.mean(hits)) if hits else math.nan,
        intervals=len(hits),
    )


def age(m: Measurement) -> str:
    """``modern`` from the version in ``MODERN`` on, ``older`` before, ``version not known`` where none is printed."""
    first = MODERN.get(ENGINES.get(plain(m.engine), "")) if plain(m.engine) != "atom" else None
    version = version_of(m)
    if first is None or version is None:
        return "version not known"
    return "modern" if version >= first else "older"


GROUPINGS: dict[str, Callable[[Measurement], str]] = {
    "engine": lambda m: ENGINES.get(plain(m.engine), m.engine),
    "system": lambda m: m.system,
    "model": lambda m: m.model,
    "mode": lambda m: m.regime,
    "mode and age of the engine": lambda m: f"{m.regime}, {age(m)}",
}


def by(predictions: Iterable[Prediction], grouping: str) -> dict[str, dict[str, Errors]]:
    """Errors of each group, the largest first."""
    groups: dict[str, list[Prediction]] = {}
    for p in predictions:
        groups.setdefault(GROUPINGS[grouping](p.measurement), []).append(p)
    return {name: errors(rows) for name, rows in sorted(groups.items(), key=lambda item: -len(item[1]))}


def reasons(predictions: Iterable[Prediction]) -> dict[str, int]:
    """How many rows were skipped for which reason, the most frequent first."""
    return dict(Counter(p.skipped for p in predictions if p.skipped is not None).most_common())
