"""Who may write into a folder of a run or a sweep: asked before Hydra writes its first file there.

A folder is claimed with a lock that ends with its process, so that two searches never share one and a killed search
leaves nothing that bars the next. What a killed search left is removed before anything new is written. A sweep that is
started again keeps the jobs that are done; one with other values is refused.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import yaml
from omegaconf import DictConfig, OmegaConf

from search.base.errors import InputError
from search.inputs.bounded_file import read_bounded
from search.inputs.saved_run import CONFIG_FILE, config_text
from search.inputs.schema import Config

LOCK = ".lock"
SUMMARY = "summary.json"
HYDRAS = ".hydra"
STAGE = ".partial"  # as search.render.run_folder names it
FILES = (
    CONFIG_FILE, "pareto.csv", "split.csv", "candidates.csv.gz", "plan.yaml", "plan.md", "inputs.md", "launch",
    "report.html",
    "pareto.svg", "sensitivity.csv", "sensitivity.svg", "study.journal", "status.json",
    "fleet.csv", "fleet.yaml", "fleet.svg", "front.csv", "front.svg", "replicas.csv",
)  # fmt: skip
_held: dict[Path, IO[str]] = {}
_made: set[Path] = set()  # folders that this process made
_written: set[Path] = set()  # folders of jobs of this process
goes_on: set[Path] = set()  # folders of runs that this process is to go on with
sweeps: list[Path] = []  # folders of sweeps that this process began, as they were given


class Refused(BaseException):
    """An ``InputError`` on its way out of a callback: Hydra turns an ``Exception`` there into a warning."""


def claim_run(config: DictConfig) -> None:
    """``hydra.run.dir``, before Hydra makes it."""
    folder = Path(str(config.hydra.run.dir)).absolute()
    key = "hydra.run.dir"
    _lock(key, folder)
    if (folder / SUMMARY).exists():
        if not is_partial(folder):
            raise InputError(f"{key}: {folder} already holds a run; give a folder that does not")
        if folder not in goes_on:
            raise InputError(f"{key}: {folder} holds a run that was ended early; resume={folder} goes on with it")
        return
    clear(key, folder)


def is_partial(folder: Path) -> bool:
    """Whether ``folder`` holds what a search had when somebody ended it."""
    try:
        found = json.loads(read_bounded(folder / SUMMARY, 10_000_000, "a summary"))
    except (InputError, ValueError):
        return False
    return isinstance(found, dict) and bool(found.get("partial"))


def clear_partial(folder: Path) -> None:
    """Before a run is written into ``folder``: what an earlier part of it left."""
    if (folder / SUMMARY).exists() and is_partial(folder):
        (folder / SUMMARY).unlink()
        clear("hydra.run.dir", folder)


def claim_sweep(config: DictConfig) -> None:
    """``hydra.sweep.dir``, before Hydra makes it: new, or of the same sweep."""
    key = "hydra.sweep.dir"
    plainly: Any = OmegaConf.to_container(config.hydra.sweep, resolve=False)
    if "${" not in str(plainly["subdir"]):
        raise InputError(
            f"hydra.sweep.subdir: {plainly['subdir']!r} is the same for every job; give a name with ${{hydra.job.num}}"
        )
    folder = Path(str(config.hydra.sweep.dir)).absolute()
    _lock(key, folder)
    if (folder / SUMMARY).exists():
        raise InputError(f"{key}: {folder} already holds a run; give a folder that does not")
    if any(folder.glob(f"*/{HYDRAS}")) or any(folder.glob("*/summary.json")):
        before = sweep_of(folder)
        if before is None or what(before) != what(config.hydra.overrides.task):
            other = "runs of no sweep" if before is None else f"another sweep ({' '.join(map(str, before))})"
            raise InputError(f"{key}: {folder} already holds {other}; give a folder that does not")
    sweeps.append(Path(str(config.hydra.sweep.dir)))


def what(words: Iterable[str]) -> list[str]:
    """The words of a sweep that say what is computed, not where."""
    return [str(word) for word in words if not str(word).lstrip("+~").startswith(("compute=", "compute."))]


def kept(folder: Path, config: Config) -> bool:
    """Whether the ``folder`` of a job holds its finished run already; what a killed one left is removed."""
    folder = folder.absolute()
    if folder in _held and not (folder / SUMMARY).exists():  # a single run, or a sweep into its own folder
        return False
    if folder in _written:
        raise InputError(f"hydra.sweep.subdir: two jobs write into {folder}; give a name with ${{hydra.job.num}}")
    _lock("hydra.sweep.dir", folder)
    _written.add(folder)
    if not (folder / SUMMARY).exists():
        clear("hydra.sweep.dir", folder)
        return False
    if is_partial(folder):
        return False
    try:
        before = read_bounded(folder / CONFIG_FILE, 100_000_000, "a configuration").decode("utf-8", "replace")
    except InputError:
        before = ""
    if before != config_text(config):
        raise InputError(f"hydra.sweep.dir: {folder} holds a run with other values; give a folder that does not")
    return True


def clear(key: str, folder: Path) -> None:
    """Remove what a search that did not end left; files that are no run's are somebody's, and bar the folder."""
    there = [name for name in FILES if os.path.lexists(folder / name)]
    if there and not (folder / HYDRAS).is_dir() and not (folder / STAGE).is_dir():
        raise InputError(f"{key}: {folder} holds a {there[0]} that is no run's; give a folder that does not")
    for name in [*there, STAGE]:
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def forget(folder: Path) -> None:
    """Remove what Hydra wrote for a run that was refused, and the folder if it is new."""
    folder = folder.absolute()
    for name in ("config.yaml", "hydra.yaml", "overrides.yaml"):
        (folder / HYDRAS / name).unlink(missing_ok=True)
    log = folder / "search.log"
    if log.is_file() and log.stat().st_size == 0:
        log.unlink()
    if not any(folder.glob(f"*/{HYDRAS}")):  # a sweep of which no job had begun
        (folder / "multirun.yaml").unlink(missing_ok=True)
    release()
    for path in (folder / HYDRAS, folder):
        if path != folder or folder in _made:
            _remove_empty(path)


def claimed() -> str:
    """The key and the folder that this process writes to, for an error that names no file."""
    key = "hydra.sweep.dir" if sweeps else "hydra.run.dir"
    return ": ".join([key, *map(str, list(_held)[:1])])


def forget_claimed() -> None:
    """``forget`` what Hydra began to write into a folder that was claimed, before any search ran there."""
    for folder in list(_held):
        if not (folder / SUMMARY).exists():
            forget(folder)


def release(only: Path | None = None) -> None:
    """Give up a claim, or every one; a folder that was made for the claim and stayed empty goes."""
    for folder in list(_held) if only is None else [only.absolute()]:
        if folder in _held:
            (folder / LOCK).unlink(missing_ok=True)
            _held.pop(folder).close()
            if folder in _made:
                _remove_empty(folder)
    if only is None:
        _written.clear()


def clear_claim(key: str, folder: Path) -> None:
    """Remove the claim of a search that is no more; ``InputError`` where it still writes."""
    if (folder / LOCK).exists():
        _lock(key, folder)
        release(folder)


def _remove_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:  # not empty, or not there
        return


def _lock(key: str, folder: Path) -> None:
    if folder in _held:
        return
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    if new:
        _made.add(folder)
    path = folder / LOCK
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        file = os.fdopen(descriptor, "r+")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(path.stat(), os.fstat(descriptor)):
                break
        except BlockingIOError:
            file.close()
            raise InputError(f"{key}: another search writes into {folder}; give another folder") from None
        file.close()  # the search that held it ended in between
    _held[folder] = file


def sweep_of(folder: Path) -> list[Any] | None:
    """The overrides of the sweep in ``folder``, as Hydra left them in ``multirun.yaml``."""
    path = folder / "multirun.yaml"
    if not path.exists():
        return None
    try:
        found = yaml.load(read_bounded(path, 10_000_000, "a sweep's configuration"), Loader=yaml.CSafeLoader)
        return list(found["hydra"]["overrides"]["task"])
    except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: is no sweep's; give another hydra.sweep.dir") from error
