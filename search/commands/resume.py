"""``resume=RUN``: go on with a search or a sweep that was killed or ended early, with the words that began it.

The words come from the folder, which may be anybody's: what speaks to Hydra itself or looks into the environment is not
taken from there. Words beside ``resume=`` may say where to compute, and to Hydra, how.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from search.base.errors import InputError
from search.commands.folders import HYDRAS, SUMMARY, clear_claim, goes_on, is_partial
from search.inputs.bounded_file import read_bounded
from search.inputs.config_source import RESOLVER

WORD = "resume="
BESIDE = ("compute=", "compute.", "hydra/", "hydra.", "strategy.storage=")


class NothingToDo(Exception):
    """The run is whole."""


def resumed(arguments: Sequence[str]) -> list[str]:
    """``arguments`` without ``resume=RUN`` and with what it stands for; the same where it is not among them. Relative
    paths are those of the folder in which it was begun."""
    named = [word for word in arguments if word.startswith(WORD)]
    if not named:
        return list(arguments)
    beside = [word for word in arguments if not word.startswith(WORD)]
    other = [word for word in beside if not word.lstrip("+").startswith(BESIDE)]
    if len(named) > 1 or other:
        raise InputError(
            f"resume: {(other or named)[-1]!r} is not allowed beside it; the words of the run hold, but for compute, "
            "strategy.storage and Hydra's own"
        )
    folder = Path(named[0].removeprefix(WORD)).absolute()
    many = (folder / "multirun.yaml").is_file()
    found = _hydras(folder, folder / "multirun.yaml" if many else folder / HYDRAS / "hydra.yaml")
    if not many and "MULTIRUN" in str(found.get("mode")):
        raise InputError(f"resume: {folder} is a job of a sweep; give the sweep's own folder")
    if not many and (folder / SUMMARY).exists() and not is_partial(folder):
        clear_claim("resume", folder)  # of one that was killed after its last file
        raise NothingToDo(f"{folder} is whole: nothing is left to do")
    words = _words(folder, found)
    _go_to(folder, found)
    goes_on.add(folder)
    quoted = str(folder).replace("\\", "\\\\").replace("'", "\\'")
    where = "hydra.sweep.dir" if many else "hydra.run.dir"
    given = {word.lstrip("+").partition("=")[0] for word in beside}
    kept = [word for word in words if word.lstrip("+").partition("=")[0] not in given]
    flags = ["--multirun"] if many else []
    return [*flags, *_own_folders(found), *kept, *beside, f"{where}='{quoted}'"]


def _hydras(folder: Path, path: Path) -> dict[str, Any]:
    """What Hydra wrote of a run before it began: not at once, so that a kill may leave an empty or a cut file."""
    nothing = f"resume: {folder} holds nothing to go on with"
    if not path.is_file():
        raise InputError(f"{nothing}; give the folder of a search or a sweep")
    text = read_bounded(path, 10_000_000, "Hydra's word of a run")
    try:
        found = yaml.load(text, Loader=yaml.CSafeLoader)["hydra"]
        whole = isinstance(found, dict) and isinstance(found.get("runtime"), dict)
    except (yaml.YAMLError, KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        raise InputError(f"{nothing}: {path.name} is not whole; begin again")
    return dict(found)


def _words(folder: Path, found: dict[str, Any]) -> list[str]:
    overrides = found.get("overrides")
    words = overrides.get("task") if isinstance(overrides, dict) else None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise InputError(f"resume: {folder}: its words are not known; begin again")
    for word in words:
        if word.lstrip("+~").startswith(("hydra", "-")) or RESOLVER.search(word):
            raise InputError(f"resume: {folder}: {word!r} is not taken from a folder; begin again")
    return words


def _go_to(folder: Path, found: dict[str, Any]) -> None:
    cwd = found["runtime"].get("cwd")
    try:
        os.chdir(str(cwd))
    except (OSError, ValueError) as error:
        raise InputError(f"resume: {folder} was begun in {cwd}, which cannot be entered: {error}") from error


def _own_folders(found: dict[str, Any]) -> list[str]:
    """The ``--config-dir`` of the run."""
    sources = found["runtime"].get("config_sources")
    for source in sources if isinstance(sources, list) else ():
        if isinstance(source, dict) and source.get("provider") == "command-line" and source.get("schema") == "file":
            return ["--config-dir", str(source.get("path"))]
    return []
