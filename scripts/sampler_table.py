"""Optuna's samplers, random search and this program's own against the exact front: share of the exact hypervolume by
trials, and seconds.

    python scripts/sampler_table.py                                          # NSGA-II, NSGA-III, random: some minutes
    python scripts/sampler_table.py --samplers tpe --trials 1000 --keep studies.jsonl          # a quarter of an hour
    python scripts/sampler_table.py --samplers gp --trials 100 --seeds 3 --keep studies.jsonl  # needs torch; hours

``ours`` is NSGA-II with the steps near the front that a search takes; the others are Optuna's alone, every proposal
moved to the nearest legal plan. ``random`` is the strategy of that name, with repeats. CMA-ES stands in no row:
Optuna's takes one objective and no choices, and every problem here has two objectives or more. The figure is
``search.optimizer.front.hypervolume_share``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from sampler_problems import COMPARED, TASKS, Task

from search.optimizer.front import hypervolume_share, pareto_front
from search.optimizer.sampler import LOCAL, LegalSampler, base_sampler
from search.optimizer.scoring import ABSENT
from search.optimizer.screen import Known
from search.optimizer.study import BATCH_WITHOUT_GENERATIONS, quiet
from search.optimizer.trials import Trials

CHECKED = (50, 100, 200, 500, 1000, 2000)  # trials
POPULATION = 50
SAMPLERS = ("random", "nsga2", "nsga3", "tpe", "gp", "ours")


def main() -> None:
    """Print a Markdown table a problem: a row a sampler, the median over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=["random", "nsga2", "nsga3", "ours"])
    parser.add_argument("--problems", nargs="+", choices=list(TASKS), default=COMPARED)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument(
        "--keep", type=Path, help="a file of studies, one a line: added to, and what is there not run again"
    )
    arguments = parser.parse_args()
    checked = [n for n in CHECKED if n <= arguments.trials]
    kept = Kept(arguments.keep)
    for seed in range(arguments.seeds):
        for name in arguments.problems:
            for sampler in arguments.samplers:
                if (name, sampler, seed, arguments.trials) not in kept.found:
                    shares, seconds = studied(task(name), sampler, arguments.trials, seed, checked)
                    kept.add(name, sampler, seed, arguments.trials, shares, seconds)
    for name in arguments.problems:
        print(f"\n{name}: {task(name).size}; {arguments.seeds} seeds\n")
        print(f"| sampler | {' | '.join(f'{n:,}' for n in checked)} | least | seconds |")
        print(f"|---|{'--:|' * (len(checked) + 2)}", flush=True)
        for sampler in arguments.samplers:
            found = [kept.found[name, sampler, seed, arguments.trials] for seed in range(arguments.seeds)]
            middle = [
                f"{statistics.median(column):.2%}" for column in zip(*(shares for shares, _ in found), strict=True)
            ]
            least = min(shares[-1] for shares, _ in found)
            spent = statistics.median(seconds for _, seconds in found)
            print(f"| {sampler} | {' | '.join(middle)} | {least:.2%} | {spent:.1f} |", flush=True)


class Kept:
    """Studies that were run: by problem, sampler, seed and trials the shares and seconds. TPE and GP take long: each
    is written as it ends, where a file is given."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.found: dict[tuple[str, str, int, int], tuple[list[float], float]] = {}
        if path and path.exists():
            for line in path.read_text().splitlines():
                *key, shares, seconds = json.loads(line)
                self.found[tuple(key)] = shares, seconds

    def add(self, name: str, sampler: str, seed: int, trials: int, shares: list[float], seconds: float) -> None:
        self.found[name, sampler, seed, trials] = shares, seconds
        if self.path:
            with self.path.open("a") as file:
                file.write(json.dumps([name, sampler, seed, trials, shares, seconds]) + "\n")


@cache
def task(name: str) -> Task:
    return TASKS[name]()


def studied(task: Task, name: str, trials: int, seed: int, checked: Sequence[int]) -> tuple[list[float], float]:
    """Shares of the hypervolume after so many trials, and processor seconds of all of them, the scoring included."""
    start = time.process_time()
    places = task.places()
    sampler = LegalSampler(_base(name, seed), places, seed, LOCAL if name == "ours" else 0.0)
    objectives = task.exact.shape[1]
    with quiet():
        storage = Trials()
        study = optuna.create_study(directions=["minimize"] * objectives, sampler=sampler, storage=storage)
    together = {"tpe": BATCH_WITHOUT_GENERATIONS, "gp": 1}.get(name, POPULATION)
    costs, number = np.zeros((0, objectives)), np.zeros(0, dtype=np.int64)
    excess = np.zeros((0, len(task.told(places, [places.random(np.random.default_rng(0))])[1])))
    for first in range(0, trials, together):
        asked = [storage.ask(study, sampler.space) for _ in range(min(together, trials - first))]
        rows = [sampler.proposed.pop(trial.number) for trial in asked]
        found, over = task.told(places, rows)
        values = np.nan_to_num(found, nan=ABSENT, posinf=ABSENT, neginf=-ABSENT).tolist()
        for i, trial in enumerate(asked):
            storage.tell(study, trial, values[i], {limit: float(beyond[i]) for limit, beyond in over.items()}, {})
        costs, number = np.concatenate([costs, found]), np.concatenate([number, rows])
        excess = np.concatenate([excess, np.stack(list(over.values()), axis=1)])
        kept = np.all(excess <= 1e-9, axis=1)
        distinct, at = np.unique(number, return_index=True)
        sampler.learn(Known(distinct, costs[at], excess[at], pareto_front(costs[at], kept[at])), together)
    seconds = time.process_time() - start
    return [hypervolume_share(costs[:n][kept[:n]], task.exact) for n in checked], seconds


def _base(name: str, seed: int) -> optuna.samplers.BaseSampler | None:
    if name == "gp":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return optuna.samplers.GPSampler(seed=seed, deterministic_objective=True)
    return base_sampler("nsga2" if name == "ours" else name, seed, POPULATION)


if __name__ == "__main__":
    main()
