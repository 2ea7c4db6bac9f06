"""What a sweep prints at its end: the recommended plan of every job beside the keys that vary."""

from __future__ import annotations

import sys

from rich import box
from rich.console import Console
from rich.table import Table

from costmodel.plans import READING_ORDER
from search.base.escape import plain
from search.render.front_table import cell, heading
from search.render.sweeps import Job, Sweep
from search.render.terminal import WIDTH_WITHOUT_TERMINAL

FIGURES = ("output_tokens_per_s", "output_tokens_per_s_per_gpu", "requests_per_s", "ttft_s", "tpot_s")
COST = "usd_per_million_output_tokens"


def print_sweep(sweep: Sweep) -> None:
    """A table on standard output, with the figures that some job's limits bound among its columns; a job without a
    plan shows its status alone."""
    watched = sys.stdout.isatty()
    table = Table(title="Recommended plans", box=box.SIMPLE_HEAD if watched else None, title_justify="left")
    best = [job.front[job.best] for job in sweep.jobs if job.best is not None]
    engines = "engine" not in sweep.keys and len({row["engine"] for row in best}) > 1  # of jobs that compared engines
    names = dict.fromkeys([*FIGURES, *sweep.limited(), COST])
    figures = [name for name in names if any(row.get(name) for row in best)]
    for name in ("job", *sweep.keys, *(["engine"] if engines else [])):
        table.add_column(plain(name))
    for name in (*READING_ORDER, *map(heading, figures)):
        table.add_column(name, justify="right")
    for job in sweep.jobs:
        lead = [plain(job.name), *(plain(job.keys[k]) for k in sweep.keys)]
        table.add_row(*lead, *_plan(job, engines, figures))
    Console(width=None if watched else WIDTH_WITHOUT_TERMINAL, highlight=False, emoji=False, markup=False).print(table)


def _plan(job: Job, engines: bool, figures: list[str]) -> list[str]:
    if job.best is None:
        return [*([""] if engines else []), job.status]
    row = job.front[job.best]
    shown = [cell(name, float(row[name])) if row.get(name) else "-" for name in figures]
    return [*([plain(row["engine"])] if engines else []), *(row[axis] for axis in READING_ORDER), *shown]
