"""``servefront simulate RUN [KEY=VALUE ...]``: a plan of a run under traffic, request by request.

Exit 0: simulated. 2: some input could not be used.
"""

from __future__ import annotations

import argparse
import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from costmodel.engine import ENGINES
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.serving.simulation.deployment import serve
from costmodel.serving.simulation.requests import Requests, Served
from search.base.arguments import Parser
from search.base.errors import InputError
from search.base.escape import plain
from search.base.whole_file import put_text
from search.inputs.config import read_model, read_scenario
from search.inputs.saved_run import SavedRun, named_plan, read_run
from search.inputs.schema import LimitsConfig, WorkloadConfig
from search.inputs.traffic import in_closed_loop, read_traffic
from search.inputs.typed import explain
from search.optimizer.legal import why_not
from search.optimizer.rules.facts import facts_of
from search.render import simulation

MOST_REQUESTS = 10_000_000


def main(argv: list[str]) -> int:
    """Read, simulate, print; returns the exit code."""
    options = _parser().parse_intermixed_args(argv)
    try:
        if not 1 <= options.requests <= MOST_REQUESTS:
            raise InputError(f"--requests: {options.requests} is not allowed; give 1 to {MOST_REQUESTS}")
        if options.seed < 0:
            raise InputError(f"--seed: {options.seed} is not allowed; give a whole number from 0 on")
        run = read_run(options.run)
        workload = _changed(run, options.changes)
        traffic = read_traffic(workload)
        plan, name = named_plan(run, options.plan)
        scenario = _scenario(run, plan)
        requests = traffic.requests(options.requests, options.seed)
        served = serve(scenario, plan, requests, options.balancer, closed=traffic.process == "closed")
        found = simulation.summary(requests, served)
        if options.json:
            print(json.dumps(found, indent=2))
        else:
            print(plain(f"{name}: {_words(plan)}") + "\n\n" + simulation.text(found))
        if options.out is not None:
            _write(options.out, f"{scenario.model.name}: {_words(plan)}", requests, served, found)
    except (InputError, OSError) as error:
        from search.commands.search import fail, system_line

        return fail(system_line(error) if isinstance(error, OSError) else str(error), InputError.exit_code)
    return 0


def _changed(run: SavedRun, changes: list[str]) -> WorkloadConfig:
    """The run's workload with ``workload.key=value`` of the command line."""
    for change in changes:
        if not change.startswith("workload.") or "=" not in change:
            raise InputError(f"{change!r} is not allowed; give keys of the workload, as workload.requests_per_s=12")
    try:
        plainly = OmegaConf.from_dotlist([change.removeprefix("workload.") for change in changes])
        merged = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(run.config.workload), plainly))
    except OmegaConfBaseException as error:
        raise InputError(f"workload.{explain(error)}") from error
    except ValueError as error:  # YAML's own
        raise InputError(f"workload: {' '.join(str(error).split())[:200]}") from error
    assert isinstance(merged, WorkloadConfig)
    return merged


def _scenario(run: SavedRun, plan: Plans) -> Scenario:
    """What the plan is simulated under; ``InputError`` where the plan cannot exist, or is none that can be
    simulated."""
    limits = LimitsConfig(memory_fraction=run.config.limits.memory_fraction)  # the others judge, they change nothing
    config = replace(run.config, workload=in_closed_loop(run.config.workload), limits=limits)
    scenario = read_scenario(config, read_model(config.model).architecture)
    facts = facts_of(scenario)
    broken = why_not(plan, facts)[0]
    engines = ENGINES if scenario.engine.name == "any" else (scenario.engine.name,)
    rule = broken["layout"] or (broken[engines[0]] if all(broken[engine] for engine in engines) else None)
    if rule:
        raise InputError(f"--plan: rule {rule} keeps it out")
    if int(plan.pp[0]) > 1:
        raise InputError(f"--plan: pp {int(plan.pp[0])} is not simulated; give a plan of one pipeline stage")
    return scenario


def _words(plan: Plans) -> str:
    return ", ".join(f"{axis} {value}" for axis, value in plan.row(0).items())


def _write(folder: Path, title: str, requests: Requests, served: Served, found: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    put_text(folder / "requests.csv", simulation.csv_text(requests, served))
    put_text(folder / "simulation.json", json.dumps(found, indent=2) + "\n")
    put_text(folder / "simulation.svg", simulation.picture(served, title))
    print(f"Written to {plain(shlex.quote(str(folder)))}")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="servefront simulate",
        description="Send traffic to a plan of a run, request by request: percentiles of TTFT, TPOT, end to end time.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument(
        "changes",
        nargs="*",
        metavar="KEY=VALUE",
        help="keys of the workload: workload.requests_per_s=12, workload.arrivals.kind=poisson, "
        "workload.lengths.kind=trace, workload.lengths.trace=FILE (docs/configuration.md)",
    )
    parser.add_argument("--plan", default="recommended", metavar="PLAN", help="as for launch; recommended by default")
    parser.add_argument("--requests", type=int, default=10_000, metavar="N", help="how many are sent (default 10000)")
    parser.add_argument("--seed", type=int, default=0, help="of lengths and arrivals (default 0)")
    parser.add_argument(
        "--balancer", choices=("round_robin", "least_loaded"), default="round_robin", help="how replicas share requests"
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write requests.csv, simulation.json and .svg there")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    return parser
