"""Optuna's samplers and random search against the exact front: share of the exact hypervolume by sampler.

    python scripts/sampler_table.py                     # NSGA-II, NSGA-III, random: a minute
    python scripts/sampler_table.py --samplers tpe      # TPE is slow at 2,000 trials

Random search stands here twice: ``random`` is the strategy of that name, which draws with repeats; ``random, no
repeats`` draws distinct legal plans uniformly. The figure is ``search.optimizer.front.hypervolume_share``.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace

import numpy as np
from hydra import compose, initialize_config_dir

from costmodel.evaluate import evaluate
from search.base.paths import conf_dir
from search.inputs.config import read_model, read_scenario
from search.inputs.typed import typed
from search.optimizer.front import Objectives, hypervolume_share, pareto_front
from search.optimizer.legal import legal_plans
from search.optimizer.rules.facts import facts_of
from search.optimizer.space import Space
from search.optimizer.study import run_study

WITHOUT_REPEATS = "random, no repeats"


def main() -> None:
    """Print a Markdown table: a row a sampler, shares in per cent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samplers", nargs="+", default=["nsga2", "nsga3", "random", WITHOUT_REPEATS])
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("overrides", nargs="*", default=["+experiment=qwen3_235b", "space=fine_batch"])
    arguments = parser.parse_args()

    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = typed(compose("config", arguments.overrides))
    scenario = read_scenario(config, read_model(config.model).architecture)
    space = Space.from_config(vars(config.space))
    objectives = Objectives.from_config("objective.columns", config.objective.columns)
    legal = legal_plans(space, facts_of(scenario), config.engine.name)
    scores = evaluate(scenario, legal.plans)
    costs = objectives.costs(legal.plans, scores)
    exact = costs[pareto_front(costs, scores.feasible)]
    print(f"{len(legal):,} legal plans, {int(scores.feasible.sum()):,} feasible, {len(exact):,} on the front;")
    print(f"{arguments.trials:,} trials, {arguments.seeds} seeds\n")
    print("| sampler | median | least | seconds a search |\n|---|--:|--:|--:|")
    for sampler in arguments.samplers:
        shares, start = [], time.perf_counter()
        for seed in range(arguments.seeds):
            if sampler == WITHOUT_REPEATS:
                rng = np.random.default_rng(seed)
                rows = rng.choice(len(legal), size=min(arguments.trials, len(legal)), replace=False)
                shares.append(hypervolume_share(costs[rows][scores.feasible[rows]], exact))
                continue
            strategy = replace(config.strategy, sampler=sampler, n_trials=arguments.trials, seed=seed)
            _, archive = run_study(scenario, space, legal, objectives, strategy, sampler)
            plans, found = archive.contents()
            shares.append(hypervolume_share(objectives.costs(plans, found)[found.feasible], exact))
        seconds = (time.perf_counter() - start) / arguments.seeds
        print(f"| {sampler} | {statistics.median(shares):.2%} | {min(shares):.2%} | {seconds:.2f} |", flush=True)


if __name__ == "__main__":
    main()
