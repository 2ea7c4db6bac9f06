"""``servefront check RUN RESULT.json``: what was measured against what was predicted, figure by figure.

RESULT is what ``vllm bench serve --save-result``, SGLang's ``bench_serving`` or GuideLLM wrote of a plan of the run.
Exit 0: set against each other, whatever came out. 2: some input could not be used.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from costmodel.engine import ENGINES
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from search.base.arguments import Parser
from search.base.errors import InputError
from search.base.escape import plain
from search.commands.plan_flag import add_plan
from search.evidence.measured.fitting import centred
from search.evidence.results.compare import Compared, compare, servers_of, would_change
from search.evidence.results.read import Result, read_results
from search.inputs.config import read_model, read_scenario
from search.inputs.hardware_catalog import find_hardware, load_engine
from search.inputs.own_engine import as_launched
from search.inputs.saved_run import named_plan, read_run
from search.inputs.traffic import in_closed_loop
from search.optimizer.refused import refused
from search.optimizer.rules.facts import facts_of

MOST_SERVERS = 100_000
MOVED = 0.02  # of a constant: less is not worth a line


def main(argv: list[str]) -> int:
    """Read, predict, print; returns the exit code."""
    options = _parser().parse_args(argv)
    try:
        if not 1 <= options.servers <= MOST_SERVERS:
            raise InputError(f"--servers: {options.servers} is not allowed; give 1 to {MOST_SERVERS}")
        run = read_run(options.run)
        results = read_results(options.result)
        plan, name = named_plan(run, options.plan)
        engine = options.engine or run.config.engine.name
        config = as_launched(run.config, engine)
        config = replace(config, workload=in_closed_loop(config.workload))
        scenario = read_scenario(config, read_model(config.model).architecture)
        if broken := refused(plan, facts_of(scenario))[0].by(scenario.engine.name):
            raise InputError(f"--plan: rule {broken[0].name} keeps it out")
        measured = servers_of(plan, options.servers)
        compared = [compare(scenario, measured, result) for result in results]
        hardware = _known(config.hardware.name)
        changes = [_changes(scenario, measured, result, hardware) for result in results]
    except InputError as error:
        from search.commands.search import fail

        return fail(str(error), InputError.exit_code)
    if options.json:
        found = [
            {"result": r.name, "figures": [asdict(c) | {"inside": c.inside} for c in each], "calibrate": change}
            for r, each, change in zip(results, compared, changes, strict=True)
        ]
        print(json.dumps(found, indent=2))
        return 0
    for result, each, change in zip(results, compared, changes, strict=True):
        print("\n".join(map(plain, _lines(name, result, each, change))))
    return 0


def _known(name: str) -> str | None:
    """The catalog's name of an accelerator; ``None`` for one's own, whose generation has no constants to fit."""
    try:
        return find_hardware(name)
    except InputError:
        return None


def _changes(scenario: Scenario, plan: Plans, result: Result, hardware: str | None) -> dict[str, Any] | None:
    posterior = None if hardware is None else would_change(scenario, plan, result, hardware)
    if posterior is None:
        return None
    before = centred(load_engine(scenario.engine.name))
    return {
        key[1]: {"before": before[key], "after": value, "certainty": posterior.certainty[key]}
        for key, value in posterior.values.items()
        if abs(value / before[key] - 1.0) >= MOVED
    }


def _lines(name: str, result: Result, compared: list[Compared], changes: dict[str, Any] | None) -> list[str]:
    load = f"{result.rate:g} requests/s" if result.rate is not None else f"{result.concurrency} in flight"
    lengths = f"{result.isl:.0f} and {result.osl:.0f} tokens"
    lines = [f"{result.name}: {result.requests} requests of {lengths}, {load}; {name}"]
    lines += [f"{'figure':22s} {'measured':>10s} {'predicted':>10s} {'error':>7s}   80 % interval"]
    for c in compared:
        where = "inside" if c.inside else ("below" if c.measured < c.low else "above")
        lines.append(
            f"{c.figure:22s} {c.measured:10.4g} {c.predicted:10.4g} {c.predicted / c.measured - 1.0:+7.1%}   "
            f"{c.low:.4g} to {c.high:.4g}: {where}"
        )
    lines.append(f"{sum(c.inside for c in compared)} of {len(compared)} figures are inside their intervals.")
    if changes is None:
        lines.append(
            "Nothing to calibrate with: that takes a closed loop, both means, an engine and accelerator of the catalog."
        )
    elif changes:
        lines.append("`servefront calibrate` would move, by this result alone:")
        lines += [
            f"  {key:22s} {c['before']:9.3g} -> {c['after']:9.3g}   certainty {c['certainty']:.0%}"
            for key, c in changes.items()
        ]
    else:
        lines.append("`servefront calibrate` would move nothing by this result alone.")
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="servefront check", description="Set a benchmark's result against what a run predicted, figure by figure."
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument(
        "result", type=Path, metavar="RESULT", help="JSON of vllm bench serve, SGLang's bench_serving or GuideLLM"
    )
    add_plan(parser)
    parser.add_argument("--engine", choices=ENGINES, help="the engine that was measured (default: the run's)")
    parser.add_argument(
        "--servers", type=int, default=1, metavar="N", help="how many of the plan's servers were measured (default 1)"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    return parser
