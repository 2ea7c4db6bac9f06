"""Who scores which trial of a shared study.

Every worker runs the same study: the same seed proposes the same plans, block by block, once the block before is known.
So trial ``k`` is the same plan whoever scores it, and the storage only has to say who does, and what came out. All
trials are there from the start, waiting. A worker takes a few of a block (a change of state that one of them wins),
scores them, tells the storage (which takes one answer a trial) and, when the block is done, reads what the others told.
What a killed worker had taken is taken over once nothing has moved for ``PATIENCE_S``.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError, StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.base.code_version import code_version
from search.base.errors import InputError
from search.optimizer.shared.storage import KEY, first_line, open_storage
from search.optimizer.trials import CONSTRAINT

SHARE = 8  # trials that a worker takes at once
PATIENCE_S = 5.0  # without any change in the block, before trials of others are taken over
POLL_S = 0.02
ABOUT = "servefront"  # the study's attribute that says which question it is

Answer = tuple[list[float], dict[str, float]]  # objectives, and constraints by name


@dataclass(frozen=True)
class Ledger:
    """``wanted`` trials of a study in a ``storage``."""

    storage: BaseStorage
    study_id: int
    wanted: int
    made: bool  # whether this process made the study

    @classmethod
    def join(cls, text: str, name: str, directions: Sequence[StudyDirection], wanted: int, asked: str) -> Ledger:
        """Make the study, or join it; ``InputError`` where it is another question's or another version's."""
        with _answering():
            storage = open_storage(text)
            try:
                study, made = optuna.create_study(study_name=name, directions=directions, storage=storage), True
            except DuplicatedStudyError:
                study, made = optuna.load_study(study_name=name, storage=storage), False
            found = cls(storage, study._study_id, wanted, made)
            found._check(name, {"code": code_version(), "asked": hashlib.sha256(asked.encode()).hexdigest()})
            if made:
                found._open_up()
            return found

    def _check(self, name: str, mine: dict[str, str]) -> None:
        if self.made:
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

    def _open_up(self) -> None:
        """Trials up to ``wanted``; of two that do so at once, one may make some too many: those are void."""
        while self.storage.get_n_trials(self.study_id) < self.wanted:
            self.storage.create_new_trial(self.study_id, create_trial(state=TrialState.WAITING))
        for extra in self._trials()[self.wanted :]:
            if not extra.state.is_finished():
                self.storage.set_trial_state_values(extra._trial_id, TrialState.FAIL)

    def _trials(self) -> list[FrozenTrial]:
        return self.storage.get_all_trials(self.study_id, deepcopy=False)

    def settle(self, block: Sequence[FrozenTrial], score: Callable[[list[int]], list[Answer]]) -> list[Answer]:
        """The answers to a ``block`` of proposed trials, whoever scores them; ``score`` takes places in the block."""
        first, patience = block[0].number, _Patience()
        with _answering():
            while True:
                there = self._trials()[first : first + len(block)]
                open_ = [i for i, trial in enumerate(there) if not trial.state.is_finished()]
                if len(there) == len(block) and not open_:
                    return [_answer(trial) for trial in there]
                mine = self._take(there, open_)
                if not mine and patience.is_over([trial.state for trial in there]):
                    if len(there) < len(block):  # who made the study is gone
                        self._open_up()
                    mine = open_[:SHARE]
                if mine:
                    for i, answer in zip(mine, score(mine), strict=True):
                        self._tell(there[i]._trial_id, block[i], answer)
                else:
                    time.sleep(POLL_S)

    def _take(self, there: Sequence[FrozenTrial], open_: Sequence[int]) -> list[int]:
        mine: list[int] = []
        for i in open_:
            if len(mine) == SHARE:
                break
            if there[i].state == TrialState.WAITING and self._took(there[i]._trial_id):
                mine.append(i)
        return mine

    def _took(self, trial_id: int) -> bool:
        try:
            return self.storage.set_trial_state_values(trial_id, TrialState.RUNNING)
        except UpdateFinishedTrialError:
            return False

    def _tell(self, trial_id: int, proposed: FrozenTrial, answer: Answer) -> None:
        values, constraints = answer
        attributes = {**proposed.system_attrs, **{CONSTRAINT + name: v for name, v in constraints.items()}}
        try:
            for name, distribution in proposed.distributions.items():
                inside = distribution.to_internal_repr(proposed.params[name])
                self.storage.set_trial_param(trial_id, name, inside, distribution)
            for key, value in attributes.items():
                self.storage.set_trial_system_attr(trial_id, key, value)
            self.storage.set_trial_state_values(trial_id, TrialState.COMPLETE, values)
        except UpdateFinishedTrialError:  # another had more patience, and was told the same
            return


class _Patience:
    """Over when nothing has changed for a while."""

    def __init__(self) -> None:
        self._seen: Any = None
        self._since = time.monotonic()

    def is_over(self, seen: Any) -> bool:
        now = time.monotonic()
        if seen != self._seen:
            self._seen, self._since = seen, now
        if now - self._since < PATIENCE_S:
            return False
        self._since = now
        return True


def _answer(trial: FrozenTrial) -> Answer:
    if trial.values is None:
        raise InputError(f"{KEY}: trial {trial.number} there failed; give another name or storage")
    constraints = {k.removeprefix(CONSTRAINT): v for k, v in trial.system_attrs.items() if k.startswith(CONSTRAINT)}
    return list(trial.values), constraints


@contextmanager
def _answering() -> Iterator[None]:
    """A storage that does not answer, or a file that cannot be written, is one line."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        raise InputError(
            f"{KEY}: {first_line(error)}; what was told is there: the same command goes on with it"
        ) from error
