"""Rows of measured open-loop runs: stages with percentiles, or files with a line a request.

``open_loop_stages.csv`` states means and percentiles of each stage and of its lengths. ``request_runs.csv`` names a
file beside it for each run, JSON lines with the arrival, the lengths, the TTFT and the end to end time of each request.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from costmodel.plans import Array
from costmodel.serving.simulation.requests import Requests
from search.base.errors import InputError
from search.inputs.traces import read_records

NEEDED = ("engine", "engine_version", "system", "model", "tp", "max_num_seqs", "max_num_batched_tokens")
STAGE = ("run", "arrivals", "rate_per_s", "requests", "prompt_tokens_mean", "output_tokens_mean")
RUN = ("file", "requests")
COLUMNS = ("arrival_s", "input_tokens", "output_tokens", "ttft_s", "e2e_s")  # of a request
FIGURES = ("ttft_s", "e2e_s", "tpot_s")
STATISTICS = ("mean", "median", "p90", "p95", "p99")
MOST_REQUESTS = 1_000_000
MOST = 1e12  # of any number: sums over requests stay whole
TIMEOUT_S = 300.0  # of a client: aiohttp's default, which inference-perf keeps
BLOCKS_APART = 10_000_000  # between the numbers of two prompts' blocks
PREFIX_BLOCK = 16  # tokens: vLLM's blocks, in whole ones of which a prefix is found


@dataclass(frozen=True)
class TrafficRun:
    """``settings`` of the server by column; ``requests`` that it was sent; ``measured`` figures in seconds by
    ``ttft_s_mean`` and the like."""

    name: str
    settings: dict[str, str]
    requests: Requests
    measured: dict[str, float]

    def count(self, column: str) -> int:
        """A whole number of the settings."""
        return _count(self.name, column, self.settings[column])


def kind_of(path: Path) -> str | None:
    """The column that names the runs of this file; ``None`` for a file that holds none."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = set(next(csv.reader(file), []))
    except (OSError, UnicodeDecodeError, csv.Error):
        return None
    if not set(NEEDED) <= header:
        return None
    return next((of[0] for of in (STAGE, RUN) if set(of) <= header), None)


