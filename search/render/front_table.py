"""The front as a table for the terminal: one row a layout (replicas apart), as many columns as there is room for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from rich import box
from rich.table import Table

from costmodel.memory.device import usable_bytes
from costmodel.plans import READING_ORDER, IntArray
from search.optimizer.hardened import bounded
from search.optimizer.outcome import Outcome
from search.optimizer.recommend import LAYOUT
from search.render.document.formats import plural
from search.render.tables import engine_names, front_rows

SHOWN = 15
FRAME = 3  # characters that the frame takes beside each column
REPLICATED = tuple(axis for axis in LAYOUT if axis not in ("gpus", "dp"))
STATISTICS = ("p50", "p90", "p95", "p99")
NAMES = {"ttft_s": "TTFT", "burst_ttft_s": "burst", "tpot_s": "TPOT", "e2e_s": "end to end"}
WORDS = {
    "requests_per_s": "req/s", "output_tokens_per_s": "tokens/s", "output_tokens_per_s_per_gpu": "per GPU",
    "memory_utilization": "memory", "share_of_limit": "of limit", "goodput": "goodput", "overflow_risk": "overflow",
    "usd_per_million_output_tokens": "USD/M tokens",
}  # fmt: skip
OTHERS = "or dp"  # replicas of further plans of the layout
FIRST = ("output_tokens_per_s", "output_tokens_per_s_per_gpu", "requests_per_s", "ttft_s", "burst_ttft_s", "tpot_s")
LAST = ("memory_utilization", "share_of_limit", "usd_per_million_output_tokens")
ENGINES, PRICE = "engines", "USD/h"
SHARES = ("memory_utilization", "share_of_limit", "goodput", "overflow_risk")


def three_digits(value: float) -> str:
    """Three digits that count, never an exponent; above that whole numbers."""
    if not math.isfinite(value):
        return "unstable"
    if value == 0.0:
        return "0"
    rounded = float(f"{value:.3g}")  # 99.96 has the three digits of 100
    places = min(max(2 - math.floor(math.log10(abs(rounded))), 0), 6)
    return f"{value:,.{places}f}"


def change(value: float) -> str:
    """A relative change of a figure, a manifold one as a factor."""
    return f"{value:+.1%}" if value < 10.0 else f"{three_digits(1.0 + value)} times"


def heading(figure: str) -> str:
    """A figure with its unit, as short as a column needs it: ``TPOT p99 ms``."""
    name, _, statistic = figure.rpartition("_")
    if statistic not in STATISTICS:
        name, statistic = figure, ""
    if name not in NAMES:
        return WORDS[figure]
    unit = "ms" if name == "tpot_s" else "s"
    return " ".join(filter(None, (NAMES[name], statistic, unit)))


def cell(figure: str, value: float) -> str:
    """A figure in the unit of its heading."""
    if figure in SHARES:
        return f"{value:.0%}" if value >= 0.005 or value == 0.0 else f"{value:.1%}"
    return three_digits(value * 1e3 if figure.startswith("tpot_s") else value)


def limited(outcome: Outcome) -> list[str]:
    """The figures that limits bound; the memory by its share."""
    bounds = bounded(outcome.scenario.limits, usable_bytes(outcome.scenario.accelerator))
    return [figure for figure, _ in bounds.values() if figure != "memory_bytes_per_gpu"]


def always(outcome: Outcome) -> list[str]:
    """The figures that stand in the table however narrow it is."""
    return list(dict.fromkeys(["output_tokens_per_s", "requests_per_s", *limited(outcome)]))


@dataclass(frozen=True)
class Line:
    """The best plan of one layout: its ``row``, and the numbers of replicas of the layout's other plans on the
    front."""

    row: int
    replicas: tuple[int, ...]


def lines(outcome: Outcome) -> list[Line]:
    """The front's layouts, the best first by the policy; plans that differ in replicas or batch are one layout."""
    found: dict[tuple[int, ...], list[int]] = {}
    for row in front_rows(outcome).tolist():
        plan = outcome.plans.row(row)
        key = (plan["gpus"] // plan["dp"], *(plan[axis] for axis in REPLICATED))
        found.setdefault(key, []).append(row)
    dp = outcome.plans.dp
    return [
        Line(rows[0], tuple(sorted({int(dp[row]) for row in rows} - {int(dp[rows[0]])}))) for rows in found.values()
    ]


def front_table(outcome: Outcome, frame: box.Box, width: int) -> Table:
    """At most ``SHOWN`` layouts in ``width`` characters."""
    every = lines(outcome)
    shown = every[:SHOWN]
    columns = _columns(outcome, shown, width)
    table = Table(title=_title(outcome, len(every)), box=frame)
    for name in columns:
        table.add_column(name, justify="left" if name in (OTHERS, ENGINES) else "right", no_wrap=True)
    best = outcome.choice.recommended if outcome.choice else -1
    for line, cells in zip(shown, zip(*columns.values(), strict=True), strict=True):
        table.add_row(*cells, style="bold" if line.row == best else None)
    return table


def _title(outcome: Outcome, layouts: int) -> str:
    of = f" of {outcome.engine}" if outcome.compared else ""
    counts = f"{plural(f'{len(outcome.front):,}', 'plan')} in {plural(f'{layouts:,}', 'layout')}"
    best = "; the best of each" if layouts > 1 else ""
    return f"Pareto front{of}: {counts}{best}" + (f", {SHOWN} of them" if layouts > SHOWN else "")


def _columns(outcome: Outcome, shown: list[Line], width: int) -> dict[str, list[str]]:
    """Cells by heading, in reading order: of the columns that need not be there those that fit whole."""
    rows: IntArray = np.array([line.row for line in shown], dtype=np.int64)
    plans, scores = outcome.plans.take(rows), outcome.scores.take(rows)

    def figure(name: str) -> list[str]:
        return [cell(name, value) for value in getattr(scores, name).tolist()]

    degrees = {axis: [str(n) for n in getattr(plans, axis).tolist()] for axis in READING_ORDER}
    columns = degrees | {heading(name): figure(name) for name in always(outcome)}
    # Where even these do not fit, degrees that no plan uses make room; the plan's own line below names them all.
    for axis in ("sp", "pp", "ep", "dp"):
        if _wide(columns) > width and set(columns[axis]) == {"1"}:
            del columns[axis]
    others = [", ".join(map(str, line.replicas)) for line in shown]
    more = {heading("tpot_s"): figure("tpot_s"), heading("ttft_s"): figure("ttft_s")}
    more |= {OTHERS: others} if any(others) else {}
    more |= {heading(name): figure(name) for name in ("output_tokens_per_s_per_gpu", "memory_utilization")}
    more[ENGINES] = [names.replace("|", " ") for names in engine_names(outcome.engines[:, rows])]
    if (price := outcome.scenario.accelerator.price_per_hour) is not None:
        more[PRICE] = [three_digits(price * n) for n in plans.gpus.tolist()]
    more |= {heading(name): figure(name) for name in ("burst_ttft_s", "share_of_limit", *outcome.scores.costs[:1])
             if name in WORDS or name in NAMES}  # fmt: skip
    for name, cells in more.items():
        if _wide({**columns, name: cells}) <= width:
            columns[name] = cells
    return {name: columns[name] for name in _ordered(columns)}


def _wide(columns: dict[str, list[str]]) -> int:
    """Characters of the table."""
    return 1 + sum(FRAME + max(map(len, [name, *cells])) for name, cells in columns.items())


def _ordered(columns: dict[str, list[str]]) -> list[str]:
    """Degrees, then other replicas, then figures as people read them, engines last."""
    names = list(columns)
    first = [name for name in (*READING_ORDER, OTHERS, *map(heading, FIRST)) if name in columns]
    last = [name for name in (*map(heading, LAST), PRICE, ENGINES) if name in columns]
    return [*first, *(name for name in names if name not in (*first, *last)), *last]
