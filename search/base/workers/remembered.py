"""Results of finished pieces in a folder, so that a search that was killed goes on where it was.

Only arrays are written, and read as nothing else; they count where the same code works on the same question.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from search.base.code_version import code_version
from search.base.whole_file import put, put_text
from search.base.workers.local import Array, Hired, Workers

P = TypeVar("P")
R = TypeVar("R")
FOLDER = ".progress"
ABOUT = "about.json"
EVERY_S = 5.0  # what a killed search loses at most, and what a short one never writes


class Remembered(Hired):
    """``workers`` whose ``kept`` results are in ``folder``, for the question ``asked``."""

    def __init__(self, workers: Workers, folder: Path, asked: str) -> None:
        super().__init__(workers.count)
        self._workers, self._folder = workers, folder / FOLDER
        self._asked, self._turn, self._writes = asked, 0, True
        self._unwritten: list[tuple[int, int, list[tuple[Array, ...]]]] = []  # turn, first piece, results
        self._written: float | None = None

    def map(self, task: Callable[[P], R], pieces: Iterable[P], many: int, label: str) -> Iterator[R]:
        return self._workers.map(task, pieces, many, label)

    def worth(self, plans: int) -> Workers:
        return self._workers.worth(plans)

    def expect(self, plans: int) -> None:
        self._workers.expect(plans)

    def kept(
        self, task: Callable[[P], tuple[Array, ...]], pieces: Iterable[P], many: int, label: str
    ) -> Iterator[tuple[Array, ...]]:
        turn, self._turn = self._turn, self._turn + 1  # the same search asks in the same order
        left, first = iter(pieces), 0
        for result in self._before(turn):
            next(left)
            first += 1
            yield result
        fresh = self._begin(turn, first)
        for result in self._workers.map(task, left, many - first, label):
            fresh.append(result)
            if time.monotonic() - (self._written or 0.0) > EVERY_S:
                first += len(fresh)
                self._write()
                fresh = self._begin(turn, first)
            yield result
        if first + len(fresh) < many:  # somebody asked to end
            self._write()

    def _begin(self, turn: int, first: int) -> list[tuple[Array, ...]]:
        """Where results of a turn are to be put, from a piece on."""
        if self._written is None:
            self._written = time.monotonic()
        self._unwritten.append((turn, first, []))
        return self._unwritten[-1][2]

    def _write(self) -> None:
        """What there is since it was last done, also of turns that were over sooner."""
        for turn, first, results in self._unwritten:
            self._put(turn, first, results)
        self._unwritten, self._written = [], time.monotonic()

    def _put(self, turn: int, first: int, results: list[tuple[Array, ...]]) -> None:
        if not results or not self._writes:
            return
        arrays = {f"{i}_{j}": array for i, result in enumerate(results) for j, array in enumerate(result)}
        try:
            if not (self._folder / ABOUT).exists():
                self._folder.mkdir(parents=True, exist_ok=True)
                put_text(self._folder / ABOUT, json.dumps(self._about()) + "\n")
            put(self._folder / f"{turn}-{first}-{len(results)}.npz", lambda path: _save(path, arrays))
        except OSError as error:  # a full disk, say: the search itself can go on
            self._writes = False
            print(
                f"warning: {self._folder}: {error.strerror or error}: a killed search would start again",
                file=sys.stderr,
            )

    def _about(self) -> dict[str, str]:
        return {"code": code_version(), "asked": self._asked}

    def _before(self, turn: int) -> Iterator[tuple[Array, ...]]:
        """What an earlier process left of this turn, from its first piece on."""
        if not self._folder.is_dir():
            return
        if self._left_by() != self._about():
            if turn == 0:
                if (self._folder / ABOUT).exists():  # else it was killed before it left anything
                    print(
                        f"warning: {self._folder}: was left by another version or another search; starting again",
                        file=sys.stderr,
                    )
                shutil.rmtree(self._folder, ignore_errors=True)
            return
        first = 0
        while found := sorted(self._folder.glob(f"{turn}-{first}-*.npz")):
            results = _load(found[0])
            if not results:
                return
            yield from results
            first += len(results)

    def _left_by(self) -> object:
        try:
            return json.loads((self._folder / ABOUT).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def close(self) -> None:
        self._workers.close()


def _save(path: Path, arrays: dict[str, Array]) -> None:
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _load(path: Path) -> list[tuple[Array, ...]]:
    """The results of a file; none where it is not whole."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            by_result: dict[int, list[Array]] = {}
            for name in arrays.files:
                by_result.setdefault(int(name.partition("_")[0]), []).append(arrays[name])
    except (OSError, ValueError, zipfile.BadZipFile):
        return []
    return [tuple(found) for _, found in sorted(by_result.items())]


def forget(folder: Path) -> None:
    """A search that is done needs none of it."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
