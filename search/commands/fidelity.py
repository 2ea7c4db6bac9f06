"""``servefront fidelity FILE.csv``: how far predictions are off where nothing was fitted, and the intervals.

The constants are fitted to everything (those of ``conf/engine``); families (model, system, engine), models, systems,
versions and engines are left out one at a time, then a row's model, system and version together, and the left-out
rows predicted. Half of the families choose terms and constants for the other half (``terms.nested``). Intervals are
quantiles of the residuals with model, system and version left out, each family weighing the same, as much wider as the
choice of terms asks for. ``--write`` puts constants and intervals into ``conf``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from costmodel.launches import in_engine
from costmodel.scenario import Scenario
from search.base.arguments import Parser
from search.base.errors import InputError
from search.evidence.measured.cases import Case
from search.evidence.measured.fidelity_tables import show, show_choices, show_pools, show_rows_of
from search.evidence.measured.fitting import Fitted, apply, centred, fit
from search.evidence.measured.grouped import Figures, Read, impossible_families, predict, read_cases
from search.evidence.measured.interval_fit import (
    NAMES,
    WIDENED,
    Bounds,
    coverages,
    held_by_others,
    hull,
    published_bounds,
    shares,
    widened,
    widths,
    write_intervals,
)
from search.evidence.measured.intervals import FIGURES, KEYS, load_intervals
from search.evidence.measured.left_out import LeftOut, mask
from search.evidence.measured.peers import read_peer
from search.evidence.measured.pools import decode_pools
from search.evidence.measured.predict import predict as predict_published
from search.evidence.measured.rows import Measurement, read_rows
from search.evidence.measured.split_intervals import split_bounds
from search.evidence.measured.terms import nested
from search.evidence.measured.write_constants import write_constants
from search.evidence.near.write import of_logs, of_pools, of_published, write_evidence
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
    parser.add_argument("--write", action="store_true", help="write the constants and conf/intervals.yaml")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of the fit, each with slopes of its own")
    options = parser.parse_args(argv)
    try:
        if options.rounds < 1:
            raise InputError(f"--rounds: {options.rounds} is not allowed; give 1 or more")
        read = read_cases(read_rows(options.file))
        families = {row.family for i, row in enumerate(read.rows) if i in read.cases}
        if len(families) < 2:
            raise InputError(f"{options.file}: {len(families)} families of rows can be used; leaving one out takes two")
        printed = read_rows(options.published) if options.published else []
        peers = {path.name: [p.measurement.id for p in read_peer(path, read.rows)] for path in options.compare}
    except InputError as error:
        from search.commands.search import fail

        return fail(str(error), InputError.exit_code)
    report(read, printed, options.rounds, peers, write=options.write)
    return 0


def report(
    read: Read, printed: list[Measurement], rounds: int, peers: Mapping[str, Sequence[str]], *, write: bool
) -> None:
    """Fit, leave out, print."""
    for reason in sorted(set(read.skipped.values())):
        print(f"left out: {sum(r == reason for r in read.skipped.values())} rows: {reason}")
    odd = impossible_families(read)
    for family in sorted(odd):
        print(f"not in the fit, in all errors: {family}, of which rows are faster than the accelerator can be")
    keep = mask(read, lambda row: row.family not in odd)
    everything = fit(read, keep, rounds=rounds, start=present(read))
    print(f"{len(everything)} constants fitted to {int(keep.sum())} rows:")
    for (engine, name), value in everything.items():
        print(f"  {engine}.{name} = {value:.3g}")
    if write:
        write_constants(everything, int(keep.sum()))
    fitted = predict(read, apply(everything))
    show("all rows in the fit", read, fitted)
    lacking = LeftOut(read, everything, keep)
    left_out = {}
    for what in ("family", "model", "system", "version", "engine"):
        left_out[f"one {what}"] = lacking.one(what)
        show(f"leave one {what} out", read, left_out[f"one {what}"])
    strict = left_out["model, system and version"] = lacking.strict()
    show("leave model, system and version out", read, strict)
    others = nested(read, everything, ~keep)
    show("terms and constants chosen by the other half of the families", read, others)
    for title, found in {"all rows in the fit": fitted, **left_out}.items():
        show_choices(title, read, found)
        for name, ids in peers.items():
            show_rows_of(f"{title}, rows of {name}", read, found, set(ids))
    unknown = predict(read, _any_engine, other_memory=True)
    unmeasured = predict(read, _class_law(everything))
    show("engine unknown (conf/engine/any.yaml)", read, unknown)
    show("accelerator's kernels unknown (class_default law)", read, unmeasured)
    pools = decode_pools(read.rows)
    show_pools(pools)
    apart = split_bounds(read.rows)
    said = published_bounds(printed)
    factors = intervals(read, keep, (strict, others, fitted, unknown, unmeasured), said, apart)
    if write:
        write_intervals(factors, len(read.cases))
        load_intervals.cache_clear()
        published = of_published(predict_published(printed))
        write_evidence([*of_logs(read, strict, factors), *of_pools(decode_pools(read.rows)), *published])


Five = tuple[Figures, Figures, Figures, Figures, Figures]


def intervals(
    read: Read,
    keep: NDArray[np.bool_],
    found_by: Five,
    published: Mapping[str, Bounds],
    split: Mapping[str, tuple[float, float]],
) -> dict[str, Bounds]:
    """Factors by figure and situation. ``found_by``: predictions with model, system and
    version left out, with terms and constants of the other half of the families, with everything in the fit, with the
    engine unknown and with the accelerator's kernels unknown; ``split`` by figure. Rows outside ``keep`` give no
    width."""
    strict, others, fitted, unknown, unmeasured = found_by
    factors: dict[str, Bounds] = {}
    for column, figure in enumerate(FIGURES):
        usual, asked = (found.only(np.array([keep[i] for i in found.places])) for found in (strict, others))
        table, by = widths(read, usual, asked, column)
        told = ", ".join(f"{key} {value:.2f}" for values in by.values() for key, value in values.items())
        print(f"80 % intervals of {NAMES[figure]}, as many times as wide as the left-out residuals: {told}; they hold")
        for title, found in (
            ("terms chosen by the other half", coverages(read, others, column, table)),
            ("constants alone left out", coverages(read, strict, column, table)),
            ("widths of other families too", shares(read, asked, column, held_by_others(read, usual, asked, column))),
        ):
            print(f"  {title}: " + ", ".join(f"{name} {share:.0%} of {rows}" for name, (share, rows) in found.items()))
        covered, said_of = table["covered"], published.get(figure, {})
        table["engine"] = widened(covered, read, unknown, fitted, column)
        unlike = widened(covered, read, unmeasured, fitted, column)
        table["accelerator_amd"] = hull(covered, said_of.get("accelerator_amd", unlike))
        table["accelerator"] = hull(
            table["engine"], unlike, table["accelerator_amd"], said_of.get("accelerator", unlike)
        )
        widest = max(np.abs(np.log(v)).max() for v in table.values())
        table["layout"] = (float(np.exp(-widest * WIDENED)), float(np.exp(widest * WIDENED)))
        for name in ("published", "offline"):
            table[name] = said_of.get(name, table["accelerator"])
        table["split"] = split.get(figure, table["layout"])
        factors[figure] = table
    for figure, table in factors.items():
        print(NAMES[figure], {c: tuple(round(v, 3) for v in table[c]) for c in KEYS})
    return factors


def present(read: Read) -> Fitted:
    """Where a fit begins: the constants as they stand."""
    found: dict[tuple[str, str], float] = {}
    for engine in sorted({case.engine for case in read.cases.values()}):
        found |= centred(load_engine(engine))
    return found


def _any_engine(scenario: Scenario, case: Case) -> Scenario:
    return _relaw(replace(scenario, engine=read_engine(load_engine("any"))), case.hardware, None)


def _class_law(fitted: Fitted) -> Callable[[Scenario, Case], Scenario]:
    change = apply(fitted)
    return lambda scenario, case: _relaw(change(scenario, case), case.hardware, "class_default")


def _relaw(scenario: Scenario, hardware: str, law: str | None) -> Scenario:
    base = load_law(law) if law else read_law(load_hardware(hardware).efficiency)
    return replace(scenario, law=in_engine(base, scenario.engine, scenario.accelerator, scenario.model))
