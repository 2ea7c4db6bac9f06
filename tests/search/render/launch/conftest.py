"""Runs, each made once."""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from search.commands.search import main


@pytest.fixture(scope="session")
def run_of(tmp_path_factory) -> Callable[..., Path]:
    """The folder of an exact run with these overrides."""
    made: dict[tuple[str, ...], Path] = {}

    def run(*overrides: str) -> Path:
        if overrides not in made:
            folder = tmp_path_factory.mktemp("launch") / "run"
            with contextlib.redirect_stdout(io.StringIO()):
                assert main([*overrides, "strategy=exact", f"hydra.run.dir={folder}"]) == 0
            made[overrides] = folder
        return made[overrides]

    return run
