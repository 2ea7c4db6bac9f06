"""Trials of a study of one process, kept in memory and written in one piece.

``Study.ask`` and ``Study.tell`` copy a trial's record for each parameter and each constraint and once more to hand it
out; that is half of a study whose plans are scored in microseconds. What ``Trials`` leaves behind is the same, record
by record: Optuna's samplers read it and ``export_study`` writes it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from datetime import datetime

from optuna.distributions import BaseDistribution
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

CONSTRAINT = "constraints:"  # as optuna/trial/_trial.py set_constraint names them, 5.0


class Trials(InMemoryStorage):
    """Optuna's storage in memory; ``study`` of it asks and tells."""

    def ask(self, study: Study, space: dict[str, BaseDistribution]) -> FrozenTrial:
        """A running trial with parameters for all of ``space``, proposed by the study's sampler."""
        study._thread_local.cached_all_trials = None
        number = self.create_new_trial(study._study_id)
        study.sampler.before_trial(study, self.get_trial(number))
        params = study.sampler.sample_relative(study, self.get_trial(number), space)
        trial = copy.copy(self.get_trial(number))  # the sampler may have marked it
        trial.params, trial.distributions = {name: params[name] for name in space}, dict(space)
        self._set_trial(number, trial)
        return trial

    def tell(
        self, study: Study, trial: FrozenTrial, values: Sequence[float], constraints: Mapping[str, float],
        notes: Mapping[str, str | float | bool],
    ) -> None:  # fmt: skip
        """Finish it with the ``values`` of the objectives; a constraint above 0 is broken; with ``notes``."""
        study._thread_local.cached_all_trials = None
        study.sampler.after_trial(study, trial, TrialState.COMPLETE, values)
        done = copy.copy(trial)
        done.system_attrs = {**trial.system_attrs, **{CONSTRAINT + name: v for name, v in constraints.items()}}
        done.user_attrs = dict(notes)
        done.state, done.values, done.datetime_complete = TrialState.COMPLETE, list(values), datetime.now()
        self._set_trial(trial._trial_id, done)
