"""A search that is killed, or whose disk is full, leaves nothing half-written, and starts again as if it had not been.

``SERVEFRONT_FAULTS=50 python -m pytest tests/search/commands/test_kills_and_disks.py`` tries as many of each."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

COUNT = int(os.environ.get("SERVEFRONT_FAULTS", "3"))
SMALL = (
    "model=qwen3_8b", "hardware=h100_sxm", "engine=vllm", "strategy=exact", "sensitivity=none", "space.gpus=[8]",
    "space.batch=[16]",
)  # fmt: skip
HAVE_TIMES = ("summary.json", "report.html")
# Ends the process as a kill does, without a word, where it would move the n-th file to its name.
KILLED = """
import os, pathlib, sys
from search import cli
left, move = int(sys.argv[1]), pathlib.Path.replace
def replace(path, target):
    global left
    left -= 1
    if left < 0:
        os._exit(9)
    return move(path, target)
pathlib.Path.replace = replace
cli.main(sys.argv[2:])
"""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of the run that nothing happened to."""
    from search.cli import main

    folder = tmp_path_factory.mktemp("undisturbed") / "r"
    assert main([*SMALL, f"hydra.run.dir={folder}"]) == 0
    return files(folder)


def files(folder: Path) -> dict[str, bytes]:
    """What stands under its final name, but for what Hydra writes."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    ours = {name: text for name, text in found.items() if not name.startswith((".", "search.log"))}
    return {name: b"" if name in HAVE_TIMES else text for name, text in ours.items()}


def spread(most: int) -> list[int]:
    """``COUNT`` numbers up to ``most``."""
    return sorted({round(1 + (most - 1) * n / max(COUNT - 1, 1)) for n in range(COUNT)})


@pytest.mark.parametrize("nth", spread(29))
def test_a_killed_search_left_whole_files_and_starts_again(search, tmp_path, undisturbed, nth):
    run = [sys.executable, "-c", KILLED, str(nth), *SMALL, f"hydra.run.dir={tmp_path / 'r'}"]
    killed = subprocess.run(run, capture_output=True, text=True, check=False)
    assert killed.returncode == 9, killed.stderr
    assert "summary.json" not in files(tmp_path / "r")
    assert files(tmp_path / "r").items() <= undisturbed.items()
    code, _, err = search(*SMALL, f"hydra.run.dir={tmp_path / 'r'}")
    assert code == 0, err
    assert files(tmp_path / "r") == undisturbed


@pytest.mark.parametrize("size", spread(15_000))
def test_a_full_disk_is_a_line_and_leaves_nothing(search, tmp_path, size):
    """A limit on a file's size fails as a full disk does: some bytes are written, then no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        code, _, err = search(*SMALL, "hydra.run.dir=r")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (code, err.count("\n")) == (2, 1), err
    assert err.endswith(": File too large\n")
    assert not (tmp_path / "r").exists()
