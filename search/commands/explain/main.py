"""``servefront explain RUN [--plan PLAN]``: read the run, search it again, explain the plan.

Exit 0 whatever the verdict; 2 with one line if the run or the plan cannot be read.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from costmodel.engine import ENGINES
from search.base.arguments import Parser
from search.base.errors import InputError
from search.commands.plan_flag import add_plan
from search.inputs.bounded_file import read_bounded
from search.inputs.compared import compared
from search.inputs.saved_run import SavedRun, named_engine, named_plan, read_run
from search.inputs.schema import Config


def main(argv: list[str]) -> int:
    """Explain, print; returns the exit code."""
    options = _parser().parse_args(argv)
    from search.commands.search import fail

    try:
        saved = read_run(options.run)
        nothing = options.plan == "recommended" and saved.recommended is None
        named = None if nothing else named_plan(saved, options.plan)
        engine = options.engine or (saved.engine if nothing else named_engine(saved, options.plan))
        beside = _beside(saved, engine)
        from search.commands.explain.explained import explain
        from search.commands.explain.show import print_verdict
        from search.optimizer.recommend import nearest
        from search.optimizer.run import run

        outcome = run(_config(saved.of(engine)), whole=True)
        # A run without a feasible plan recommends none: the plan that comes nearest is what people ask about.
        plan, name = named or (outcome.plans.take(nearest(outcome.plans, outcome.scores)[:1]), "nearest")
        print_verdict(outcome, explain(outcome, plan, name), beside)
    except InputError as error:
        return fail(str(error), InputError.exit_code)
    return 0


def _beside(saved: SavedRun, engine: str) -> str:
    """Of a run that compared engines, whose plan this is and whose the run recommends."""
    names = compared(saved.config)
    if engine != saved.engine and engine not in names:
        raise InputError(f"--engine: {engine} was not searched by the run; it has {', '.join(names) or saved.engine}")
    if not names:
        return ""
    said = f"All of this is about {engine}, one of the engines compared ({', '.join(names)})"
    if engine == saved.engine:
        return f"{said}, the best of them."
    return f"{said}: the run itself recommends the plan of {saved.engine}."


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="servefront explain", description="Why a plan is, or is not, what a run recommends.")
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a run of python -m search")
    add_plan(parser, "where nothing is feasible recommended is the nearest one")
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        help="of a run that compared engines, the one to explain it on; by default the plan's own",
    )
    return parser


def _config(saved: SavedRun) -> Config:
    """The search without a study where the run scored every plan; its sensitivity is not asked for again."""
    path = saved.folder / "summary.json"
    try:
        exact = json.loads(read_bounded(path, 10_000_000, "a summary"))["exact"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: cannot be read: it holds no 'exact' of a run ({type(error).__name__})") from error
    config = saved.exact_config if exact else saved.config
    return replace(config, sensitivity=replace(config.sensitivity, enabled=False))
