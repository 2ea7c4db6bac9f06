"""The Optuna study: a population is asked, scored in one vectorised call, and told."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages.journal import BaseJournalBackend

from costmodel.columns import column
from costmodel.scenario import Scenario
from search.base.progress import track
from search.inputs.schema import StrategyConfig
from search.optimizer.archive import Archive
from search.optimizer.front import Objectives, pareto_front
from search.optimizer.legal import Legal
from search.optimizer.sampler import LegalPlaces, LegalSampler, base_sampler
from search.optimizer.space import Space

ABSENT = 1e12  # stands for infinity
BATCH_WITHOUT_GENERATIONS = 16  # TPE learns after each telling; larger batches save time and cost knowledge


def run_study(
    scenario: Scenario, space: Space, legal: Legal, objectives: Objectives, strategy: StrategyConfig, name: str
) -> tuple[optuna.Study, Archive]:
    """``strategy.n_trials`` trials, each a legal plan with its limits as constraints. The same seed gives the same
    study. Trials run in memory; ``export_study`` writes them."""
    places = LegalPlaces(space, legal)
    sampler = LegalSampler(base_sampler(strategy.sampler, strategy.seed, strategy.population), places, strategy.seed)
    with quiet():
        study = optuna.create_study(
            study_name=name,
            directions=["maximize" if d == "max" else "minimize" for d in objectives.directions.values()],
            sampler=sampler,
        )
    name_metrics(study, objectives.names)
    archive = Archive(scenario, legal)
    together = BATCH_WITHOUT_GENERATIONS if strategy.sampler == "tpe" else strategy.population
    for start in track(range(0, strategy.n_trials, together), "Optuna"):
        trials = [study.ask(sampler.space) for _ in range(min(together, strategy.n_trials - start))]
        rows = archive.score(np.array([sampler.proposed.pop(t.number) for t in trials]))
        plans, scores = archive.contents()
        # A plan beyond its capacity has no latency; samplers compare numbers.
        values = np.stack([column(n, plans, scores)[rows] for n in objectives.names], axis=1)
        values = np.nan_to_num(values, nan=ABSENT, posinf=ABSENT, neginf=-ABSENT)
        violations = scores.violations[:, rows]
        for i, trial in enumerate(trials):
            for limit, violation in zip(scores.limits, violations[:, i], strict=True):
                trial.set_constraint(limit, float(violation))
            study.tell(trial, [float(v) for v in values[i]])
        costs = objectives.costs(plans, scores)
        front = pareto_front(costs, scores.feasible)
        sampler.elite = archive.places()[front]
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


class _JournalInMemory(BaseJournalBackend):
    """Collects journal records, so that a study is written in one go: a file is synced at every append."""

    def __init__(self) -> None:
        self.logs: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        return self.logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.logs.extend(logs)


def export_study(study: optuna.Study, path: Path) -> None:
    """Write the study as an Optuna journal: ``optuna-dashboard <path>`` opens it."""
    backend = _JournalInMemory()
    with quiet():
        storage = optuna.storages.JournalStorage(backend)
        copy = optuna.create_study(study_name=study.study_name, directions=study.directions, storage=storage)
    name_metrics(copy, study.metric_names or [])
    copy.add_trials(study.get_trials(deepcopy=False))
    lines = (json.dumps(log, separators=(",", ":")) for log in backend.logs)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
