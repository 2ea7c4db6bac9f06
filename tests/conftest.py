"""What every test may use."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from search.commands.search import main

REPO = Path(__file__).parents[1]
# The same examples every time, so that a run says something about a change; others: --hypothesis-profile=default.
settings.register_profile("repeatable", derandomize=True, deadline=None)  # no timing in pass or fail
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def repo() -> Path:
    return REPO


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of measurements; tests that need it skip where there is none."""
    folder = os.environ.get("SERVEFRONT_DATA")
    if not folder:
        pytest.skip("SERVEFRONT_DATA is not set: it names the folder of measurements")
    return Path(folder)


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def in_folder(tmp_path, monkeypatch, capsys) -> Callable[[Callable[[list[str]], int]], Command]:
    """Turns a ``main`` into a command of this process, in an empty folder: (exit code, standard output, error)."""
    monkeypatch.chdir(tmp_path)

    def command(main: Callable[[list[str]], int]) -> Command:
        def run(*arguments: str) -> tuple[int, str, str]:
            code = main(list(arguments))
            captured = capsys.readouterr()
            return code, captured.out, captured.err

        return run

    return command


@pytest.fixture
def search(in_folder) -> Command:
    """``python -m search``."""
    return in_folder(main)
