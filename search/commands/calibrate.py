"""``servefront calibrate RUNS... --out ENGINE.yaml``: fit an engine's constants to your own runs.

RUNS are the JSON that ``vllm bench serve --save-result`` writes, SGLang's ``bench_serving`` JSONL, or CSV files in a
schema of docs/validate.md. The fit starts from the engine's file in the catalog and stays near it where the runs say
nothing, so that five runs already help. The result is an engine file: put it into ``<folder>/engine/`` and select it
with ``--config-dir <folder> engine=<name>``. Exit 1, and no file, where runs that were left out are predicted worse
than before. With ``--hardware-out`` the accelerator's constant is fitted too, and its file goes into
``<folder>/hardware/``.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from costmodel.laws import ShapedLaw
from costmodel.plans import Array
from search.base.arguments import Parser
from search.base.errors import InputError
from search.base.escape import plain
from search.base.whole_file import put_all, usable_out
from search.commands.deployment import add_flags, deployment
from search.evidence.measured.fitting import (
    ACCELERATOR_CONSTANTS,
    CONSTANTS,
    SETTLED,
    SHARED,
    SHARED_CONSTANTS,
    Constant,
    Fitted,
    Posterior,
    apply,
    centred,
    fit_around,
    generation,
)
from search.evidence.measured.grouped import Read, measured, predict, read_cases
from search.evidence.measured.rows import Measurement
from search.evidence.measured.runs import read_runs
from search.inputs.hardware_catalog import load_engine, load_hardware

FOLDS = 5
UNDETERMINED = 0.2  # certainty below which a constant counts as not determined by the runs
SUSTAINED = "sustained_share"  # the accelerator's constant
FIGURES = ("TTFT", "TPOT", "tokens/s/GPU")
CONSTANT = {c.name: c for c in (*CONSTANTS, *SHARED_CONSTANTS, *ACCELERATOR_CONSTANTS)}
STAYS = 0.1  # a constant whose logarithm moves by no more stays where it was
FAR = 2.0  # widths of its prior


class Worse(Exception):
    """The fit does not hold for runs that it has not seen."""

    exit_code = 1


def main(argv: list[str]) -> int:
    """Read, fit, cross-validate, write; returns the exit code."""
    options = _parser().parse_args(argv)
    try:
        rows = [row for path in options.runs for row in read_runs(path, deployment(options))]
        return _calibrate(rows, options.engine, options.out, options.hardware_out)
    except (InputError, Worse) as error:
        from search.commands.search import fail

        return fail(str(error), error.exit_code)


def _calibrate(rows: list[Measurement], wanted: str | None, out: Path, hardware_out: Path | None) -> int:
    read = read_cases(rows)
    for i, reason in read.skipped.items():
        print(plain(f"left out: {rows[i].id}: {reason}"))
    engines = sorted({case.engine for case in read.cases.values()})
    if len(engines) != 1 or (wanted is not None and engines != [wanted]):
        raise InputError(
            f"runs: {len(read.cases)} can be used, of engines {engines or 'none'}; give runs of one engine"
        )
    engine = engines[0]
    for flag, path in (("--out", out), ("--hardware-out", hardware_out)):
        if path is not None:
            usable_out(flag, path, new=True)
    if hardware_out is not None and hardware_out.resolve() == out.resolve():
        raise InputError(f"--hardware-out {hardware_out}: is --out too; give another file")
    centres: Fitted = {**centred(load_engine(engine)), **(_accelerator(read) if hardware_out else {})}
    everything = np.array([i in read.cases for i in range(len(rows))])
    posterior = fit_around(read, everything, centres)
    better = _print_errors(read, centres, posterior, _held_out(read, centres))
    print()
    for key, value in posterior.values.items():
        sure = posterior.certainty[key]
        note = note_of(CONSTANT[key[1]], centres[key], value, sure)
        print(f"{key[1]:24s} {centres[key]:9.3g} -> {value:9.3g}   certainty {sure:.0%}{note}")
    if not better:
        raise Worse("runs left out are predicted worse by constants fitted to the others; nothing is written")
    fields = {out: _engine_fields(engine, posterior, len(read.cases))}
    if hardware_out is not None:
        fields[hardware_out] = _hardware_fields(read, posterior)
    _write(fields)
    print(f"\nWritten to {out}: put it into FOLDER/engine/ and run with --config-dir FOLDER engine={out.stem}")
    if hardware_out is not None:
        print(f"Written to {hardware_out}: put it into FOLDER/hardware/ and add hardware={hardware_out.stem}")
    return 0


def note_of(constant: Constant, before: float, after: float, certainty: float) -> str:
    """What there is to say of a constant that a fit moved: at the end of its range, far from where it was, or not
    determined by the runs."""
    notes, moved = [], abs(math.log(after / before))
    if after <= constant.low * 1.01 or after >= constant.high / 1.01:
        notes.append(f"at the end of its range, {constant.low:g} to {constant.high:g}")
    if moved > FAR * constant.sigma:
        notes.append(f"moved by {moved / constant.sigma:.1f} widths of what is plausible ({constant.sigma:g})")
    if certainty < UNDETERMINED:
        notes.append("not determined by these runs" + (": stays near where it was" if moved <= STAYS else ""))
    return "  " + "; ".join(notes) if notes else ""


def _accelerator(read: Read) -> Fitted:
    """The accelerator's constant as its law has it; ``InputError`` unless the runs are of one that has it."""
    names = sorted({case.hardware for case in read.cases.values()})
    case = next(iter(read.cases.values()))
    if len(names) != 1 or not isinstance(case.scenario.law, ShapedLaw):
        raise InputError(f"--hardware-out: runs of {names}; give runs of one accelerator whose law is not flat")
    return {(generation(case), SUSTAINED): case.scenario.law.rates.sustained_share}


