"""Servers in YAML: containers of Kubernetes manifests, services of docker compose, lists of arguments alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from search.base.errors import InputError
from search.commands.audit.shell import simple_commands

_LOOKS = re.compile(
    r"""^\s*(-\s+)?["']?(apiVersion|kind|image|command|args|containers|services)["']?\s*:""", re.MULTILINE
)
MOST_DEPTH = 60


@dataclass(frozen=True)
class Container:
    """``words`` it runs, ``command`` and ``args``; ``variables`` of its environment; ``bare``: no image and no program,
    arguments alone; its ``image`` and, as compose writes them, ``volumes``."""

    words: tuple[str, ...]
    variables: Mapping[str, str]
    bare: bool
    image: str = ""
    volumes: tuple[str, ...] = ()


def containers(text: str) -> list[Container] | None:
    """Those of a YAML text in order; ``None`` where it is no YAML of that kind, but a shell's text."""
    listed = text.lstrip().startswith("[") or all(
        line.lstrip().startswith(("- ", "#")) for line in text.splitlines() if line.strip()
    )
    if not text.strip() or not (listed or _LOOKS.search(text)):
        return None
    try:
        aliased = any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader))
        documents = [] if aliased else list(yaml.safe_load_all(text))
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    if aliased:
        raise InputError("command: YAML with aliases (*name) is not read; write them out")
    if all(isinstance(d, list) and d and all(_plain(x) for x in d) for d in documents):
        return [Container(tuple(str(x) for x in d), {}, True) for d in documents]
    found = [c for d in documents for c in _containers(d, 0, {})]
    return found or None


def config_files(text: str) -> dict[str, str]:
    """Files of the ConfigMaps in a manifest that ``containers`` has read, by name."""
    found: dict[str, str] = {}
    for document in yaml.safe_load_all(text):
        if isinstance(document, dict) and document.get("kind") == "ConfigMap":
            data = document.get("data")
            found |= {str(k): str(v) for k, v in data.items()} if isinstance(data, dict) else {}
    return found


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _containers(value: Any, depth: int, given: Mapping[str, str]) -> Iterator[Container]:
    """``given``: variables that the manifest's controller sets."""
    if depth > MOST_DEPTH:
        return
    if isinstance(value, dict):
        size = value.get("size")
        if "workerTemplate" in value and isinstance(size, int):  # a LeaderWorkerSet's group of pods
            given = {**given, "LWS_GROUP_SIZE": str(size)}
        words = [w for key in ("entrypoint", "command", "args") for w in _words(value.get(key))]
        if words:
            image, volumes = value.get("image"), value.get("volumes")
            named = str(image) if isinstance(image, str) else ""
            # A command that begins with a folder is a model: the program is the image's own.
            bare = not named and ("command" not in value or ("entrypoint" not in value and "/" in words[0]))
            mounted = tuple(str(v) for v in volumes if _plain(v)) if isinstance(volumes, list) else ()
            yield Container(tuple(words), {**given, **_variables(value)}, bare, named, mounted)
            return
        for inner in value.values():
            yield from _containers(inner, depth + 1, given)
    elif isinstance(value, list):
        for inner in value:
            yield from _containers(inner, depth + 1, given)


def _words(value: Any) -> list[str]:
    """A list word by word; a string as a shell cuts it (docker compose)."""
    if isinstance(value, str):
        commands = simple_commands(value.replace("\n", " ")) if value.strip() else []
        return list(commands[0].words) if commands else []
    return [str(x) for x in value] if isinstance(value, list) and all(_plain(x) for x in value) else []


def _variables(value: dict[Any, Any]) -> dict[str, str]:
    """``env`` of Kubernetes, ``environment`` of compose in either form."""
    found: dict[str, str] = {}
    for key in ("env", "environment"):
        entries = value.get(key)
        if isinstance(entries, dict):
            found |= {str(k): str(v) for k, v in entries.items() if _plain(v)}
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and _plain(entry.get("value")):
                found[str(entry.get("name"))] = str(entry["value"])
            elif isinstance(entry, str) and "=" in entry:
                name, _, text = entry.partition("=")
                found[name] = text
    return found
