"""What a study's trials come to: scored here, or by whoever works on the same study."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import optuna
from optuna.trial import FrozenTrial

from costmodel.columns import column
from costmodel.evaluate import evaluate
from costmodel.plans import Array, IntArray, Plans
from costmodel.scores import Scores
from search.optimizer.archive import Archive
from search.optimizer.front import Objectives, pareto_front
from search.optimizer.screen import Known
from search.optimizer.shared.ledger import Answer, Ledger
from search.optimizer.trial_notes import Notes, notes

Noted = tuple[list[float], list[float], Notes]
ABSENT = 1e12  # stands for infinity


class Alone:
    """Every plan that is asked for, scored once in this process."""

    def __init__(self, archive: Archive, objectives: Objectives) -> None:
        self.archive, self.objectives = archive, objectives
        self.limits: tuple[str, ...] = ()

    def answers(self, trials: Sequence[FrozenTrial], places: IntArray) -> list[Noted]:
        """Objectives, constraints and notes of the plans at ``places``."""
        rows = self.archive.score(places)
        plans, scores = self.archive.contents()
        self.limits = scores.limits
        answers = told(self.objectives, plans, scores, rows)
        return [(*answer, noted) for answer, noted in zip(answers, noted_of(self.archive, rows), strict=True)]

    def known(self) -> Known:
        """Every plan so far."""
        plans, scores = self.archive.contents()
        costs = self.objectives.costs(plans, scores)
        return Known(self.archive.places(), costs, scores.violations.T, pareto_front(costs, scores.feasible))

    def done(self, study: optuna.Study) -> None:
        """The archive holds every trial."""

    def close(self) -> None:
        """Nothing is open."""


class Shared:
    """Each trial scored by the worker who took it; what the others found comes from the ``ledger``."""

    def __init__(self, archive: Archive, objectives: Objectives, ledger: Ledger) -> None:
        self.archive, self.objectives, self.ledger = archive, objectives, ledger
        self._known: dict[int, Answer] = {}  # by place
        self._asked: list[int] = []
        self.limits = evaluate(archive.scenario, archive.legal.at(np.zeros(1, dtype=np.int64))).limits
        directions = objectives.directions.values()
        self._signs = np.array([-1.0 if direction == "max" else 1.0 for direction in directions])

    def answers(self, trials: Sequence[FrozenTrial], places: IntArray) -> list[Noted]:
        def score(some: list[int]) -> list[Answer]:
            plans = self.archive.legal.at(places[some])
            scores = evaluate(self.archive.scenario, plans)
            return told(self.objectives, plans, scores, np.arange(len(some)))

        found = self.ledger.settle(trials, score)
        self._asked += places.tolist()
        for place, answer in zip(places.tolist(), found, strict=True):
            self._known.setdefault(place, answer)
        return [(*answer, {}) for answer in found]

    def known(self) -> Known:
        costs: Array = np.array([values for values, _ in self._known.values()]) * self._signs
        costs[np.abs(costs) >= ABSENT] = np.inf
        excess = np.array([missed for _, missed in self._known.values()])
        places = np.array(list(self._known), dtype=np.int64)
        return Known(places, costs, excess, pareto_front(costs, np.all(excess <= 0.0, axis=1)))

    def done(self, study: optuna.Study) -> None:
        """Documents and notes show figures that a storage does not have."""
        rows = self.archive.score(np.array(self._asked))
        for trial, noted in zip(study.get_trials(deepcopy=False), noted_of(self.archive, rows), strict=True):
            trial.user_attrs = dict(noted)

    def close(self) -> None:
        self.ledger.close()


def noted_of(archive: Archive, rows: IntArray) -> list[Notes]:
    """What trials say of the plans in some rows."""
    plans, scores = archive.contents()
    return notes(plans, scores, archive.legal.engines[:, archive.places()], rows)


def told(objectives: Objectives, plans: Plans, scores: Scores, rows: IntArray) -> list[Answer]:
    """What Optuna is told of some rows. A plan beyond its capacity has no latency; samplers compare numbers."""
    found = np.stack([column(n, plans, scores)[rows] for n in objectives.names], axis=1)
    values = np.nan_to_num(found, nan=ABSENT, posinf=ABSENT, neginf=-ABSENT).tolist()
    return list(zip(values, scores.violations[:, rows].T.tolist(), strict=True))
