"""Whatever is put in: exit code 0, 1 or 2, one line for an error, no traceback, no NaN, nothing half-written.

``SERVEFRONT_FUZZ=10000 python -m pytest tests/fuzz`` tries as many inputs a target; ``python tests/fuzz/many.py``
goes on for so many seconds of each and counts (``--help``)."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import mutations
import pytest
from harness import COUNT, Target, check
from targets import TARGETS

OF_FILES = tuple(target for target in TARGETS if target.name != "overrides")


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_contract(target: Target, tmp_path: Path) -> None:
    codes = []
    for seed in range(COUNT):
        folder = tmp_path / str(seed)
        folder.mkdir()
        codes.append(check(target, seed, folder))
    assert 2 in codes or COUNT < 30


@pytest.mark.parametrize("target", OF_FILES, ids=lambda target: target.name)
def test_what_is_spoilt_was_good(target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Input that is refused before it is spoilt would try the first check alone."""
    for name in ("text", "tree", "cell", "words", "document"):
        monkeypatch.setattr(mutations, name, lambda rng, good: good)
    assert target.run(target.arguments(random.Random(1), tmp_path)) in (0, 1)


def test_the_long_run_counts_what_it_tried(tmp_path: Path) -> None:
    script = Path(__file__).with_name("many.py")
    options = ["--only", "launch command", "--seconds", "0.01", "--out", str(tmp_path / "broken.jsonl")]
    ran = subprocess.run([sys.executable, str(script), *options], capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("launch command: ") and ran.stdout.endswith(", 0 broke the contract\n")
