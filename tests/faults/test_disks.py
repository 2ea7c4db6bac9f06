"""Small disks, full before a command has ended, and one that is read-only: a line, exit code 2, nothing half-written.

``SERVEFRONT_FAULTS=10 python -m pytest tests/faults/test_disks.py`` fills ten of growing size by every command."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from real import COMMANDS, Command, Given, beside, files, given, place

from search.cli import main

COUNT = int(os.environ.get("SERVEFRONT_FAULTS", "1"))
NAMES = [name for name in COMMANDS if name != "workers"]
PAGE = 4096


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Given:
    return given(tmp_path_factory.mktemp("disks") / "given")


@contextmanager
def disk(folder: Path, size: int) -> Iterator[None]:
    """A file system of so many bytes at ``folder``."""
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here, which takes root")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # Hydra's log is still open


def taken(folder: Path) -> int:
    """Bytes of whole pages below ``folder``."""
    return sum(-(-path.stat().st_size // PAGE) * PAGE for path in folder.rglob("*") if path.is_file())


def told(command: Command, ready: Given, there: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command says that cannot write: a sweep a line for each of its jobs."""
    capsys.readouterr()
    code, err = main(command.words(ready, there)), capsys.readouterr().err
    assert code == 2, err
    lines = err.splitlines()
    assert all(line.startswith("error: ") and str(there) in line for line in lines), err
    assert len(lines) == 1 or "job " in err, err
    return err


@pytest.mark.parametrize("name", NAMES if COUNT > 1 else ["search", "document"])
def test_a_disk_that_is_too_small(name: str, ready: Given, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = COMMANDS[name]
    there = place(command, tmp_path / "whole")
    assert main(command.words(ready, there)) == 0
    whole, size = files(there), taken(there)
    for nth in range(COUNT):
        room = max(PAGE, size * (2 * nth + 1) // (2 * COUNT))
        if -(-room // PAGE) * PAGE >= size:  # whole pages: files this small leave no disk between
            continue
        with disk(tmp_path / "disk", room):
            there = tmp_path / "disk" / "r" if command.makes else tmp_path / "disk"
            assert "No space left on device" in told(command, ready, there, capsys)
            left = {path: content for path, content in files(there).items() if "status.json" not in path}
            left.pop("sweep.csv", None)  # of the jobs that are done
            assert left.items() <= whole.items()
            assert command.again or not left
            assert beside(there) == []


@pytest.mark.parametrize("name", NAMES if COUNT > 1 else ["search"])
def test_a_disk_that_is_read_only(name: str, ready: Given, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with disk(tmp_path / "disk", 1 << 20):
        subprocess.run(["mount", "-o", "remount,ro", str(tmp_path / "disk")], check=True)
        err = told(COMMANDS[name], ready, tmp_path / "disk", capsys)
        assert "read-only" in err.lower()
        assert err.count("\n") == 1