def _held_out(read: Read, centres: Fitted) -> Array:
    """Predictions of shape (3, n), each run by constants fitted without its fold."""
    places = list(read.cases)
    folds = min(FOLDS, len(places))
    found = np.full((3, len(places)), np.nan)
    if folds < 2:
        return found
    for fold in range(folds):
        mine = {i for n, i in enumerate(places) if n % folds == fold}
        keep = np.array([i in read.cases and i not in mine for i in range(len(read.rows))])
        values = fit_around(read, keep, centres, rounds=8).values
        result = predict(Read(read.rows, {i: read.cases[i] for i in places if i in mine}, {}), apply(values))
        columns = [places.index(i) for i in result.places]
        found[:, columns] = [result.ttft_s, result.tpot_s, result.tokens_per_s_per_gpu]
    return found


def _print_errors(read: Read, centres: Fitted, posterior: Posterior, held_out: Array) -> bool:
    """Whether runs left out (of a single run: the run itself) are predicted no worse than before, TTFT and TPOT
    together."""
    actual = measured(read, list(read.cases))
    before, after = predict(read, apply(centres)), predict(read, apply(posterior.values))
    print(f"{len(read.cases)} runs; mean absolute error (bias)")
    print(f"{'':14s} {'before':>16s} {'after':>16s} {'cross-validated':>16s}")
    for n, name in enumerate(FIGURES):
        columns = [(f.ttft_s, f.tpot_s, f.tokens_per_s_per_gpu)[n] for f in (before, after)] + [held_out[n]]
        cells = [_cell(column / actual[n] - 1.0) for column in columns]
        print(f"{name:14s} " + " ".join(f"{cell:>16s}" for cell in cells))
    known = bool(np.isfinite(held_out[1]).any())
    judged = (held_out[0], held_out[1]) if known else (after.ttft_s, after.tpot_s)
    old, new = (_mean_error(columns, actual) for columns in ((before.ttft_s, before.tpot_s), judged))
    return new <= max(old, SETTLED)


def _mean_error(columns: tuple[Array, Array], actual: Sequence[Array]) -> float:
    return sum(float(np.nanmean(np.abs(columns[n] / actual[n] - 1.0))) for n in range(2))


def _cell(error: Array) -> str:
    error = error[np.isfinite(error)]
    return f"{np.abs(error).mean():.1%} ({np.median(error):+.1%})" if len(error) else "-"


def _engine_fields(engine: str, posterior: Posterior, runs: int) -> dict[str, Any]:
    """The engine's file with the new constants."""
    fields = asdict(load_engine(engine))
    sources = dict(fields.pop("sources"))
    for (owner, name), value in posterior.values.items():
        if name == SUSTAINED:
            continue
        fields[name] = float(f"{value:.4g}")
        whose = "all engines' constant" if owner == SHARED else "this engine's constant"
        sure = posterior.certainty[(owner, name)]
        sources[name] = f"search.commands.calibrate: {whose}, fitted to {runs} runs, certainty {sure:.0%}"
    return {**fields, "sources": sources}


def _hardware_fields(read: Read, posterior: Posterior) -> dict[str, Any]:
    """The accelerator's file with the new constant."""
    case = next(iter(read.cases.values()))
    key = (generation(case), SUSTAINED)
    fields = asdict(load_hardware(case.hardware))
    fields["efficiency"][SUSTAINED] = float(f"{posterior.values[key]:.4g}")
    sure = posterior.certainty[key]
    fields["sources"]["efficiency"] += (
        f"; {SUSTAINED} by search.commands.calibrate: {len(read.cases)} runs, certainty {sure:.0%}"
    )
    return fields


def _write(files: dict[Path, dict[str, Any]]) -> None:
    """Files of fields, all or none."""
    from omegaconf import OmegaConf

    try:
        put_all({path: OmegaConf.to_yaml(OmegaConf.create(fields)) for path, fields in files.items()})
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be written: {error.strerror or error}") from None


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="servefront calibrate", description="Fit an engine's constants to your own benchmark runs.")
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUNS", help="JSON, JSONL or CSV files")
    parser.add_argument("--out", type=Path, required=True, metavar="ENGINE.yaml", help="the engine file to write")
    parser.add_argument("--hardware-out", type=Path, metavar="HARDWARE.yaml", help="fit the accelerator's constant too")
    add_flags(parser)
    return parser
