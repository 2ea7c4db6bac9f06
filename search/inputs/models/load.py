"""Reading a config.json, or a checkpoint's folder with one, from disk: data, never code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from search.base.strict_json import strict
from search.inputs.bounded_file import read_bounded
from search.inputs.models.fields import ConfigError, shown

CONFIG = "config.json"
QUANTIZATION = "hf_quant_config.json"  # ModelOpt's own file: older checkpoints say their formats nowhere else
GENERATION = "generation_config.json"
MAX_BYTES = 16_000_000  # MIXED_PRECISION names every expert of every layer
MAX_DEPTH = 32


def config_path(path: str | Path) -> Path:
    """The config.json itself, where ``path`` is the folder that holds it."""
    path = Path(path)
    return path / CONFIG if path.is_dir() else path


def beside(path: str | Path, name: str) -> Path | None:
    """A file of the same checkpoint, ``None`` where there is none. Only a file called config.json has company: a
    folder of configs under other names is no checkpoint."""
    path = config_path(path)
    other = path.parent / name
    return other if path.name == CONFIG and other.is_file() else None


def load_config_json(path: str | Path) -> dict[str, Any]:
    """The object in a config.json, which may be named by its folder; formats that stand only in an
    hf_quant_config.json beside it are added as its ``quantization_config``. ``ConfigError`` in one line otherwise."""
    path = config_path(path)
    config = load_json(path, "a config.json")
    other = beside(path, QUANTIZATION)
    return config if other is None else _with_formats(config, load_json(other, QUANTIZATION), other)


def load_json(path: Path, what: str, limit: int = MAX_BYTES) -> dict[str, Any]:
    """The object in a JSON file of at most ``limit`` bytes and ``MAX_DEPTH`` levels. NaN, which Python's json would
    take, is refused; Infinity stands in published configs (Nemotron-H's ``time_step_limit``)."""
    raw = read_bounded(path, limit, what, ConfigError)
    return parsed(raw, path)


def parsed(raw: bytes, path: Path) -> dict[str, Any]:
    """The same of bytes already read; ``path`` is for complaints."""
    try:
        data = strict(raw.decode("utf-8"), parse_constant=_refuse)
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


def _with_formats(config: dict[str, Any], own: dict[str, Any], path: Path) -> dict[str, Any]:
    """Engines take the config's own object where it has one; the two may not contradict each other."""
    said = own.get("quantization")
    if not isinstance(said, dict):
        raise ConfigError(f"{path}: quantization = {shown(said)} must be an object")
    text = config.get("text_config")
    places = [config, text] if isinstance(text, dict) else [config]
    for place in places:
        for key in ("quantization_config", "compression_config"):
            given = place.get(key)
            if isinstance(given, dict) and given:
                _same(given, said, path)
                return config
    return {**config, "quantization_config": {"quant_method": "modelopt", "quantization": said}}


def _same(given: dict[str, Any], said: dict[str, Any], path: Path) -> None:
    inner = given.get("quantization")
    algorithm = (inner if isinstance(inner, dict) else given).get("quant_algo")
    other = said.get("quant_algo")
    if algorithm is not None and other is not None and algorithm != other:
        raise ConfigError(
            f"{path}: quant_algo = {shown(other)} contradicts the config's quantization_config.quant_algo = "
            f"{shown(algorithm)}"
        )


_EXPERT = re.compile(r"(?<=experts\.)\d+(?=\.)")


def compacted(config: dict[str, Any]) -> dict[str, Any]:
    """The same model in fewer words: where ``quantized_layers`` names every expert of a layer alike, one name with a
    star stands for them. For files that are read back; a config that was read once has no layer whose experts
    differ."""
    return {key: _compacted(value) if key in _QUANTIZED else value for key, value in config.items()}


_QUANTIZED = ("quantization_config", "quantization")


def _compacted(said: Any) -> Any:
    if not isinstance(said, dict):
        return said
    kept = {key: _compacted(value) if key in _QUANTIZED else value for key, value in said.items()}
    layers = kept.get("quantized_layers")
    if isinstance(layers, dict):
        kept["quantized_layers"] = {_EXPERT.sub("*", name): value for name, value in layers.items()}
    return kept


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
