"""Who scores which trial of a shared study.

Every worker runs the same study: the same seed proposes the same plans, block by block, once the block before is
known. So trial ``k`` is the same plan whoever scores it, and the storage only has to say who does, and what came out.
One worker opens a block: its trials are there, waiting, each with its number as ``SLOT``. Everybody takes a few (a
change of state that one of them wins), scores them, tells the storage, which takes one answer a trial, and reads what
the others told when the block is done. What a killed worker left is taken over once nothing has moved for
``PATIENCE_S``; if two open the same block then, the first trial of a slot counts and the other is void.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import distribution_to_json, json_to_distribution
from optuna.exceptions import DuplicatedStudyError, StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.base.code_version import code_version
from search.base.errors import InputError
from search.optimizer.shared.proxy import failed_call
from search.optimizer.shared.storage import KEY, first_line, open_storage

SHARE = 8  # trials that a worker takes at once
PATIENCE_S = 5.0  # without any change in the block, before the work of others is taken over
POLL_S = 0.02
ABOUT = "servefront"  # the study's attribute that says which question it is
SLOT = "servefront:trial"  # a trial's, its number in the study as one process would run it
CONSTRAINTS = "constraints"  # Optuna's, in one piece (optuna/study/_constrained_optimization.py, 5.0)

Answer = tuple[list[float], list[float]]  # objectives and constraints


@dataclass
class Ledger:
    """A study in a ``storage``; ``opens``: the first trial of the block that it is for this process to open."""

    storage: BaseStorage
    study_id: int
    opens: int | None

    @classmethod
    def join(cls, text: str, name: str, directions: Sequence[StudyDirection], asked: str) -> Ledger:
        """Make the study, or join it; ``InputError`` where it is another question's or another version's."""
        with _answering():
            storage = open_storage(text)
            try:
                study, made = optuna.create_study(study_name=name, directions=directions, storage=storage), True
            except DuplicatedStudyError:
                study, made = optuna.load_study(study_name=name, storage=storage), False
            found = cls(storage, study._study_id, 0 if made else None)
            found._check(name, {"code": code_version(), "asked": hashlib.sha256(asked.encode()).hexdigest()})
            return found

    def _check(self, name: str, mine: dict[str, str]) -> None:
        if self.opens is not None:
            self.storage.set_study_user_attr(self.study_id, ABOUT, mine)
            return
        patience = _Patience()
        while not (theirs := self.storage.get_study_user_attrs(self.study_id).get(ABOUT)):
            if patience.is_over(None):
                raise InputError(f"{KEY}: study {name!r} there is not servefront's; give another name or storage")
            time.sleep(POLL_S)
        if theirs.get("code") != mine["code"]:
            raise InputError(
                f"{KEY}: study {name!r} is of {theirs.get('code')}; this is {mine['code']}; give another name, or "
                "install the same"
            )
        if theirs.get("asked") != mine["asked"]:
            raise InputError(f"{KEY}: study {name!r} there has another configuration; give another name or storage")

    def close(self) -> None:
        """No connection stays open."""
        self.storage.remove_session()
        engine = getattr(getattr(self.storage, "_backend", None), "engine", None)
        if engine is not None:
            engine.dispose()
        close = getattr(self.storage, "close", None)
        if callable(close):
            close()

    def settle(self, block: Sequence[FrozenTrial], score: Callable[[list[int]], list[Answer]]) -> list[Answer]:
        """The answers to a ``block`` of proposed trials, whoever scores them; ``score`` takes places in the block."""
        patience, first = _Patience(), block[0].number
        with _answering():
            while True:
                there = self._there(block)
                absent = [i for i, trial in enumerate(there) if trial is None]
                found = [trial for trial in there if trial is not None]
                if not absent and all(trial.state.is_finished() for trial in found):
                    return [_answer(trial) for trial in found]
                impatient = patience.is_over([trial.state for trial in found])
                if absent and (self.opens == first or impatient):
                    self._open(block, absent)
                    continue
                mine = self._take(there, anybody=impatient)
                if 0 in mine:  # who has a block's first trial opens the next one
                    self.opens = first + len(block)
                if not mine:
                    time.sleep(POLL_S)
                for i, answer in zip(mine, score(mine) if mine else (), strict=True):
                    self._tell(there[i], answer)

    def _open(self, block: Sequence[FrozenTrial], absent: Sequence[int]) -> None:
        for i in absent:
            trial = block[i]
            plain = {n: json_to_distribution(distribution_to_json(d)) for n, d in trial.distributions.items()}
            attributes = {**trial.system_attrs, SLOT: trial.number}
            waiting = create_trial(
                state=TrialState.WAITING, params=trial.params, distributions=plain, system_attrs=attributes
            )
            self.storage.create_new_trial(self.study_id, waiting)

    def _there(self, block: Sequence[FrozenTrial]) -> list[FrozenTrial | None]:
        """The trial of each slot of a block, ``None`` where there is none yet."""
        first = block[0].number
        by_slot: list[FrozenTrial | None] = [None] * len(block)
        for trial in self.storage.get_all_trials(self.study_id, deepcopy=False):
            slot = trial.system_attrs.get(SLOT, -1) - first
            if not 0 <= slot < len(block) or trial.state == TrialState.FAIL:
                continue
            if trial.params != block[slot].params:  # arithmetic differs from one processor to another
                raise InputError(
                    f"{KEY}: trial {first + slot} there is another plan than the one proposed here: the study is of "
                    "a computer that calculates otherwise; give another name or storage"
                )
            if by_slot[slot] is None:
                by_slot[slot] = trial
            elif trial.state == TrialState.WAITING:
                self._set(trial._trial_id, TrialState.FAIL)
        return by_slot

    def _take(self, there: Sequence[FrozenTrial | None], *, anybody: bool) -> list[int]:
        """Places of a few trials that nobody has; with ``anybody`` of those too that others have."""
        mine: list[int] = []
        for i, trial in enumerate(there):
            if len(mine) == SHARE:
                break
            if trial is None or trial.state.is_finished():
                continue
            won = trial.state == TrialState.WAITING and self._set(trial._trial_id, TrialState.RUNNING)
            if won or (anybody and trial.state == TrialState.RUNNING):
                mine.append(i)
        return mine

    def _set(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Whether the trial is in ``state`` by this call."""
        try:
            return self.storage.set_trial_state_values(trial_id, state, values)
        except UpdateFinishedTrialError:  # another had more patience, and was told the same
            return False

    def _tell(self, trial: FrozenTrial | None, answer: Answer) -> None:
        assert trial is not None
        values, constraints = answer
        try:
            self.storage.set_trial_system_attr(trial._trial_id, CONSTRAINTS, constraints)
        except UpdateFinishedTrialError:
            return
        self._set(trial._trial_id, TrialState.COMPLETE, values)


class _Patience:
    """Over when nothing has changed for a while."""

    def __init__(self) -> None:
        self._seen: Any = None
        self._since = time.monotonic()
        self._long = PATIENCE_S * random.uniform(1.0, 1.5)  # not all at once

    def is_over(self, seen: Any) -> bool:
        now = time.monotonic()
        if seen != self._seen:
            self._seen, self._since = seen, now
        if now - self._since < self._long:
            return False
        self._since = now
        return True


def _answer(trial: FrozenTrial) -> Answer:
    return list(trial.values), list(trial.system_attrs[CONSTRAINTS])


@contextmanager
def _answering() -> Iterator[None]:
    """A storage that does not answer, or a file that cannot be written, is one line."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except Exception as error:
        if isinstance(error, OSError):  # a journal's disk is full, say
            line: str | None = error.strerror or str(error)
        elif isinstance(error, StorageInternalError | SQLAlchemyError):
            line = first_line(error)
        else:
            line = failed_call(error)
        if line is None:
            raise
        raise InputError(f"{KEY}: {line}; what was told is there: the same command goes on with it") from error
