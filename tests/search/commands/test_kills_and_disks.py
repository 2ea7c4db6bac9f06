"""What is killed, or whose disk is full, leaves nothing half-written, and starts again as if it had not been.

``SERVEFRONT_FAULTS=50 python -m pytest tests/search/commands/test_kills_and_disks.py`` tries as many of each."""

from __future__ import annotations

import json
import os
import resource
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from measured_targets import VLLM

from search.cli import main

COUNT = int(os.environ.get("SERVEFRONT_FAULTS", "3"))
SMALL = (
    "model=qwen3_8b", "hardware=h100_sxm", "engine=vllm", "strategy=exact", "sensitivity=none", "space.gpus=[8]",
    "space.batch=[16]",
)  # fmt: skip
SWEEP = ("-m", *SMALL, "report=none", "workload.isl=256,512")
FIT = ("--engine", "vllm", "--model", "qwen3_8b", "--hardware", "h100_sxm", "--tp", "1")
HAVE_TIMES = ("summary.json", "report.html")
KILLED = 9


def search(folder: Path) -> list[str]:
    return [*SMALL, f"hydra.run.dir={folder}"]


def sweep(folder: Path) -> list[str]:
    return [*SWEEP, f"hydra.sweep.dir={folder}"]


def calibrate(folder: Path) -> list[str]:
    results = []
    for n in (1, 8, 32):
        results.append(folder.parent / f"result_{n}.json")
        results[-1].write_text(json.dumps(VLLM | {"max_concurrency": n, "mean_tpot_ms": 6.0 + n / 8}))
    folder.mkdir(exist_ok=True)
    outputs = ("--out", str(folder / "engine.yaml"), "--hardware-out", str(folder / "chip.yaml"))
    return ["calibrate", *map(str, results), *FIT, *outputs]


COMMANDS: dict[str, Callable[[Path], list[str]]] = {"search": search, "sweep": sweep, "calibrate": calibrate}


@dataclass(frozen=True)
class Whole:
    """What a command leaves that nothing happened to, and how many files it moved to their names."""

    files: dict[str, bytes]
    moves: int


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Whole]:
    found = {}
    for name, words in COMMANDS.items():
        folder, moves = tmp_path_factory.mktemp(name) / "r", 0
        move = Path.replace

        def replace(path: Path, target: Path, move: Callable[[Path, Path], Path] = move) -> Path:
            nonlocal moves
            moves += 1
            return move(path, target)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "replace", replace)
            assert main(words(folder)) == 0
        found[name] = Whole(files(folder), moves)
    return found


def killed(words: list[str], nth: int) -> int:
    """The exit code of a process that ends as if killed, without a word, where it would move the n-th file to its
    name. It begins as a copy of this one: starting another takes longer than the work."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which a copy lacks: only BLAS's own are there
        child = os.fork()
    if not child:
        left, move = nth, Path.replace

        def replace(path: Path, target: Path) -> Path:
            nonlocal left
            left -= 1
            if left < 0:
                os._exit(KILLED)
            return move(path, target)

        Path.replace = replace  # type: ignore[method-assign, assignment]
        try:
            os._exit(main(words))
        finally:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def files(folder: Path) -> dict[str, bytes]:
    """What stands under its final name, but for what Hydra writes."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    ours = {name: text for name, text in found.items() if "/." not in f"/{name}" and not name.endswith(".log")}
    return {name: b"" if name.endswith((*HAVE_TIMES, "multirun.yaml")) else text for name, text in ours.items()}


def spread(most: int) -> list[int]:
    """``COUNT`` numbers up to ``most``."""
    return sorted({round(1 + (most - 1) * n / max(COUNT - 1, 1)) for n in range(COUNT)})


@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_killed_left_whole_files_and_starts_again(
    name: str, tmp_path: Path, undisturbed: dict[str, Whole], capsys: pytest.CaptureFixture[str]
) -> None:
    whole = undisturbed[name]
    for nth in spread(whole.moves - 1):
        folder = tmp_path / str(nth) / "r"
        folder.parent.mkdir()
        assert killed(COMMANDS[name](folder), nth) == KILLED
        left = files(folder)
        assert left.items() < whole.files.items(), (nth, set(left) - set(whole.files))
        if name == "calibrate":  # which writes over nothing
            for path in folder.iterdir():
                path.unlink()
        else:
            assert "summary.json" not in left
        capsys.readouterr()
        assert main(COMMANDS[name](folder)) == 0, capsys.readouterr().err
        assert files(folder) == whole.files


@pytest.mark.parametrize("size", spread(15_000))
def test_a_full_disk_is_a_line_and_leaves_nothing(
    tmp_path: Path, size: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A limit on a file's size fails as a full disk does: some bytes are written, then no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        code = main(search(tmp_path / "r"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    err = capsys.readouterr().err
    assert (code, err.count("\n")) == (2, 1), err
    assert err.endswith(": File too large\n")
    assert not (tmp_path / "r").exists()
