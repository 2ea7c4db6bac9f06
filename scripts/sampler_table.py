"""Optuna's samplers, random search and this program's own against the exact front: share of the exact hypervolume by
trials, and seconds.

    python scripts/sampler_table.py                                          # NSGA-II, NSGA-III, random: some minutes
    python scripts/sampler_table.py --samplers tpe --trials 500              # TPE is slow
    python scripts/sampler_table.py --samplers gp --trials 200 --seeds 3     # needs torch, and is slower

``ours`` is NSGA-II with the steps near the front that a search takes; the others are Optuna's alone, every proposal
moved to the nearest legal plan. ``random`` is the strategy of that name, with repeats. CMA-ES stands in no row:
Optuna's takes one objective and no choices, and every problem here has two objectives or more. The figure is
``search.optimizer.front.hypervolume_share``.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Sequence

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from sampler_problems import TASKS, Task

from search.optimizer.front import hypervolume_share, non_dominated
from search.optimizer.sampler import LOCAL, LegalSampler, base_sampler
from search.optimizer.scoring import ABSENT
from search.optimizer.study import BATCH_WITHOUT_GENERATIONS, quiet
from search.optimizer.trials import Trials

CHECKED = (50, 100, 200, 500, 1000, 2000)  # trials
POPULATION = 50
SAMPLERS = ("random", "nsga2", "nsga3", "tpe", "gp", "ours")


def main() -> None:
    """Print a Markdown table a problem: a row a sampler, the median over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=["random", "nsga2", "nsga3", "ours"])
    parser.add_argument("--problems", nargs="+", choices=sorted(TASKS), default=list(TASKS))
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    for name in arguments.problems:
        task = TASKS[name]()
        checked = [n for n in CHECKED if n <= arguments.trials]
        print(f"\n{name}: {task.size}; {arguments.seeds} seeds\n")
        print(f"| sampler | {' | '.join(f'{n:,}' for n in checked)} | least | seconds |")
        print(f"|---|{'--:|' * (len(checked) + 2)}", flush=True)
        for sampler in arguments.samplers:
            found, spent = [], []
            for seed in range(arguments.seeds):
                shares, seconds = studied(task, sampler, arguments.trials, seed, checked)
                found.append(shares)
                spent.append(seconds)
            middle = [f"{statistics.median(column):.2%}" for column in zip(*found, strict=True)]
            least = min(shares[-1] for shares in found)
            print(f"| {sampler} | {' | '.join(middle)} | {least:.2%} | {statistics.median(spent):.1f} |", flush=True)


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
    costs, kept, number = np.zeros((0, objectives)), np.zeros(0, dtype=bool), np.zeros(0, dtype=np.int64)
    for first in range(0, trials, together):
        asked = [storage.ask(study, sampler.space) for _ in range(min(together, trials - first))]
        rows = [sampler.proposed.pop(trial.number) for trial in asked]
        found, over = task.told(places, rows)
        values = np.nan_to_num(found, nan=ABSENT, posinf=ABSENT, neginf=-ABSENT).tolist()
        for i, trial in enumerate(asked):
            storage.tell(study, trial, values[i], {limit: float(beyond[i]) for limit, beyond in over.items()}, {})
        costs, number = np.concatenate([costs, found]), np.concatenate([number, rows])
        kept = np.concatenate([kept, np.all(np.stack(list(over.values())) <= 1e-9, axis=0)])
        good = np.flatnonzero(kept)
        sampler.elite = np.unique(number[good[non_dominated(costs[good])]]).tolist()
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
