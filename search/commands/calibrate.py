"""``servefront calibrate RUNS... --out ENGINE.yaml``: fit an engine's constants to your own runs.

RUNS are the JSON that ``vllm bench serve --save-result`` writes, SGLang's ``bench_serving`` JSONL, or CSV files in a
schema of docs/validate.md. The fit starts from the engine's file in the catalog and stays near it where the runs say
nothing, so that five runs already help. The result is an engine file: put it into ``<folder>/engine/`` and select it
with ``--config-dir <folder> engine=<name>``. With ``--hardware-out`` the accelerator's constant is fitted too, and its
file goes into ``<folder>/hardware/``.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from costmodel.engine import ENGINES
from costmodel.laws import ShapedLaw
from costmodel.plans import Array
from search.base.arguments import Parser
from search.base.errors import InputError
from search.base.escape import plain
from search.base.whole_file import put_text, usable_out
from search.evidence.measured.fitting import SHARED, Fitted, Posterior, apply, centred, fit_around, generation
from search.evidence.measured.grouped import Read, measured, predict, read_cases
from search.evidence.measured.rows import Measurement
from search.evidence.measured.runs import Deployment, read_runs
from search.inputs.hardware_catalog import load_engine, load_hardware

FOLDS = 5
MOST_GPUS = 1_000_000
UNDETERMINED = 0.2  # certainty below which a constant counts as not determined by the runs
SUSTAINED = "sustained_share"  # the accelerator's constant
FIGURES = ("TTFT", "TPOT", "tokens/s/GPU")


def main(argv: list[str]) -> int:
    """Read, fit, cross-validate, write; returns the exit code."""
    options = _parser().parse_args(argv)
    try:
        rows = [row for path in options.runs for row in read_runs(path, _deployment(options))]
        return _calibrate(rows, options.engine, options.out, options.hardware_out)
    except InputError as error:
        from search.commands.search import fail

        return fail(str(error), InputError.exit_code)


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
    _print_errors(read, centres, posterior, _held_out(read, centres))
    print()
    for (owner, name), value in posterior.values.items():
        sure = posterior.certainty[(owner, name)]
        note = "" if sure >= UNDETERMINED else "  not determined by these runs: stays near where it was"
        print(f"{name:24s} {centres[(owner, name)]:9.3g} -> {value:9.3g}   certainty {sure:.0%}{note}")
    engine_fields = _engine_fields(engine, posterior, len(read.cases))
    hardware_fields = _hardware_fields(read, posterior) if hardware_out is not None else {}
    _write(out, engine_fields)
    print(f"\nWritten to {out}: put it into FOLDER/engine/ and run with --config-dir FOLDER engine={out.stem}")
    if hardware_out is not None:
        _write(hardware_out, hardware_fields)
        print(f"Written to {hardware_out}: put it into FOLDER/hardware/ and add hardware={hardware_out.stem}")
    return 0


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


def _print_errors(read: Read, centres: Fitted, posterior: Posterior, held_out: Array) -> None:
    actual = measured(read, list(read.cases))
    before, after = predict(read, apply(centres)), predict(read, apply(posterior.values))
    print(f"{len(read.cases)} runs; mean absolute error (bias)")
    print(f"{'':14s} {'before':>16s} {'after':>16s} {'cross-validated':>16s}")
    for n, name in enumerate(FIGURES):
        columns = [(f.ttft_s, f.tpot_s, f.tokens_per_s_per_gpu)[n] for f in (before, after)] + [held_out[n]]
        cells = [_cell(column / actual[n] - 1.0) for column in columns]
        print(f"{name:14s} " + " ".join(f"{cell:>16s}" for cell in cells))


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


def _write(out: Path, fields: dict[str, Any]) -> None:
    """A file of fields, written whole or not at all."""
    from omegaconf import OmegaConf

    text = OmegaConf.to_yaml(OmegaConf.create(fields))
    try:
        put_text(out, text)
    except OSError as error:
        raise InputError(f"{out}: cannot be written: {error.strerror or error}") from None


def _deployment(options: argparse.Namespace) -> Deployment | None:
    if options.model is None or options.hardware is None or options.engine is None:
        return None
    for name in ("tp", "pp", "attn_dp", "ep"):
        if getattr(options, name) < 1:
            raise InputError(f"--{name.replace('_', '-')}: {getattr(options, name)} is not allowed; give 1 or more")
    width = options.tp * options.attn_dp * options.pp
    gpus = width if options.gpus is None else options.gpus
    if gpus < 1 or gpus > MOST_GPUS or gpus % width:
        raise InputError(f"--gpus: {gpus} is not allowed; give a multiple of tp x attn-dp x pp = {width}")
    if (options.tp * options.attn_dp) % options.ep:
        raise InputError(f"--ep: {options.ep} is not allowed; give a divisor of tp x attn-dp")
    return Deployment(
        options.model, options.hardware, options.engine, "", options.precision, gpus,
        options.tp, options.pp, options.attn_dp, options.ep,
    )  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="servefront calibrate", description="Fit an engine's constants to your own benchmark runs.")
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUNS", help="JSON, JSONL or CSV files")
    parser.add_argument("--out", type=Path, required=True, metavar="ENGINE.yaml", help="the engine file to write")
    parser.add_argument("--hardware-out", type=Path, metavar="HARDWARE.yaml", help="fit the accelerator's constant too")
    parser.add_argument("--engine", choices=ENGINES, help="needed for JSON and JSONL")
    parser.add_argument("--model", help="catalog name; needed for JSON and JSONL")
    parser.add_argument("--hardware", help="catalog name; needed for JSON and JSONL")
    parser.add_argument("--precision", default="", help="of the weights: bf16, fp8, fp4; as published by default")
    parser.add_argument("--gpus", type=int, help="accelerators of the runs (default: tp x attn-dp x pp)")
    degrees = {
        "tp": "tensor parallel degree",
        "pp": "pipeline stages",
        "attn-dp": "attention groups that see different sequences",
        "ep": "expert parallel degree",
    }
    for name, meaning in degrees.items():
        parser.add_argument(f"--{name}", type=int, default=1, help=f"{meaning} of the runs (default: 1)")
    return parser
