"""Reading a config.json from disk: data, never code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from search.inputs.bounded_file import read_bounded
from search.inputs.models.fields import ConfigError

MAX_BYTES = 4_000_000
MAX_DEPTH = 32


def load_config_json(path: str | Path) -> dict[str, Any]:
    """The object in a JSON file of at most ``MAX_BYTES`` bytes and ``MAX_DEPTH`` levels. NaN is refused; infinities,
    which transformers writes for open limits of time steps, are read (no width or count may be one).
    ``ConfigError`` in one line otherwise."""
    path = Path(path)
    raw = read_bounded(path, MAX_BYTES, "a config.json", ConfigError)
    try:
        data = json.loads(raw.decode("utf-8"), parse_constant=_refuse)
    except RecursionError:
        raise ConfigError(f"{path}: nested more than {MAX_DEPTH} levels deep") from None
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: must hold an object, not {type(data).__name__}")
    _check_depth(data, path)
    return data


def _refuse(constant: str) -> Any:
    if constant != "NaN":
        return float(constant)
    raise ConfigError(f"{constant} is not a number that JSON knows")


def _check_depth(data: Any, path: Path) -> None:
    level = [data]
    for _ in range(MAX_DEPTH):
        nested = [child for item in level for child in (item.values() if isinstance(item, dict) else item)]
        level = [child for child in nested if isinstance(child, (dict, list))]
        if not level:
            return
    raise ConfigError(f"{path}: nested more than {MAX_DEPTH} levels deep")
