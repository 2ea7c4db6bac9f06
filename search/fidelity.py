"""``python -m search.fidelity FILE.csv``: how far predictions are off where nothing was fitted, and the intervals.

Families (model, system, engine) are left out one at a time, then models; the engine constants are fitted to the rest
and the left-out rows predicted. The same constants are refitted to everything at the end, which is what ``conf/engine``
holds. Intervals are quantiles of the left-out residuals, each family weighing the same; their own coverage is measured
on a family with the quantiles of the others. ``--write`` puts them into ``conf/intervals.yaml``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from costmodel.launches import in_engine
from costmodel.plans import Array
from costmodel.scenario import Scenario
from search.config import load_law, read_engine
from search.errors import InputError
from search.hardware_catalog import load_engine
from search.measured.cases import Case
from search.measured.fitting import Fitted, apply, fit
from search.measured.grouped import Figures, Read, measured, predict, read_cases
from search.measured.intervals import CLASSES, FIGURES
from search.measured.rows import Measurement, read_rows
from search.paths import conf_dir

WIDENED = 1.5  # a class without residuals: logarithms of the widest measured class's bounds, times this
FOREIGN = 1.25  # the measured accelerators are of one vendor: others' logarithms, times this (assumption)
NAMES = {"ttft_s": "TTFT", "tpot_s": "TPOT", "output_tokens_per_s": "tokens/s/GPU"}


def main(argv: list[str]) -> int:
    """Print the tables of docs/fidelity.md; returns the exit code."""
    parser = argparse.ArgumentParser(prog="servefront fidelity", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="measurements in the schema of silicon_dev.csv")
    parser.add_argument("--write", action="store_true", help="write conf/intervals.yaml")
    parser.add_argument("--steps", type=int, default=8, help="evaluations of the fit with something left out")
    options = parser.parse_args(argv)
    try:
        read = read_cases(read_rows(options.file))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return InputError.exit_code
    report(read, options.steps, write=options.write)
    return 0


def report(read: Read, steps: int, *, write: bool) -> None:
    """Fit, leave out, print."""
    for reason in sorted(set(read.skipped.values())):
        print(f"left out: {sum(r == reason for r in read.skipped.values())} rows: {reason}")
    everything = fit(read, mask(read, lambda row: True))
    print(f"{len(everything)} constants fitted to {len(read.cases)} rows:")
    for (engine, name), value in everything.items():
        print(f"  {engine}.{name} = {value:.3g}")
    fitted = predict(read, apply(everything))
    show("all rows in the fit", read, fitted)
    families = leave_out(read, lambda row: row.family, steps)
    show("leave one family out", read, families)
    show("leave one model out", read, leave_out(read, lambda row: row.model, steps))
    unknown = predict(read, _any_engine)
    unmeasured = predict(read, _class_law(everything))
    show("engine unknown (conf/engine/any.yaml)", read, unknown)
    show("accelerator's kernels unknown (class_default law)", read, unmeasured)
    factors = {}
    for column, figure in enumerate(FIGURES):
        kept = residuals(read, families, column)
        own = own_coverage(read, families, kept)
        print(f"80 % intervals of {NAMES[figure]} hold {own:.1%} of the rows of a family that gave none of their width")
        covered = bounds(read, families, kept, ~families.waiting)
        table = {
            "covered": covered,
            "waiting": bounds(read, families, kept, families.waiting),
            "engine": widened(covered, read, unknown, fitted, column),
            "accelerator": tuple(np.exp(np.log(widened(covered, read, unmeasured, fitted, column)) * FOREIGN).tolist()),
        }
        widest = max(np.abs(np.log(v)).max() for v in table.values())
        table["layout"] = (float(np.exp(-widest * WIDENED)), float(np.exp(widest * WIDENED)))
        factors[figure] = table
    for figure, table in factors.items():
        print(NAMES[figure], {c: tuple(round(v, 3) for v in table[c]) for c in CLASSES})
    if write:
        write_intervals(factors, len(read.cases))


def mask(read: Read, wanted: Callable[[Measurement], bool]) -> NDArray[np.bool_]:
    return np.array([i in read.cases and wanted(row) for i, row in enumerate(read.rows)])


def leave_out(read: Read, key: Callable[[Measurement], object], steps: int) -> Figures:
    """Every row predicted with constants fitted to the rows of other groups."""
    places = list(read.cases)
    at = {i: n for n, i in enumerate(places)}
    out = np.full((4, len(places)), np.nan)
    for group in sorted({str(key(read.rows[i])) for i in places}):
        fitted = fit(read, mask(read, lambda row, g=group: str(key(row)) != g), steps=steps)  # type: ignore[misc]
        inside = Read(read.rows, {i: c for i, c in read.cases.items() if str(key(read.rows[i])) == group}, {})
        found = predict(inside, apply(fitted))
        out[:, [at[i] for i in found.places]] = [
            found.ttft_s, found.tpot_s, found.tokens_per_s_per_gpu, found.waiting,
        ]  # fmt: skip
    return Figures(places, out[0], out[1], out[2], out[3] > 0)


def _any_engine(scenario: Scenario, case: Case) -> Scenario:
    return _relaw(replace(scenario, engine=read_engine(load_engine("any"))), case.hardware, None)


def _class_law(fitted: Fitted) -> Callable[[Scenario, Case], Scenario]:
    change = apply(fitted)
    return lambda scenario, case: _relaw(change(scenario, case), case.hardware, "class_default")


def _relaw(scenario: Scenario, hardware: str, law: str | None) -> Scenario:
    from search.config import read_law
    from search.hardware_catalog import load_hardware

    base = load_law(law) if law else read_law(load_hardware(hardware).efficiency)
    return replace(scenario, law=in_engine(base, scenario.engine, scenario.accelerator))


def residuals(read: Read, found: Figures, column: int) -> Array:
    """log(measured / predicted) of a figure, in the order of ``found.places``."""
    predicted = (found.ttft_s, found.tpot_s, found.tokens_per_s_per_gpu)[column]
    return np.log(measured(read, found.places)[column] / predicted)


def _labels(read: Read, found: Figures) -> NDArray[np.str_]:
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
    low, high = quantiles(values[rows], _labels(read, found)[rows])
    return min(float(np.exp(low)), 1.0), max(float(np.exp(high)), 1.0)


def widened(
    covered: tuple[float, float], read: Read, found: Figures, fitted: Figures, column: int
) -> tuple[float, float]:
    """``covered`` and what not knowing something adds, in quadrature of logarithms: the spread of the predictions with
    and without that knowledge."""
    with_it, without = ((f.ttft_s, f.tpot_s, f.tokens_per_s_per_gpu)[column] for f in (fitted, found))
    both = ~(fitted.waiting | found.waiting)
    low, high = quantiles(np.log(with_it / without)[both], _labels(read, found)[both])
    inner = np.log(covered)
    return float(np.exp(-np.hypot(inner[0], low))), float(np.exp(np.hypot(inner[1], high)))


def own_coverage(read: Read, found: Figures, values: Array) -> float:
    """Share of rows inside the interval that the other families' residuals give."""
    labels = _labels(read, found)
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


