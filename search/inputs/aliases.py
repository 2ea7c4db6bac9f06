"""Catalog entries by the names that people type: ``hardware=h200``, ``model=Qwen/Qwen3-8B``.

Hydra knows a group's options by their file names alone. Overrides are put into those before it reads them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from search.base.errors import InputError
from search.base.paths import conf_dir
from search.inputs.hardware_catalog import find_hardware
from search.inputs.models import ConfigError, find_model

FOLDER_FLAGS = ("--config-dir", "-cd")
# Also +hardware@space.split.decode.hardware=h20, which puts an option elsewhere.
NAMED = re.compile(
    r"^(?P<where>\+?(?P<group>hardware|model)(?:@[\w.]+)?)=(?P<names>[\w./() -]+(?:,[\w./() -]+)*)$", re.ASCII
)
UNNAMED = re.compile(
    r"^\+?(?P<group>\w+)=(?P<value>[\d.]+|true|false|\[.*)$", re.IGNORECASE
)  # no option has such a name
SEARCH_PATH = re.compile(r"(?:file://)?([^'\",\[\]\s]+)")


def by_file_name(arguments: Sequence[str]) -> list[str]:
    """``arguments`` of a command line with every ``hardware=`` and ``model=``, a sweep's list too, by file name.
    ``InputError`` names near ones where there is none. Files of a folder of the user's come before the catalog's
    aliases."""
    folders = [conf_dir(), *_folders(arguments)]
    return [_renamed(word, folders) for word in arguments]


def _renamed(word: str, folders: Iterable[Path]) -> str:
    found = NAMED.match(word)
    if found is None:
        odd = UNNAMED.match(word)
        if odd and (conf_dir() / odd["group"]).is_dir():
            raise InputError(f"{odd['group']}: {odd['value'][:60]!r} is not allowed; give the name of an option")
        return word
    group, names = found["group"], found["names"].split(",")
    return f"{found['where']}={','.join(_option(group, name.strip(), folders) for name in names)}"


def _option(group: str, name: str, folders: Iterable[Path]) -> str:
    if any((folder / group / f"{name.removesuffix('.yaml')}.yaml").is_file() for folder in folders):
        return name
    return FINDERS[group](name)


def _model(name: str) -> str:
    try:
        return find_model(name)
    except ConfigError as error:
        near = str(error).rpartition("near: ")[2]
        raise InputError(f"model: there is no {name!r}; near: {near}; servefront models lists them") from None


FINDERS: dict[str, Callable[[str], str]] = {"hardware": find_hardware, "model": _model}


def _folders(arguments: Sequence[str]) -> list[Path]:
    """Folders of configuration that a command line names."""
    found = []
    for i, word in enumerate(arguments):
        flag, equals, value = word.partition("=")
        if flag in FOLDER_FLAGS:
            found += [value] if equals else list(arguments[i + 1 : i + 2])
        elif flag == "hydra.searchpath":
            found += SEARCH_PATH.findall(value)
    return [Path(folder) for folder in found]
