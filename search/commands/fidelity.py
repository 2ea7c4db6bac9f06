"""``servefront fidelity FILE.csv``: how far predictions are off where nothing was fitted, and the intervals.

Families (model, system, engine) are left out one at a time, then models, systems and engines; the constants are fitted
to the rest and the left-out rows predicted. The same constants are refitted to everything: those of ``conf/engine``.
Intervals are quantiles of the left-out residuals, each family weighing the same; their own coverage is measured
on a family with the quantiles of the others. ``--write`` puts them into ``conf/intervals.yaml``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from costmodel.launches import in_engine
from costmodel.scenario import Scenario
from search.base.arguments import Parser
from search.base.errors import InputError
from search.evidence.measured.cases import Case
from search.evidence.measured.families import option, ranking, regret
from search.evidence.measured.fitting import Fitted, apply, fit
from search.evidence.measured.grouped import Figures, Read, measured, predict, read_cases
from search.evidence.measured.interval_fit import (
    FOREIGN,
    NAMES,
    WIDENED,
    bounds,
    hull,
    labels_of,
    own_coverage,
    published_bounds,
    residuals,
    widened,
    write_intervals,
)
from search.evidence.measured.intervals import CLASSES, FIGURES
from search.evidence.measured.peers import read_peer
from search.evidence.measured.rows import Measurement, read_rows
from search.inputs.config import read_engine
from search.inputs.efficiency_laws import load_law, read_law
from search.inputs.hardware_catalog import load_engine, load_hardware


def main(argv: list[str]) -> int:
    """Print the tables of docs/fidelity.md; returns the exit code."""
    parser = Parser(prog="servefront fidelity", description="How far predictions are off where nothing was fitted.")
    parser.add_argument("file", type=Path, help="measurements in the schema of silicon_dev.csv")
    parser.add_argument("--published", type=Path, help="published figures: intervals of the two classes for them")
    parser.add_argument(
        "--compare",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="another program's file: show its rows",
    )
    parser.add_argument("--write", action="store_true", help="write conf/intervals.yaml")
    parser.add_argument("--steps", type=int, default=8, help="evaluations of the fit with something left out")
    options = parser.parse_args(argv)
    try:
        if options.steps < 1:
            raise InputError(f"--steps: {options.steps} is not allowed; give 1 or more")
        read = read_cases(read_rows(options.file))
        families = {row.family for i, row in enumerate(read.rows) if i in read.cases}
        if len(families) < 2:
            raise InputError(f"{options.file}: {len(families)} families of rows can be used; leaving one out takes two")
        printed = read_rows(options.published) if options.published else []
        peers = {path.name: [p.measurement.id for p in read_peer(path, read.rows)] for path in options.compare}
    except InputError as error:
        from search.commands.search import fail

        return fail(str(error), InputError.exit_code)
    report(read, printed, options.steps, peers, write=options.write)
    return 0


def report(
    read: Read, printed: list[Measurement], steps: int, peers: Mapping[str, Sequence[str]], *, write: bool
) -> None:
    """Fit, leave out, print."""
    for reason in sorted(set(read.skipped.values())):
        print(f"left out: {sum(r == reason for r in read.skipped.values())} rows: {reason}")
    everything = fit(read, mask(read, lambda row: True))
    print(f"{len(everything)} constants fitted to {len(read.cases)} rows:")
    for (engine, name), value in everything.items():
        print(f"  {engine}.{name} = {value:.3g}")
    fitted = predict(read, apply(everything))
    show("all rows in the fit", read, fitted)
    left_out = {}
    for what in ("family", "model", "system", "engine"):
        left_out[f"one {what}"] = leave_out(read, attrgetter(what), steps, everything)
        show(f"leave one {what} out", read, left_out[f"one {what}"])
    families = left_out["one family"]
    for title, found in {"all rows in the fit": fitted, **left_out}.items():
        show_choices(title, read, found)
        for name, ids in peers.items():
            show_rows_of(f"{title}, rows of {name}", read, found, set(ids))
    unknown = predict(read, _any_engine)
    unmeasured = predict(read, _class_law(everything))
    show("engine unknown (conf/engine/any.yaml)", read, unknown)
    show("accelerator's kernels unknown (class_default law)", read, unmeasured)
    published = published_bounds(printed)
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
        said = published.get(figure, {})
        table["accelerator"] = hull(
            table["accelerator"], table["engine"], *[v for k, v in said.items() if k == "accelerator"]
        )
        widest = max(np.abs(np.log(v)).max() for v in table.values())
        table["layout"] = (float(np.exp(-widest * WIDENED)), float(np.exp(widest * WIDENED)))
        for name in ("published", "offline"):
            table[name] = said.get(name, table["accelerator"])
        factors[figure] = table
    for figure, table in factors.items():
        print(NAMES[figure], {c: tuple(round(v, 3) for v in table[c]) for c in CLASSES})
    if write:
        write_intervals(factors, len(read.cases))


def mask(read: Read, wanted: Callable[[Measurement], bool]) -> NDArray[np.bool_]:
    return np.array([i in read.cases and wanted(row) for i, row in enumerate(read.rows)])


def leave_out(read: Read, key: Callable[[Measurement], object], steps: int, start: Fitted) -> Figures:
    """Every row predicted with constants fitted to the rows of other groups; ``start`` only begins the search."""
    places = list(read.cases)
    at = {i: n for n, i in enumerate(places)}
    out = np.full((4, len(places)), np.nan)
    for group in sorted({str(key(read.rows[i])) for i in places}):
        fitted = fit(read, mask(read, lambda row, g=group: str(key(row)) != g), steps=steps, start=start)  # type: ignore[misc]
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
    base = load_law(law) if law else read_law(load_hardware(hardware).efficiency)
    return replace(scenario, law=in_engine(base, scenario.engine, scenario.accelerator, scenario.model))


def show(title: str, read: Read, found: Figures) -> None:
    """Mean, median and bias of the errors by family, over rows and over families."""
    actual = measured(read, found.places)
    figures = (found.ttft_s, found.tpot_s, found.tokens_per_s_per_gpu)
    labels = labels_of(read, found)
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


def show_rows_of(title: str, read: Read, found: Figures, ids: set[str]) -> None:
    """Mean errors and choices over the rows that another program predicts, to stand beside its own."""
    inside = np.array([read.rows[i].id in ids for i in found.places], dtype=np.bool_)
    kept = found.only(inside)
    figures = (kept.ttft_s, kept.tpot_s, kept.tokens_per_s_per_gpu)
    errors = [np.abs(p / a - 1.0) for p, a in zip(figures, measured(read, kept.places), strict=True)]
    text = "  ".join(f"{n} {np.nanmean(e):.1%}" for n, e in zip(NAMES.values(), errors, strict=True))
    print(f"{title}: {len(kept.places)} rows  {text}")
    show_choices(title, read, kept)


def show_choices(title: str, read: Read, found: Figures) -> None:
    """Rank correlation and regret of the choices that predictions make (``search.evidence.measured.families``)."""
    predicted = zip(found.places, found.tpot_s.tolist(), found.tokens_per_s_per_gpu.tolist(), strict=True)
    rows = [row for i, tpot, speed in predicted if (row := option(read.rows[i], tpot, speed)) is not None]
    order, taken = ranking(rows), regret(rows)
    print(
        f"choices, {title}: rank correlation {order.mean:.3f}; mean loss {taken.loss:.1%} over {taken.decisions} "
        f"decisions, limits kept {taken.kept:.1%}, within 5 % {taken.nearly_kept:.1%}"
    )
