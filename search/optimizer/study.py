"""The Optuna study: a population is asked, scored in one vectorised call, and told."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning

from costmodel.scenario import Scenario
from search.base import interrupt
from search.base.progress import track
from search.inputs.schema import StrategyConfig
from search.optimizer.archive import Archive
from search.optimizer.front import Objectives
from search.optimizer.legal import Legal
from search.optimizer.sampler import LegalPlaces, LegalSampler, base_sampler
from search.optimizer.scoring import Alone, Shared
from search.optimizer.shared.ledger import Ledger
from search.optimizer.space import Space
from search.optimizer.trials import Trials

BATCH_WITHOUT_GENERATIONS = 16  # TPE learns after each telling; larger batches save time and cost knowledge


def run_study(
    scenario: Scenario,
    space: Space,
    legal: Legal,
    objectives: Objectives,
    strategy: StrategyConfig,
    name: str,
    asked: str = "",
) -> tuple[optuna.Study, Archive]:
    """``strategy.n_trials`` trials, each a legal plan with its limits as constraints. The same seed gives the same
    study, also where ``strategy.storage`` shares it. Trials run in memory; ``search.optimizer.journal`` writes them.
    ``asked``: what a study must be about to be joined."""
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
    scorer: Alone | Shared = Alone(archive, objectives)
    if strategy.storage is not None:
        one = f"{name} on {scenario.engine.name}"
        with quiet():
            ledger = Ledger.join(strategy.storage, one, study.directions, asked)
        name_metrics(optuna.load_study(study_name=one, storage=ledger.storage), objectives.names)
        scorer = Shared(archive, objectives, ledger)
    together = BATCH_WITHOUT_GENERATIONS if strategy.sampler == "tpe" else strategy.population
    with closing(scorer):
        for start in track(range(0, strategy.n_trials, together), "Optuna"):
            if interrupt.asked() and start:
                break
            trials = [storage.ask(study, sampler.space) for _ in range(min(together, strategy.n_trials - start))]
            proposed = np.array([sampler.proposed.pop(t.number) for t in trials])
            for trial, (values, missed, noted) in zip(trials, scorer.answers(trials, proposed), strict=True):
                storage.tell(study, trial, values, dict(zip(scorer.limits, missed, strict=True)), noted)
            sampler.learn(scorer.known(), together)
        scorer.done(study)
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
