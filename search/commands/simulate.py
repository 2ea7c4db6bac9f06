"""``servefront simulate RUN [KEY=VALUE ...]``: a plan of a run under traffic, request by request.

Exit 0: simulated. 2: some input could not be used.
"""

from __future__ import annotations

import argparse
import json
import shlex
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from costmodel.evaluate import evaluate
from costmodel.lengths import FixedLengths
from costmodel.plans import Plans
from costmodel.serving.simulation.deployment import serve
from costmodel.serving.simulation.requests import Requests, first_of
from search.base.arguments import Parser
from search.base.errors import InputError
from search.base.escape import plain
from search.base.progress import track
from search.base.whole_file import put_all, usable_folder
from search.commands.plan_flag import add_plan
from search.commands.simulated import Simulated, check_served, scenario_of
from search.commands.simulated_split import split_simulated
from search.inputs.saved_run import SavedRun, named_engine, named_plan, read_run
from search.inputs.schema import LimitsConfig, WorkloadConfig
from search.inputs.split_rows import names_split
from search.inputs.traffic import Traffic, read_traffic
from search.inputs.typed import explain
from search.optimizer.refused import refused
from search.optimizer.rules.facts import facts_of
from search.render import knee, simulation

MOST_REQUESTS = 10_000_000
MOST_RATES = 100
FEWER = 4  # times, for each rate of the knee


def main(argv: list[str]) -> int:
    """Read, simulate, print; returns the exit code."""
    options = _parser().parse_intermixed_args(argv)
    try:
        if not 1 <= options.requests <= MOST_REQUESTS:
            raise InputError(f"--requests: {options.requests} is not allowed; give 1 to {MOST_REQUESTS}")
        if not 0 <= options.knee <= MOST_RATES:
            raise InputError(f"--knee: {options.knee} is not allowed; give 0 to {MOST_RATES}")
        if options.seed < 0:
            raise InputError(f"--seed: {options.seed} is not allowed; give a whole number from 0 on")
        if options.out is not None:
            usable_folder("--out", options.out)
        run = read_run(options.run)
        workload = _changed(run, options.changes)
        traffic = read_traffic(workload)
        requests = traffic.requests(options.requests, options.seed)
        if names_split(options.plan):
            told = split_simulated(run, traffic, requests, options.plan, options.balancer)
        else:
            told = _simulated(run, traffic, requests, options)
        if options.json:
            print(json.dumps(told.found, indent=2))
        else:
            print(f"{plain(told.words)}\n\n{told.text}")
        if options.out is not None:
            options.out.mkdir(parents=True, exist_ok=True)
            points = [] if traffic.process == "closed" else _knee(options.knee, told, requests)
            _write(options.out, told, points, traffic.rate or _rate(requests), run.config.limits)
            print(f"Written to {plain(shlex.quote(str(options.out)))}")
    except (InputError, OSError) as error:
        from search.commands.search import fail, system_line

        return fail(system_line(error) if isinstance(error, OSError) else str(error), InputError.exit_code)
    return 0


def _simulated(run: SavedRun, traffic: Traffic, requests: Requests, options: argparse.Namespace) -> Simulated:
    """A plan whose servers prefill and decode; ``InputError`` where it cannot exist."""
    plan, name = named_plan(run, options.plan)
    run = run.of(named_engine(run, options.plan))
    scenario = scenario_of(run)
    broken = refused(plan, facts_of(scenario))[0].by(scenario.engine.name)
    if broken:
        raise InputError(f"--plan: rule {broken[0].name} keeps it out")
    closed, watch = traffic.process == "closed", partial(track, label="simulating")
    served = serve(scenario, plan, requests, options.balancer, closed=closed, watch=watch)
    check_served(requests, served.e2e_s)
    found = simulation.summary(requests, served)
    title = f"{scenario.model.name}: {_words(plan)}"
    served_by = "" if scenario.engine.name == "any" else f" on {scenario.engine.name}"

    def most() -> float:
        """What the plan can do in the closed loop with all seats taken."""
        prompt, answer = (max(round(float(t.mean())), 1) for t in (requests.prompt_tokens, requests.answer_tokens))
        alike = replace(scenario, lengths=FixedLengths(prompt, answer, traffic.hit))
        return float(evaluate(alike, plan).requests_per_s[0])

    return Simulated(
        f"{name}: {_words(plan)}{served_by}", title, found, simulation.text(found),
        simulation.csv_text(requests, served), simulation.picture(served, title),
        lambda sent: simulation.figures(sent, serve(scenario, plan, sent, options.balancer)), most,
    )  # fmt: skip


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


def _words(plan: Plans) -> str:
    return ", ".join(f"{axis} {value}" for axis, value in plan.row(0).items())


def _write(folder: Path, told: Simulated, points: list[knee.Point], rate: float, limits: LimitsConfig) -> None:
    texts = {
        "requests.csv": told.requests_csv,
        "simulation.json": json.dumps(told.found, indent=2) + "\n",
        "simulation.svg": told.picture,
    }
    if points:
        kept = {"ttft_s": (limits.ttft_s, limits.ttft_statistic), "tpot_s": (limits.tpot_s, limits.tpot_statistic)}
        bounds = {figure: (value, name) for figure, (value, name) in kept.items() if value is not None}
        texts["knee.csv"] = knee.csv_text(points)
        texts["knee.svg"] = knee.picture(points, told.title, rate, bounds)
    put_all({folder / name: text for name, text in texts.items()})


def _rate(requests: Requests) -> float:
    """Requests a second."""
    seconds = float(requests.arrival_s[-1])
    return (len(requests) - 1) / seconds if seconds else float("inf")


def _knee(count: int, told: Simulated, requests: Requests) -> list[knee.Point]:
    """The same requests at other rates, up to beyond what the plan can do."""
    if count == 0 or len(requests) < 2 or not np.isfinite(_rate(requests)):
        return []
    most = told.most()
    rates = sorted({_rate(requests), *(most * share for share in np.linspace(0.2, 1.2, count).tolist())})
    fewer = first_of(requests, max(len(requests) // FEWER, 2))
    points = []
    for rate in track(rates, "simulating rates"):
        at = fewer.arrival_s * (_rate(fewer) / rate)
        points.append(knee.Point(rate, told.at(replace(fewer, arrival_s=at))))
    return points


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
    add_plan(parser, "split, split:3: rows of split.csv")
    parser.add_argument("--requests", type=int, default=10_000, metavar="N", help="how many are sent (default 10000)")
    parser.add_argument("--seed", type=int, default=0, help="of lengths and arrivals (default 0)")
    parser.add_argument(
        "--balancer", choices=("round_robin", "least_loaded"), default="round_robin", help="how replicas share requests"
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write requests.csv, simulation.json and .svg there")
    parser.add_argument(
        "--knee",
        type=int,
        default=11,
        metavar="N",
        help="rates of knee.svg in --out (default 11; 0: none)",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    return parser
