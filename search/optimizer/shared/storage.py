"""The storage that ``strategy.storage`` names: a journal file between processes, a database between machines,
or a proxy before one."""

from __future__ import annotations

import fcntl
import json
import os
import time
import warnings
from pathlib import Path
from typing import Any, BinaryIO

from optuna.storages import BaseStorage, JournalStorage, RDBStorage, get_storage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock, get_lock_file

from search.base.errors import InputError
from search.base.whole_file import usable_out
from search.optimizer.shared.proxy import SCHEME, open_proxy

KEY = "strategy.storage"
ANSWER_S = 5  # within which a database takes a connection
TRIES = 5  # to make a database's tables: several workers that begin together get into each other's way


def open_storage(text: str) -> BaseStorage:
    """``InputError`` in one line for what cannot be opened."""
    if text.startswith(SCHEME):
        return open_proxy(KEY, text, ANSWER_S)
    return _database(text) if "://" in text else _journal(Path(text))


def _journal(path: Path) -> BaseStorage:
    usable_out(KEY, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # of values that Optuna would not have written
            storage = JournalStorage(WholeJournal(str(path)))
        with path.open("rb") as file:
            if end := _line_begin(file, file.seek(0, os.SEEK_END)):
                # Optuna forgives a last record that is spoilt, but not once another one follows it.
                file.seek(_line_begin(file, end - 1))
                json.loads(file.readline())
        return storage
    except (OSError, ValueError, KeyError, TypeError, UserWarning) as error:
        line = getattr(error, "strerror", None) or f"holds no Optuna journal: {error}"
        raise InputError(f"{KEY} {path}: {line}") from error


class _Lock(BaseJournalFileLock):
    """On the journal itself; it ends with its process, so that a killed worker keeps nobody waiting."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._held: int | None = None

    def acquire(self) -> bool:
        self._held = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(self._held, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        assert self._held is not None
        os.close(self._held)
        self._held = None


def _line_begin(file: BinaryIO, at: int) -> int:
    """Where the line begins that ends at ``at``; ``at`` itself behind a newline."""
    while at and file.seek(at - 1) >= 0 and file.read(1) != b"\n":
        at -= 1
    return at


class WholeJournal(JournalFileBackend):
    """Optuna's file, without the half of a record that a writer left who was killed in it."""

    def __init__(self, path: str) -> None:
        super().__init__(path, _Lock(path))
        self._at = path

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        with get_lock_file(self._lock), open(self._at, "r+b") as file:
            end = file.seek(0, os.SEEK_END)
            if (whole := _line_begin(file, end)) < end:
                file.truncate(whole)
        super().append_logs(logs)


def _database(text: str) -> BaseStorage:
    import sqlalchemy
    from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError

    try:
        url = sqlalchemy.make_url(text)
    except (ArgumentError, ValueError) as error:
        raise InputError(f"{KEY}: {text.partition('://')[0]}://...: is no URL of a database: {error}") from error
    shown = url.render_as_string(hide_password=True)
    if url.password is not None:
        raise InputError(
            f"{KEY}: {shown} has a password, which the run's files would show; give PGPASSWORD or ~/.pgpass"
        )
    wait = {"connect_args": {"connect_timeout": ANSWER_S}} if url.get_backend_name() == "postgresql" else {}
    for again in range(TRIES, 0, -1):
        try:
            return get_storage(RDBStorage(text, engine_kwargs=wait))
        except OperationalError as error:
            raise InputError(f"{KEY}: {shown}: {first_line(error)}") from error
        except ImportError as error:
            how = ": pip install 'servefront[postgres]'" if wait else ""
            raise InputError(f"{KEY}: {shown} needs a driver{how} ({error})") from error
        except (SQLAlchemyError, RuntimeError) as error:
            if again == 1 or isinstance(error, ArgumentError):
                raise InputError(f"{KEY}: {shown}: {first_line(error)}") from error
            time.sleep(0.2)
    raise AssertionError("unreachable")  # pragma: no cover


def first_line(error: BaseException) -> str:
    """What a database's driver said, without the statement and the links around it."""
    cause: Any = error
    while cause.__cause__ is not None or getattr(cause, "orig", None) is not None:
        cause = getattr(cause, "orig", None) or cause.__cause__
    return " ".join(str(cause).split())[:300]
