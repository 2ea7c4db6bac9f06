"""The Optuna study: a population is asked, scored in one vectorised call, and told."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning

from costmodel.columns import column
from costmodel.scenario import Scenario
from search.base.progress import track
from search.inputs.schema import StrategyConfig
from search.optimizer.archive import Archive
from search.optimizer.front import Objectives, pareto_front
from search.optimizer.legal import Legal
from search.optimizer.sampler import LegalPlaces, LegalSampler, base_sampler
from search.optimizer.space import Space
from search.optimizer.trial_notes import notes
from search.optimizer.trials import Trials

ABSENT = 1e12  # stands for infinity
BATCH_WITHOUT_GENERATIONS = 16  # TPE learns after each telling; larger batches save time and cost knowledge


def run_study(
    scenario: Scenario, space: Space, legal: Legal, objectives: Objectives, strategy: StrategyConfig, name: str
) -> tuple[optuna.Study, Archive]:
    """``strategy.n_trials`` trials, each a legal plan with its limits as constraints. The same seed gives the same
    study. Trials run in memory; ``search.optimizer.journal`` writes them."""
    places = LegalPlaces(space, legal)
    sampler = LegalSampler(base_sampler(strategy.sampler, strategy.seed, strategy.population), places, strategy.seed)
    with quiet():
        study = optuna.create_study(
            study_name=name,
            directions=["maximize" if d == "max" else "minimize" for d in objectives.directions.values()],
            sampler=sampler,
            storage=(storage := Trials()),
        )
    name_metrics(study, objectives.names)
    archive = Archive(scenario, legal)
    together = BATCH_WITHOUT_GENERATIONS if strategy.sampler == "tpe" else strategy.population
    for start in track(range(0, strategy.n_trials, together), "Optuna"):
        trials = [storage.ask(study, sampler.space) for _ in range(min(together, strategy.n_trials - start))]
        rows = archive.score(np.array([sampler.proposed.pop(t.number) for t in trials]))
        plans, scores = archive.contents()
        # A plan beyond its capacity has no latency; samplers compare numbers.
        found = np.stack([column(n, plans, scores)[rows] for n in objectives.names], axis=1)
        values = np.nan_to_num(found, nan=ABSENT, posinf=ABSENT, neginf=-ABSENT).tolist()
        violations = scores.violations[:, rows].T.tolist()
        said = notes(plans, scores, legal.engines[:, archive.places()], rows)
        for trial, told, missed, noted in zip(trials, values, violations, said, strict=True):
            storage.tell(study, trial, told, dict(zip(scores.limits, missed, strict=True)), noted)
        costs = objectives.costs(plans, scores)
        front = pareto_front(costs, scores.feasible)
        sampler.elite = archive.places()[front].tolist()
    return study, archive


def name_metrics(study: optuna.Study, names: list[str]) -> None:
    """Name the objectives, so that a dashboard shows them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # since 3.2; stable enough for labels
        study.set_metric_names(names)


@contextmanager
def quiet() -> Iterator[None]:
    """Optuna announces every study on standard error; the run says what matters itself."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
