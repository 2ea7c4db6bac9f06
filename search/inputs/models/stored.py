"""What the files of a checkpoint hold, from the index and the headers of its .safetensors, without their weights.

Format: eight bytes, little-endian, are the length of a JSON header that gives each tensor's dtype, shape and place
(huggingface/safetensors, README, "Format"). The index of a checkpoint in several files has ``metadata.total_size``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from search.inputs.models.fields import ConfigError, shown
from search.inputs.models.load import beside, load_json, parsed

INDEX = "model.safetensors.index.json"
MAX_INDEX = 128_000_000  # a name and a file for each tensor: 69,120 matrices of Kimi K2's experts, with their scales
MAX_HEADER = 100_000_000  # safetensors' own limit
MAX_FILES = 1024
_POINTER = b"version "  # Git LFS: the file's weights were not downloaded


def total_size(config: Path) -> tuple[Path, int] | None:
    """The index beside a config.json and the bytes of all tensors that it states; ``None`` without one."""
    path = beside(config, INDEX)
    if path is None:
        return None
    index = load_json(path, "an index", MAX_INDEX)
    metadata = index.get("metadata")
    total = metadata.get("total_size") if isinstance(metadata, dict) else None
    if total is None:
        return None
    if isinstance(total, float) and total.is_integer():
        total = int(total)
    if isinstance(total, bool) or not isinstance(total, int) or not 0 < total < 10**15:
        raise ConfigError(f"{path}: metadata.total_size = {shown(total)} must be a number of bytes")
    return path, total


def tensors(config: Path) -> tuple[dict[str, int], bool]:
    """Bytes by name of the tensors in the .safetensors beside a config.json, and whether they are all of the
    checkpoint's: every file that the index names, or the only one."""
    folder = config.parent
    if config.name != "config.json":
        return {}, False
    files = sorted(folder.glob("*.safetensors"))[: MAX_FILES + 1]
    if len(files) > MAX_FILES:
        raise ConfigError(f"{folder}: more than {MAX_FILES} .safetensors; at most {MAX_FILES} are read")
    found: dict[str, int] = {}
    read = set()
    for file in files:
        header = _header(file)
        if header is None:
            continue
        read.add(file.name)
        found |= {name: _size(file, name, entry) for name, entry in header.items() if name != "__metadata__"}
    return found, bool(read) and read >= _wanted(config, files)


def _wanted(config: Path, files: Iterable[Path]) -> set[str]:
    path = beside(config, INDEX)
    if path is None:
        return {file.name for file in files}
    names = load_json(path, "an index", MAX_INDEX).get("weight_map")
    return {str(name) for name in names.values()} if isinstance(names, dict) else set()


def _header(path: Path) -> dict[str, Any] | None:
    """The header of one file, ``None`` where only a pointer was downloaded."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
            if start == _POINTER:
                return None
            length = int.from_bytes(start, "little")
            if len(start) < 8 or not 2 <= length <= MAX_HEADER:
                raise ConfigError(f"{path}: is no .safetensors: its first eight bytes are no length of a header")
            raw = file.read(length)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(raw) < length:
        raise ConfigError(f"{path}: ends within its header of {length} bytes")
    return parsed(raw, path)


def _size(path: Path, name: str, entry: Any) -> int:
    places = entry.get("data_offsets") if isinstance(entry, dict) else None
    if isinstance(places, list) and len(places) == 2 and all(type(place) is int for place in places):
        start, end = places
        if 0 <= start <= end <= 10**15:
            return int(end - start)
    raise ConfigError(f"{path}: {shown(name)} must have data_offsets, two whole numbers")


_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.(.+)$")
_FOREIGN = re.compile(r"vision|visual|audio|mtp|draft|encoder")
_NUMBER = re.compile(r"(?<=experts\.)\d+(?=\.)")
_PART = re.compile(r"_(?:blocks|scales|scale|scale_2|bias|packed|scale_inv)$")


def by_module(sizes: dict[str, int]) -> dict[tuple[int, str], int]:
    """Bytes by layer and module (``mlp.experts.#.up_proj`` stands for all experts), and by every module that holds
    it."""
    found: dict[tuple[int, str], int] = {}
    for name, size in sizes.items():
        match = _LAYER.search(name)
        if match is None or _FOREIGN.search(name[: match.start()]):
            continue
        parts = _PART.sub("", _NUMBER.sub("#", match.group(2))).split(".")
        for n in range(1, len(parts) + 1):
            key = (int(match.group(1)), ".".join(parts[:n]))
            found[key] = found.get(key, 0) + size
    return found
