"""How the intervals of ``conf/intervals.yaml`` are made from residuals of rows whose family took no part in the fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from costmodel.plans import Array
from search.base.paths import conf_dir
from search.evidence.measured.errors import age
from search.evidence.measured.errors import measured as actual_value
from search.evidence.measured.grouped import Figures, Read, measured
from search.evidence.measured.intervals import CLASSES
from search.evidence.measured.predict import UNFIT
from search.evidence.measured.predict import predict as predict_all
from search.evidence.measured.rows import Measurement

WIDENED = 1.5  # a class without residuals: logarithms of the widest measured class's bounds, times this
FOREIGN = 1.25  # the measured accelerators are of one vendor: others' logarithms, times this (assumption)
NAMES = {"ttft_s": "TTFT", "tpot_s": "TPOT", "output_tokens_per_s": "tokens/s/GPU"}


def residuals(read: Read, found: Figures, column: int) -> Array:
    """log(measured / predicted) of a figure, in the order of ``found.places``."""
    predicted = (found.ttft_s, found.tpot_s, found.tokens_per_s_per_gpu)[column]
    return np.log(measured(read, found.places)[column] / predicted)


def labels_of(read: Read, found: Figures) -> NDArray[np.str_]:
    return np.array([str(read.rows[i].family) for i in found.places])


def quantiles(values: Array, labels: NDArray[np.str_]) -> tuple[float, float]:
    """10th and 90th percentile of ``values``, each label weighing the same."""
    known = np.isfinite(values)
    values, labels = values[known], labels[known]
    counts = {label: int((labels == label).sum()) for label in set(labels.tolist())}
    weight = np.array([1.0 / counts[label] for label in labels.tolist()])
    order = np.argsort(values)
    share = (np.cumsum(weight[order]) - weight[order] / 2) / weight.sum()
    low, high = np.interp([0.1, 0.9], share, values[order])
    return float(low), float(high)


def bounds(read: Read, found: Figures, values: Array, rows: NDArray[np.bool_] | None = None) -> tuple[float, float]:
    """Factors on a prediction; they hold 1."""
    rows = np.ones(len(values), dtype=bool) if rows is None else rows
    low, high = quantiles(values[rows], labels_of(read, found)[rows])
    return min(float(np.exp(low)), 1.0), max(float(np.exp(high)), 1.0)


def widened(
    covered: tuple[float, float], read: Read, found: Figures, fitted: Figures, column: int
) -> tuple[float, float]:
    """``covered`` and what not knowing something adds, in quadrature of logarithms: the spread of the predictions with
    and without that knowledge."""
    with_it, without = ((f.ttft_s, f.tpot_s, f.tokens_per_s_per_gpu)[column] for f in (fitted, found))
    both = ~(fitted.waiting | found.waiting)
    low, high = quantiles(np.log(with_it / without)[both], labels_of(read, found)[both])
    inner = np.log(covered)
    return float(np.exp(-np.hypot(inner[0], low))), float(np.exp(np.hypot(inner[1], high)))


def own_coverage(read: Read, found: Figures, values: Array) -> float:
    """Share of rows inside the interval that the other families' residuals give."""
    labels = labels_of(read, found)
    hits: list[bool] = []
    for label in sorted(set(labels.tolist())):
        for waiting in (False, True):
            mine = (labels == label) & (found.waiting == waiting)
            others = (labels != label) & (found.waiting == waiting)
            if not mine.any() or not others.any():
                continue
            low, high = quantiles(values[others], labels[others])
            hits += ((values[mine] >= min(low, 0.0)) & (values[mine] <= max(high, 0.0))).tolist()
    return float(np.mean(hits))


def hull(*factors: tuple[float, float]) -> tuple[float, float]:
    """The narrowest factors that hold all: what lacks more is never surer."""
    return min(low for low, _ in factors), max(high for _, high in factors)


def published_bounds(printed: list[Measurement]) -> dict[str, dict[str, tuple[float, float]]]:
    """Factors by figure of ``published`` and ``offline``, and what published figures say of ``accelerator``: quantiles
    of the residuals of engines of today (what is fitted to them: docs/published.md). A class without rows is not in
    it."""
    # A layout that cannot hold what was served is not the one that was measured: no evidence for a width.
    rows = [p for p in predict_all(printed) if age(p.measurement) == "modern" and p.situation != UNFIT]
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for figure, name in NAMES.items():
        attribute = "tokens_per_s_per_gpu" if figure == "output_tokens_per_s" else figure
        for kind in ("published", "offline", "accelerator"):
            chosen = [p for p in rows if kind in (p.coverage, p.situation)]
            pairs = [(getattr(p, attribute).value, actual_value(p.measurement, attribute)) for p in chosen]
            values = np.array([np.log(actual / value) if value > 0 else np.nan for value, actual in pairs])
            good = np.isfinite(values)
            if not good.any():
                continue
            labels = np.array([str(p.measurement.family) for p in chosen])[good]
            values = values[good]
            low, high = quantiles(values, labels)
            found.setdefault(figure, {})[kind] = (min(float(np.exp(low)), 1.0), max(float(np.exp(high)), 1.0))
            own = np.mean([_held(values, labels, label) for label in sorted(set(labels.tolist()))])
            print(f"80 % intervals of {name}, {kind}, hold {own:.1%} of a published family's rows (mean over families)")
    return found


def _held(values: Array, labels: NDArray[np.str_], label: str) -> float:
    """Share of a family's rows inside the interval of the others."""
    mine = labels == label
    if mine.all():
        return float("nan")
    low, high = quantiles(values[~mine], labels[~mine])
    return float(np.mean((values[mine] >= min(low, 0.0)) & (values[mine] <= max(high, 0.0))))


def write_intervals(factors: dict[str, dict[str, tuple[float, float]]], rows: int) -> None:
    """``conf/intervals.yaml``."""
    lines = [
        "# Written by `python -m search fidelity FILE --write`: docs/fidelity.md.",
        "# Factors on a prediction between which the measured value lies in 80 % of cases, by situation.",
        f'source: "residuals of {rows} closed-loop rows, each predicted without its family in the fit; layout: the '
        f"widest of the others, its logarithm times {WIDENED} (assumption: no such row is in the data); "
        f"accelerator: logarithms times {FOREIGN} (assumption: all measured ones are of one vendor); published, "
        "offline: residuals of published figures of engines of today, to which two constants of early SGLang are "
        'fitted"',
        "factors:",
    ]
    for figure, table in factors.items():
        lines.append(f"  {figure}:")
        lines += [f"    {name}: [{table[name][0]:.4f}, {table[name][1]:.4f}]" for name in CLASSES]
    (conf_dir() / "intervals.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
