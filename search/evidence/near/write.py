"""``conf/evidence.csv`` from predictions of measured runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search.base.errors import InputError
from search.base.paths import conf_dir
from search.evidence.measured.cases import Case, case_of
from search.evidence.measured.errors import measured as actual
from search.evidence.measured.grouped import Figures, Read
from search.evidence.measured.interval_fit import Bounds, inside
from search.evidence.measured.intervals import FIGURES as TABLES
from search.evidence.measured.pools import Pool
from search.evidence.measured.predict import UNFIT, Prediction
from search.evidence.measured.rows import Measurement
from search.evidence.measured.versions import version_of
from search.evidence.near.classes import FIGURES, FILE, Residuals, RunClass, text_of
from search.evidence.near.likeness import Likeness, likeness

NEWEST = 1  # the first number of an engine's version; larger ones are of what it was built with
ATTRIBUTES = {"ttft": "ttft_s", "tpot": "tpot_s", "speed": "tokens_per_s_per_gpu"}


@dataclass(frozen=True)
class Judged:
    """One run and its prediction: of each figure predicted over measured, and whether the interval holds it."""

    source: str
    row: Measurement
    case: Case
    figures: Mapping[str, tuple[float, bool]]


def of_logs(read: Read, found: Figures, factors: Mapping[str, Bounds]) -> list[Judged]:
    """Runs of logs, predicted without what is theirs in the fit."""
    columns = (found.ttft_s, found.tpot_s, found.tokens_per_s_per_gpu)
    held = [inside(read, found, n, factors[table]) for n, table in enumerate(TABLES)]
    judged = []
    for n, i in enumerate(found.places):
        row = read.rows[i]
        ratios = [float(c[n]) / actual(row, ATTRIBUTES[f]) for f, c in zip(FIGURES, columns, strict=True)]
        figures = {f: (r, bool(h[n])) for f, r, h in zip(FIGURES, ratios, held, strict=True) if np.isfinite(r)}
        judged.append(Judged("logs", row, read.cases[i], figures))
    return judged


def of_published(predictions: Iterable[Prediction]) -> list[Judged]:
    """Printed figures of layouts that hold what was served."""
    judged = []
    for p in predictions:
        if p.skipped is not None or p.situation == UNFIT:
            continue
        try:
            case = case_of(p.measurement)
        except InputError:  # pragma: no cover - it was predicted
            continue
        figures = {}
        for f in FIGURES:
            figure, value = getattr(p, ATTRIBUTES[f]), actual(p.measurement, ATTRIBUTES[f])
            if np.isfinite(figure.value) and np.isfinite(value):
                figures[f] = (figure.value / value, figure.low <= value <= figure.high)
        if figures:
            judged.append(Judged("published", p.measurement, case, figures))
    return judged


def of_pools(pools: Iterable[Pool]) -> list[Judged]:
    """Decode pools of disaggregated runs: their steps alone."""
    judged = []
    for pool in pools:
        value = actual(pool.row, ATTRIBUTES["tpot"])
        figures = {"tpot": (pool.token_s / value, pool.low_s <= value <= pool.high_s)}
        judged.append(Judged("pools", pool.row, pool.case, figures))
    return judged


def classes_of(judged: Sequence[Judged]) -> list[RunClass]:
    """The classes that they fall into, by source, engine, accelerator and model."""
    groups: dict[tuple[str, Likeness], list[Judged]] = {}
    for j in judged:
        groups.setdefault((j.source, likeness(j.case.scenario, j.case.plan)), []).append(j)
    found = [_class(source, like, members) for (source, like), members in groups.items()]
    return sorted(found, key=lambda c: (c.source, *(str(value) for value in vars(c.like).values())))


def _class(source: str, like: Likeness, members: Sequence[Judged]) -> RunClass:
    return RunClass(
        source,
        like,
        min(j.case.scenario.model.name for j in members),
        _versions([j.row for j in members]),
        # Nobody counts those in flight where all requests are queued at once.
        in_flight=_ends([float(j.case.plan.batch[0]) for j in members if j.row.concurrency is not None] or [0.0]),
        prompt=_ends([j.row.nominal[0] for j in members]),
        answer=_ends([j.row.nominal[1] for j in members]),
        rows=len(members),
        residuals={f: r for f in FIGURES if (r := _residuals([j.figures[f] for j in members if f in j.figures]))},
    )


def _residuals(found: Sequence[tuple[float, bool]]) -> Residuals | None:
    if not found:
        return None
    ratios = np.array([ratio for ratio, _ in found])
    low, high = np.quantile(1.0 / ratios, (0.1, 0.9))
    return Residuals(
        len(found),
        float(np.abs(ratios - 1.0).mean()),
        float(np.median(ratios) - 1.0),
        float(low),
        float(high),
        float(np.mean([held for _, held in found])),
    )


def _ends(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)


def _versions(rows: Sequence[Measurement]) -> str:
    """The first and the last engine version; empty where none is printed."""
    known = sorted({v for row in rows if (v := version_of(row)) is not None and v[0] <= NEWEST})
    ends = [f"{major}.{minor}" for major, minor in known]
    return "" if not ends else ends[0] if len(ends) == 1 else f"{ends[0]} to {ends[-1]}"


def write_evidence(judged: Sequence[Judged]) -> None:
    """``conf/evidence.csv``."""
    (conf_dir() / FILE).write_text(text_of(classes_of(judged)), encoding="utf-8")
