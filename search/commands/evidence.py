"""``servefront evidence RUN [--plan PLAN]``, or ``--model M --hardware H`` in the place of a run: what was measured.

Classes of runs (``conf/evidence.csv``) in rings, the nearest first, with how far off predictions were on them. Exit 0;
2 with one line if the run, the plan, the model or the accelerator cannot be read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from costmodel.engine import ENGINES
from costmodel.evaluate import evaluate
from search.base.arguments import Parser
from search.base.errors import InputError
from search.base.escape import one_line
from search.commands.plan_flag import add_plan
from search.evidence.measured.intervals import coverage_of
from search.evidence.near.classes import FIGURES, RunClass, pooled
from search.evidence.near.likeness import DEGREES, Likeness, model_likeness
from search.evidence.near.nearest import Ring, narrowest, rings
from search.inputs.config import read_model, read_scenario
from search.inputs.hardware_catalog import find_hardware, load_hardware
from search.inputs.models import ConfigError, find_model, read_catalog_model
from search.inputs.saved_run import named_plan, read_run
from search.render.document.evidence_words import ENGINE_NAMES, TITLES, evidence_lines
from search.render.document.formats import percent, plural, signed_percent, span

WIDTH_WITHOUT_TERMINAL = 260
MOST = 12  # classes of a ring that are shown unless all are asked for


def main(argv: list[str]) -> int:
    """List; returns the exit code."""
    options = _parser().parse_args(argv)
    try:
        like, lines = _of_run(options) if options.run is not None else _of_names(options)
    except InputError as error:
        from search.commands.search import fail

        return fail(str(error), InputError.exit_code)
    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else WIDTH_WITHOUT_TERMINAL, highlight=False, emoji=False, markup=False)
    for line in lines:
        console.print(line)
    found = rings(like)
    if narrowest(found) is None:
        console.print("Nothing like it was measured.")
    for ring, own in _own(found):
        if own:
            console.print(_table(ring, own, options.all, terminal))
    console.print(
        "off: mean absolute error of the prediction; bias: median of predicted over measured; inside: share of the "
        "runs in their 80 % interval. Logs were predicted without their model, system and engine version in the fit."
    )
    return 0


def _of_run(options: argparse.Namespace) -> tuple[Likeness, list[str]]:
    from search.evidence.near.likeness import likeness

    if options.model or options.hardware:
        raise InputError("RUN: a run names its model and accelerator; leave out --model and --hardware")
    run = read_run(options.run)
    plan, name = named_plan(run, options.plan)
    scenario = read_scenario(run.config, read_model(run.config.model).architecture)
    key = int(coverage_of(scenario, plan, evaluate(scenario, plan))[0])
    title = f"{one_line(scenario.model.name)} on {one_line(scenario.accelerator.name)}, {name}"
    return likeness(scenario, plan), [title, *map(one_line, evidence_lines(scenario, plan, key))]


def _of_names(options: argparse.Namespace) -> tuple[Likeness, list[str]]:
    if options.model is None or options.hardware is None:
        raise InputError("RUN: give the folder of a run, or --model and --hardware")
    try:
        model = read_catalog_model(find_model(options.model)).architecture
    except ConfigError as error:
        raise InputError(f"--model: {error}") from error
    accelerator = load_hardware(find_hardware(options.hardware)).name
    like = model_likeness(model, options.engine, accelerator)
    under = f" under {ENGINE_NAMES[options.engine]}" if options.engine else ""
    return like, [f"{one_line(model.name)} ({like.kind}, {like.precision}) on {one_line(accelerator)}{under}"]


def _own(found: list[Ring]) -> Iterator[tuple[Ring, list[RunClass]]]:
    """Each ring with the classes that no narrower one has."""
    seen: set[int] = set()
    for ring in found:
        own = [c for c in ring.classes if id(c) not in seen]
        seen |= {id(c) for c in own}
        yield ring, own


def _table(ring: Ring, own: list[RunClass], everything: bool, terminal: bool) -> Table:
    shown = own if everything else own[:MOST]
    rest = f", the nearest {len(shown)} of {plural(str(len(own)), 'class')}" if len(shown) < len(own) else ""
    title = f"The same {ring.words}: {plural(str(sum(c.rows for c in own)), 'run')}{rest}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD if terminal else box.ASCII)
    for name in ("source", "model", "engine", "accelerator", "precision", "layout"):
        table.add_column(name, no_wrap=not terminal)
    for name in ("in flight", "prompts", "answers", "runs", *(f"{TITLES[figure]} {WORDS}" for figure in FIGURES)):
        table.add_column(name, justify="right", no_wrap=not terminal)
    for c in shown:
        table.add_row(*_cells(c))
    if len(own) > 1:
        table.add_row("all", *[""] * 8, str(sum(c.rows for c in own)), *_figures(own))
    return table


WORDS = "off, bias, inside"


def _cells(c: RunClass) -> list[str]:
    layout = ", ".join(f"{name} {getattr(c.like, name)}" for name in DEGREES if getattr(c.like, name) > 1) or "tp 1"
    engine = " ".join(filter(None, (ENGINE_NAMES.get(str(c.like.engine), str(c.like.engine)), c.versions)))
    spans = [span(f"{a:g}", f"{b:g}") for a, b in (c.in_flight, c.prompt, c.answer)]
    if not c.in_flight[1]:
        spans[0] = "all queued"
    named = [c.source, c.name, engine, str(c.like.accelerator), str(c.like.precision), layout]
    return [*named, *spans, str(c.rows), *_figures([c])]


def _figures(classes: list[RunClass]) -> list[str]:
    found = [pooled(classes, figure) for figure in FIGURES]
    return ["" if r is None else f"{percent(r.error)}, {signed_percent(r.bias)}, {r.inside:.0%}" for r in found]


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="servefront evidence",
        description="Measured runs near a plan, and how far off predictions were on them.",
    )
    parser.add_argument("run", type=Path, nargs="?", metavar="RUN", help="folder of a run of python -m search")
    add_plan(parser)
    parser.add_argument("--model", metavar="NAME", help="instead of RUN: a model of the catalog, by any of its names")
    parser.add_argument("--hardware", metavar="NAME", help="with --model: an accelerator of the catalog")
    parser.add_argument("--engine", choices=ENGINES, help="with --model: the engine")
    parser.add_argument("--all", action="store_true", help=f"every class, not the nearest {MOST} of a ring")
    return parser