def show(title: str, read: Read, found: Figures) -> None:
    """Mean, median and bias of the errors by family, over rows and over families."""
    actual = measured(read, found.places)
    figures = (found.ttft_s, found.tpot_s, found.tokens_per_s_per_gpu)
    labels = _labels(read, found)
    print(f"\n{title}: absolute error, mean (median) [bias]")
    means: list[list[float]] = []
    for label in sorted(set(labels.tolist())):
        rows = labels == label
        errors = [p[rows] / a[rows] - 1.0 for p, a in zip(figures, actual, strict=True)]
        means.append([float(np.nanmean(np.abs(e))) for e in errors])
        cells = "  ".join(
            f"{n} {np.nanmean(np.abs(e)):.1%} ({np.nanmedian(np.abs(e)):.1%}) [{np.nanmedian(e):+.1%}]"
            for n, e in zip(NAMES.values(), errors, strict=True)
        )
        print(f"  {label:85s} {int(rows.sum()):4d}  {cells}")
    errors = [np.abs(p / a - 1.0) for p, a in zip(figures, actual, strict=True)]
    rows_text = "  ".join(
        f"{n} {np.nanmean(e):.1%} ({np.nanmedian(e):.1%})" for n, e in zip(NAMES.values(), errors, strict=True)
    )
    family_text = "  ".join(f"{n} {m:.1%}" for n, m in zip(NAMES.values(), np.mean(means, axis=0), strict=True))
    print(f"  mean over rows: {rows_text}\n  mean over families: {family_text}\n")


def write_intervals(factors: dict[str, dict[str, tuple[float, float]]], rows: int) -> None:
    """``conf/intervals.yaml``."""
    lines = [
        "# Written by `python -m search.fidelity FILE --write`: docs/fidelity.md.",
        "# Factors on a prediction between which the measured value lies in 80 % of cases, by situation.",
        f'source: "residuals of {rows} closed-loop rows, each predicted without its family in the fit; layout: the '
        f"widest of the others, its logarithm times {WIDENED} (assumption: no such row is in the data); "
        f'accelerator: logarithms times {FOREIGN} (assumption: all measured ones are of one vendor)"',
        "factors:",
    ]
    for figure, table in factors.items():
        lines.append(f"  {figure}:")
        lines += [f"    {name}: [{table[name][0]:.4f}, {table[name][1]:.4f}]" for name in CLASSES]
    (conf_dir() / "intervals.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
