"""Runs that several tests read, each made once."""

from __future__ import annotations

from pathlib import Path

import pytest
from sensitivity_cases import outcome, run_folder

from search.optimizer.outcome import Outcome


@pytest.fixture(scope="session")
def worked_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_folder(tmp_path_factory.mktemp("sensitivity") / "run")


@pytest.fixture(scope="session")
def worked_outcome() -> Outcome:
    return outcome()
