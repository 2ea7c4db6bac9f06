"""A finished study as an Optuna journal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.storages.journal._storage import JournalOperation
from optuna.trial import FrozenTrial

from search.optimizer.study import name_metrics, quiet
from search.optimizer.trials import CONSTRAINT


class _JournalInMemory(BaseJournalBackend):
    """Collects journal records, so that a study is written in one go: a file is synced at every append."""

    def __init__(self) -> None:
        self.logs: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        return self.logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.logs.extend(logs)


class _Journal(JournalStorage):
    """Optuna's, which reads no trial back that it has just written, and writes out a distribution once."""

    def __init__(self, backend: BaseJournalBackend) -> None:
        super().__init__(backend)
        self._texts: dict[int, str] = {}

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """The record of optuna/storages/journal/_storage.py, 5.0, for a finished trial."""
        trial = template_trial
        assert trial is not None
        several = trial.values is not None and len(trial.values) > 1
        record = {
            "study_id": study_id,
            "datetime_start": _universal(trial.datetime_start),
            "state": trial.state,
            "value": None if several else trial.value,
            "values": trial.values if several else None,
            "datetime_complete": _universal(trial.datetime_complete),
            "distributions": {name: self._text(d) for name, d in trial.distributions.items()},
            "params": {name: trial.distributions[name].to_internal_repr(v) for name, v in trial.params.items()},
            "user_attrs": trial.user_attrs,
            "system_attrs": with_list(trial.system_attrs),
            "intermediate_values": trial.intermediate_values,
        }
        self._write_log(JournalOperation.CREATE_TRIAL, record)
        return trial.number

    def _text(self, distribution: BaseDistribution) -> str:
        if id(distribution) not in self._texts:
            self._texts[id(distribution)] = distribution_to_json(distribution)
        return self._texts[id(distribution)]


def with_list(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """A trial's system attributes with its constraints as a list too, as Optuna before 5 had them: the form that
    optuna-dashboard 0.21 reads (``CONSTRAINTS_KEY`` in optuna_dashboard/_serializer.py)."""
    missed = [value for name, value in attributes.items() if name.startswith(CONSTRAINT)]
    return {**attributes, CONSTRAINT.rstrip(":"): missed}


def _universal(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="microseconds")


def export_study(study: optuna.Study, path: Path) -> None:
    """Write the study as an Optuna journal: ``optuna-dashboard <path>`` opens it."""
    backend = _JournalInMemory()
    with quiet():
        copy = optuna.create_study(study_name=study.study_name, directions=study.directions, storage=_Journal(backend))
    name_metrics(copy, study.metric_names or [])
    copy.add_trials(study.get_trials(deepcopy=False))
    lines = (json.dumps(log, separators=(",", ":")) for log in backend.logs)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
