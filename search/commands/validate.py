"""``servefront validate FILE``: predict measurements and say how far off the predictions are.

FILE has the columns of ``silicon_dev.csv``, of ``published_dev.csv``, of ``start_logs.csv`` (what servers log
when they start: then weights, cache and whether they start are predicted), or of runs under traffic
(``open_loop_stages.csv``, ``request_runs.csv``: then percentiles are); or it is what ``vllm bench serve --save-result``
or SGLang's ``bench_serving`` write, with flags that say what was served. Exit 0, or 2 with one line if a file or folder
cannot be used.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from search.base.arguments import Parser
from search.base.errors import InputError
from search.base.whole_file import usable_out
from search.commands.deployment import add_flags, deployment
from search.evidence.measured.peers import read_peer
from search.evidence.measured.predict import predict
from search.evidence.measured.predictions_file import id_column, write_predictions
from search.evidence.measured.rows import MAX_BYTES, Measurement, read_rows
from search.evidence.measured.runs import read_runs as read_results
from search.evidence.measured.tables import print_report
from search.evidence.start_logs import predict as start_logs
from search.evidence.start_logs.rows import is_start_logs, read_start_logs
from search.evidence.start_logs.tables import print_report as print_starts
from search.evidence.traffic_runs import predict as traffic_runs
from search.evidence.traffic_runs.rows import kind_of, read_runs
from search.evidence.traffic_runs.tables import print_report as print_traffic
from search.inputs.bounded_file import read_bounded

SEED = 0  # of lengths that a file of runs under traffic does not state one by one


def main(argv: list[str]) -> int:
    """Read, predict, write, print; returns the exit code."""
    options = _parser().parse_args(argv)
    try:
        if options.models is not None and not options.models.is_dir():
            raise InputError(f"--models {options.models}: not a folder")
        if options.out is not None:
            usable_out("--out", options.out)
        read_bounded(options.file, MAX_BYTES, "a file of measurements")  # not a pipe, which would wait for ever
        if options.file.suffix.lower() in (".json", ".jsonl"):
            return _results(options)
        if is_start_logs(options.file):
            return _start_logs(options)
        if kind_of(options.file) is not None:
            return _traffic(options)
        measurements = _read(options.file)
        peers = {path.name: read_peer(path, measurements) for path in options.compare}
        predictions = predict(measurements, options.models)
        if options.out is not None:
            write_predictions(predictions, id_column(options.file), options.out)
    except InputError as error:
        from search.commands.search import fail

        return fail(str(error), InputError.exit_code)
    print_report(predictions, peers)
    if options.out is not None:
        print(f"Written to {options.out}")
    return 0


def _results(options: argparse.Namespace) -> int:
    if options.compare:
        raise InputError("--compare: benchmark results have no other program's predictions to compare with")
    predictions = predict(read_results(options.file, deployment(options)), options.models)
    if options.out is not None:
        write_predictions(predictions, "run", options.out)
    print_report(predictions, {})
    if options.out is not None:
        print(f"Written to {options.out}")
    return 0


def _start_logs(options: argparse.Namespace) -> int:
    if options.compare:
        raise InputError("--compare: start logs have no other program's predictions to compare with")
    predictions = start_logs.predict(read_start_logs(options.file), options.models)
    if options.out is not None:
        start_logs.write_predictions(predictions, options.out)
    print_starts(predictions)
    if options.out is not None:
        print(f"Written to {options.out}")
    return 0


def _traffic(options: argparse.Namespace) -> int:
    if options.compare:
        raise InputError("--compare: runs under traffic have no other program's predictions to compare with")
    predictions = traffic_runs.predict(read_runs(options.file, SEED), options.models)
    if options.out is not None:
        key = kind_of(options.file)
        assert key is not None
        traffic_runs.write_predictions(predictions, key, options.out)
    print_traffic(predictions)
    if options.out is not None:
        print(f"Written to {options.out}")
    return 0


def _read(path: Path) -> list[Measurement]:
    try:
        return read_rows(path)
    except KeyError as error:
        raise InputError(f"{path}: column {error} is missing") from error


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="servefront validate", description="Predict measured runs and print how far off the predictions are."
    )
    parser.add_argument(
        "file", type=Path, metavar="FILE",
        help="measurements: CSV in one of the schemas of docs/validate.md, or a benchmark's JSON or JSONL",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, help="write the predictions, a line for every row of FILE")
    parser.add_argument("--models", type=Path, metavar="FOLDER", help="config.json files named by model, read first")
    parser.add_argument(
        "--compare", type=Path, action="append", default=[], metavar="FILE", help="another program's predictions"
    )
    add_flags(parser)
    return parser
