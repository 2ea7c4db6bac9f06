"""Two of a command at once, into one place: one does it and the other is told, or both leave the same whole files.

``SERVEFRONT_FAULTS=10 python -m pytest tests/faults/test_twins.py`` lets all of them meet at ten moments."""

from __future__ import annotations

import io
import os
import random
import shutil
import time
import warnings
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from real import COMMANDS, Given, beside, files, given, place

from search import cli

COUNT = int(os.environ.get("SERVEFRONT_FAULTS", "1"))
AT_ONCE = ("search", "split", "sweep", "fleet", "simulate", "calibrate", "validate", "document")
RESUMED = ("search", "sweep")
CLAIMED = ("another search writes into", "already holds a run", "exists; give a file that does not")
NOTHING_YET = ("holds nothing to go on with", *CLAIMED)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Given:
    return given(tmp_path_factory.mktemp("twins") / "given")


class Twin:
    """A copy of this process that runs a command: starting another takes longer than the work."""

    def __init__(self, words: Sequence[str], said: Path, after: float = 0.0) -> None:
        self.said = said
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which a copy lacks: only BLAS's are there
            self.pid = os.fork()
        if not self.pid:
            try:
                time.sleep(after)
                with said.open("w") as file, redirect_stderr(file), redirect_stdout(io.StringIO()):
                    code = cli.main(list(words))
                os._exit(code)
            finally:
                os._exit(99)

    def ended(self) -> tuple[int, str]:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]), self.said.read_text()


def whole(name: str, ready: Given, folder: Path) -> tuple[dict[str, bytes], float]:
    """What one alone leaves, and its seconds."""
    there, begun = place(COMMANDS[name], folder), time.monotonic()
    assert Twin(COMMANDS[name].words(ready, there), folder / "said").ended() == (0, "")
    return files(there), time.monotonic() - begun


def refused(code: int, said: str, why: Sequence[str]) -> bool:
    return code == 2 and said.count("\n") == 1 and any(words in said for words in why)


@pytest.mark.parametrize("name", AT_ONCE if COUNT > 1 else AT_ONCE[:1])
def test_two_at_once(name: str, ready: Given, tmp_path: Path) -> None:
    expected, seconds = whole(name, ready, tmp_path / "alone")
    for nth in range(COUNT):
        there = place(COMMANDS[name], tmp_path / "both")
        words = COMMANDS[name].words(ready, there)
        after = random.Random(f"{name} {nth}").uniform(0.0, 0.5) * seconds
        twins = Twin(words, tmp_path / "first"), Twin(words, tmp_path / "second", after)
        ended = sorted(twin.ended() for twin in twins)
        assert ended[0] == (0, ""), ended
        code, said = ended[1]
        assert (code, said) == (0, "") or (code == 2 and said.count("\n") == 1 and any(c in said for c in CLAIMED)), (
            ended
        )
        assert files(there) == expected
        assert beside(there) == []
        shutil.rmtree(tmp_path / "both")


@pytest.mark.parametrize("name", RESUMED if COUNT > 1 else RESUMED[:1])
def test_one_that_runs_is_not_resumed(name: str, ready: Given, tmp_path: Path) -> None:
    expected, seconds = whole(name, ready, tmp_path / "alone")
    for nth in range(COUNT):
        there = place(COMMANDS[name], tmp_path / "both")
        first = Twin(COMMANDS[name].words(ready, there), tmp_path / "first")
        after = random.Random(f"resume {name} {nth}").uniform(0.0, 1.0) * seconds
        second = Twin([f"resume={there}"], tmp_path / "second", after)
        ended = first.ended(), second.ended()
        code, said = ended[1]
        assert (code, said) == (0, "") or (
            code == 2 and said.count("\n") == 1 and any(c in said for c in NOTHING_YET)
        ), ended
        if code:
            assert ended[0] == (0, ""), ended
        assert files(there) == expected
        assert beside(there) == []
        shutil.rmtree(tmp_path / "both")
