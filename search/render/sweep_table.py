"""What a sweep prints at its end: the recommended plan of every job beside the keys that vary."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from costmodel.plans import READING_ORDER
from search.base.escape import plain
from search.render.terminal import WIDTH_WITHOUT_TERMINAL

LEAD = ("job", "status")


def _number(digits: str, scale: float = 1.0) -> Callable[[str], str]:
    return lambda cell: f"{float(cell) * scale:{digits}}" if cell else "-"


# Heading, column of pareto.csv, how a cell is shown.
FIGURES: tuple[tuple[str, str, Callable[[str], str]], ...] = (
    ("tokens/s", "output_tokens_per_s", _number(",.0f")),
    ("per GPU", "output_tokens_per_s_per_gpu", _number(",.0f")),
    ("TTFT s", "ttft_s", _number(".2f")),
    ("TPOT ms", "tpot_s", _number(".1f", 1e3)),
    ("USD/M tokens", "usd_per_million_output_tokens", _number(".3g")),
)


def print_sweep(path: Path) -> None:
    """A table on standard output; a job without a plan shows its status alone."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows = [row for row in reader if row.get("recommended") != "false"]
    own = list(reader.fieldnames or ())[len(LEAD) :]
    varied = own[: own.index("tp") if "tp" in own else None]  # they stand before the first column of a plan
    watched = sys.stdout.isatty()
    table = Table(title="Recommended plans", box=box.SIMPLE_HEAD if watched else None, title_justify="left")
    if "engine" not in varied and len({row["engine"] for row in rows if row.get("engine")}) > 1:
        varied = [*varied, "engine"]  # of jobs that compared engines
    figures = [f for f in FIGURES if any(row.get(f[1]) for row in rows)]
    for name in ("job", *varied):
        table.add_column(plain(name))
    for name in (*READING_ORDER, *(heading for heading, _, _ in figures)):
        table.add_column(name, justify="right")
    for row in rows:
        lead = [plain(row[name]) for name in ("job", *varied)]
        if not row.get("recommended"):
            table.add_row(*lead, row["status"])
            continue
        table.add_row(*lead, *(row[a] for a in READING_ORDER), *(shown(row[name]) for _, name, shown in figures))
    width = None if watched else WIDTH_WITHOUT_TERMINAL
    Console(width=width, highlight=False, emoji=False, markup=False).print(table)