def read_runs(path: Path, seed: int) -> list[TrafficRun]:
    """All runs of a file; lengths that only a mean and a percentile tell are drawn."""
    name = kind_of(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [dict(row) for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV: {error}") from error
    if not rows:
        raise InputError(f"{path}: holds no run")
    for i, row in enumerate(rows):
        if None in row or None in row.values():  # fewer cells than columns, or more
            raise InputError(f"{path}: row {i + 1} has not as many cells as the header")
    return [_stage(row, seed) if name == "run" else _run(path, row) for row in rows]


def _stage(row: dict[str, str], seed: int) -> TrafficRun:
    name = row["run"]
    if row["arrivals"] != "constant":
        raise InputError(f"{name}: arrivals {row['arrivals']!r} are not known; give constant")
    rate = _number(name, "rate_per_s", row["rate_per_s"])
    # A tool that runs late sends what it can: what was asked for is the rate for so long.
    seconds = row.get("duration_s")
    sent = rate * _number(name, "duration_s", seconds) if seconds else _number(name, "requests", row["requests"])
    size = min(max(round(sent), 1), MOST_REQUESTS)
    rng = np.random.default_rng(seed)
    mean = _number(name, "prompt_tokens_mean", row["prompt_tokens_mean"])
    last = _number(name, "prompt_tokens_p99", row.get("prompt_tokens_p99") or str(mean))
    # Assumption: prompts are normal around their mean; 2.326 standard deviations lie below the 99th percentile.
    prompts = np.maximum(rng.normal(mean, max(last - mean, 0.0) / 2.326, size).round(), 1).astype(np.int64)
    # The tool asks for whole answers (``ignore_eos`` is its default) but counts what the text of one reads as, special
    # tokens left out: the most usual count is the length that was asked for, the mean is too small.
    tokens = row.get("output_tokens_median") or row["output_tokens_mean"]
    answers = np.full(size, max(round(_number(name, "output_tokens_median", tokens)), 1), dtype=np.int64)
    prefix = _count(name, "shared_prefix_tokens", row.get("shared_prefix_tokens") or "0", 0) // PREFIX_BLOCK
    patience_s = _number(name, "timeout_s", row.get("timeout_s") or str(TIMEOUT_S))
    at = np.arange(size) / rate
    if row.get("groups") and row.get("users_per_group"):
        groups, users = _count(name, "groups", row["groups"]), _count(name, "users_per_group", row["users_per_group"])
        kinds = min(groups * users, size)
        prompts = prompts[np.arange(size) % kinds]
        blocks = _repeated(prompts, kinds, prefix, groups)
        requests = Requests(at, prompts, answers, None, blocks, PREFIX_BLOCK, patience_s)
    else:
        cached = np.minimum(np.full(size, prefix * PREFIX_BLOCK), prompts - 1)
        requests = Requests(at, prompts, answers, cached, patience_s=patience_s)
    names = [f"{figure}_{s}" for figure in FIGURES for s in STATISTICS]
    measured = {column: _number(name, column, row[column]) for column in names if row.get(column)}
    if "tpot_s_mean" not in measured and {"ttft_s_mean", "e2e_s_mean"} <= set(measured) and answers[0] > 1:
        measured["tpot_s_mean"] = (measured["e2e_s_mean"] - measured["ttft_s_mean"]) / (int(answers[0]) - 1)
    return TrafficRun(name, row, requests, measured)


def _repeated(prompts: np.ndarray, kinds: int, prefix: int, groups: int) -> list[tuple[int, ...]]:
    """Blocks of ``kinds`` prompts that are sent in turn, those of each of ``groups`` with the same ``prefix`` blocks
    first (inference_perf/datagen/shared_prefix_datagen.py: request i has prompt i modulo their number)."""
    found = []
    for kind, tokens in enumerate(prompts[:kinds].tolist()):
        whole, group = tokens // PREFIX_BLOCK, kind % groups
        shared = range(-(group + 1) * BLOCKS_APART, -(group + 1) * BLOCKS_APART + prefix)
        found.append((*shared, *range(kind * BLOCKS_APART, kind * BLOCKS_APART + whole))[:whole])
    return [found[i % kinds] for i in range(len(prompts))]


def _run(path: Path, row: dict[str, str]) -> TrafficRun:
    name = row["file"]
    if Path(name).name != name:
        raise InputError(f"{path}: file {name!r} is not allowed; give the name of a file beside it")
    beside = path.parent / name
    found = sorted(tuple(record[column] for column in COLUMNS) for record in _records(beside))
    columns = np.array(found, dtype=float).T
    requests = Requests(columns[0] - columns[0, 0], columns[1].astype(np.int64), columns[2].astype(np.int64))
    return TrafficRun(name, row, requests, measured_of(columns[3], columns[4], columns[2]))


def _records(path: Path) -> list[dict[str, float]]:
    records = read_records(path, MOST_REQUESTS, COLUMNS)
    if not records:
        raise InputError(f"{path}: holds no request")
    return records


def measured_of(ttft_s: Array, e2e_s: Array, answers: Array) -> dict[str, float]:
    """Statistics of runs that are known request by request."""
    several = answers > 1
    tpot = (e2e_s - ttft_s)[several] / (answers[several] - 1.0)
    return {
        f"{figure}_{s}": statistic(values, s)
        for figure, values in (("ttft_s", ttft_s), ("e2e_s", e2e_s), ("tpot_s", tpot))
        for s in STATISTICS
    }


def statistic(values: Array, name: str) -> float:
    """A mean or a percentile; not a number of nothing."""
    if not len(values):
        return math.nan
    if name == "mean":
        return float(np.mean(values))
    return float(np.percentile(values, 50.0 if name == "median" else float(name[1:])))


def _number(name: str, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= MOST:
        raise InputError(f"{name}: {column} {text!r} is not allowed; give a number above 0, {MOST:g} at most")
    return value


def _count(name: str, column: str, text: str, least: int = 1) -> int:
    value = _number(name, column, text) if text != "0" else 0.0
    if not (value.is_integer() and least <= value <= 1e7):
        raise InputError(f"{name}: {column} {text!r} is not allowed; give a whole number from {least} to 10000000")
    return int(value)
