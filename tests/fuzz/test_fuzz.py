"""Whatever is put in: exit code 0, 1 or 2, one line for an error, no traceback, no NaN, nothing half-written.

``SERVEFRONT_FUZZ=10000 python -m pytest tests/fuzz`` tries as many inputs a target."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import COUNT, Target, check
from targets import TARGETS


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_contract(target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    codes = []
    for seed in range(COUNT):
        folder = tmp_path / str(seed)
        folder.mkdir()
        codes.append(check(target, seed, folder, capsys))
    assert 2 in codes or COUNT < 5
