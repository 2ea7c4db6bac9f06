"""What a fleet's run prints."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from search.base.escape import plain
from search.optimizer.fleet.outcome import FleetOutcome
from search.render.fleet.words import (
    HEADINGS,
    UNITS,
    cost_words,
    objective_words,
    rows,
    short,
    spares_words,
    taken_words,
)
from search.render.terminal import WIDTH_WITHOUT_TERMINAL

LEFT = 6  # headings that stand to the left


def print_fleet(o: FleetOutcome) -> None:
    """A table of deployments and a panel with what they come to, on standard output."""
    assert o.chosen is not None
    watched = sys.stdout.isatty()
    console = Console(width=None if watched else WIDTH_WITHOUT_TERMINAL, highlight=False, emoji=False, markup=False)
    frame, border = (box.HEAVY_HEAD, box.ROUNDED) if watched else (box.MARKDOWN, box.ASCII)
    table = Table(title=f"Fleet {plain(o.fleet.name)}: {objective_words(o)}", box=frame)
    for i, name in enumerate(HEADINGS):
        table.add_column(name, justify="left" if i < LEFT else "right")
    for row in rows(o):
        table.add_row(*map(plain, row))
    console.print(table)
    console.print(Panel("\n".join(map(plain, summary_lines(o))), title="Fleet", expand=False, box=border))


def summary_lines(o: FleetOutcome) -> list[str]:
    """What the fleet comes to."""
    assert o.chosen is not None
    settings = o.fleet.settings
    lines = [
        f"{taken_words(o, o.chosen)}: {cost_words(o, o.chosen)}",
        f"planned traffic: {settings.growth:g} times today's; {spares_words(o)}",
    ]
    missing = short(o, o.chosen)
    if missing:
        lines.append(f"serves {o.served(o.chosen):.1%} of the weighted traffic; in part: {'; '.join(missing)}")
    if settings.capacity == "low":
        lines.append("replicas are counted at the low end of the 80 % interval of what they carry")
    for g in o.growth:
        if g.gpus is not None and g.factor == 1.5:
            taken = ", ".join(f"{n:,} {p.name}" for p, n in zip(o.fleet.pools, g.gpus.tolist(), strict=True))
            lines.append(f"at 1.5 times the planned traffic: {taken}, {g.cost:,.2f} {UNITS[o.cost]}")
        elif g.gpus is None and o.growth[0].gpus is not None:
            lines.append(f"at {g.factor:g} times the planned traffic the pools no longer hold everybody")
            break
    searched = sum(found.legal for found in o.found.values())
    lines.append(f"{searched:,} legal plans of a replica; {o.front.method}" + _front_words(o))
    return lines


def _front_words(o: FleetOutcome) -> str:
    if not o.front.whole:
        return ""
    said = f"; {len(o.front):,} fleets on the exact front of cost and served share"
    if o.study is not None:
        said += f"; the study reached {o.study.share:.2%} of its hypervolume in {o.study.trials:,} trials"
    return said


def print_written(folder: Path) -> None:
    """Where the run lies."""
    print(f"Written to {plain(shlex.quote(str(folder)))}")
