"""What every test may use."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from search.main import main

REPO = Path(__file__).parents[1]


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


@pytest.fixture
def search(tmp_path, monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """Run ``python -m search`` in this process, in an empty folder: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
