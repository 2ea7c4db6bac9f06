"""``servefront launch RUN --plan ROW --engine NAME``: the command that starts a plan of a run.

A line a plan on standard output; lines that begin with ``#`` say what to expect, so that the whole is a shell script.
Exit 0: there is a command. 1: the engine refuses the plan, or under ``all`` every one of them; the rule is named. 2:
some input could not be used.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from costmodel.engine import ENGINES
from costmodel.evaluate import evaluate
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from search.base.arguments import Parser
from search.base.errors import InputError
from search.commands.plan_flag import add_plan
from search.inputs.config import read_model, read_scenario
from search.inputs.own_engine import as_launched
from search.inputs.saved_run import SavedRun, named_engine, named_plan, read_run
from search.inputs.schema import Config
from search.optimizer.rules.facts import Facts, facts_of
from search.render.launch.engines import LAUNCHED
from search.render.launch.refusals import Refusal, layout_refusal, start_refusal
from search.render.launch.script import about, balancer, bench_values, inline, measuring
from search.render.launch.server import Server, server_of
from search.render.launch.shell import comment


@dataclass(frozen=True)
class Start:
    """A plan by the name it was given, the engine to start it on, and its server or why there is none."""

    name: str
    engine: str
    server: Server | None
    refusal: Refusal | None


def main(argv: list[str]) -> int:
    """Read the run, print commands; returns the exit code."""
    options = _parser().parse_args(argv)
    try:
        run = read_run(options.run)
        names = [str(i + 1) for i in range(len(run.front))] if options.plan == "all" else [options.plan]
        if not names:
            raise InputError(f"--plan: {options.run} has no feasible plan, so there is none to start")
        starts = _starts(run, names, options.engine)
    except InputError as error:
        from search.commands.search import fail

        return fail(str(error), InputError.exit_code)
    if options.plan != "all" and starts[0].refusal is not None:
        refused = starts[0].refusal
        title = LAUNCHED[starts[0].engine].title
        print(f"refused: {title} cannot start {starts[0].name}: rule {refused.rule}: {refused.text}", file=sys.stderr)
        return 1
    for start in starts:
        print("\n".join(_lines(run, start, brief=options.plan == "all")))
    return 0 if any(start.server for start in starts) else 1


def _starts(run: SavedRun, names: list[str], engine: str | None) -> list[Start]:
    """On ``engine``, or each plan on the engine that the run found it for."""
    plans = [named_plan(run, name) for name in names]
    engines = [engine or named_engine(run, name) for name in names]
    if "any" in engines:
        raise InputError(f"--engine: the run names none; give one of {', '.join(ENGINES)}")
    known: dict[str, tuple[Config, Scenario, Facts]] = {}
    for name in dict.fromkeys(engines):
        config = as_launched(run.config, name)
        scenario = read_scenario(config, read_model(config.model).architecture)
        known[name] = config, scenario, facts_of(scenario)
    return [_start(plan, *known[name], name) for plan, name in zip(plans, engines, strict=True)]


def _start(named: tuple[Plans, str], config: Config, scenario: Scenario, facts: Facts, engine: str) -> Start:
    plan, name = named
    refused = layout_refusal(plan, facts, engine)
    if refused is not None:  # the layout may not even exist: nothing to score
        return Start(name, engine, None, refused)
    server = server_of(config, scenario, plan, evaluate(scenario, plan), 0)
    refused = start_refusal(server, engine)
    return Start(name, engine, None if refused else server, refused)


def _lines(run: SavedRun, start: Start, *, brief: bool) -> list[str]:
    engine = start.engine
    if start.server is None:
        assert start.refusal is not None
        return [comment(f"{start.name}: refused by rule {start.refusal.rule}: {start.refusal.text}")]
    server = start.server
    options = f"trtllm_{start.name.replace(' ', '_')}.yaml" if start.name.startswith("row ") else "trtllm.yaml"
    line = inline(server, engine, options)
    if brief:
        return [comment(f"{start.name}: {server.words}; logs {LAUNCHED[engine].log_line(server)}"), line]
    comments = [*about(server, engine), *balancer(server)]
    comments += measuring(server, engine, as_launched(run.config, engine), bench_values(server, engine))
    return [*map(comment, comments), line]


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="servefront launch", description="Print the command that starts a plan of a run on an engine.")
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a run")
    add_plan(parser, "all: every row of pareto.csv")
    parser.add_argument(
        "--engine", choices=ENGINES, help="the engine to start it on; by default that of the run's plan"
    )
    return parser
