"""``engine=compare``: several engines, each with its own constants, of which a search names the best.

``search.inputs.own_engine`` takes one engine's configuration out of it; everything that scores a plan works on such.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from costmodel.engine import ENGINES
from search.base.errors import InputError
from search.inputs.schema import Config

COMPARE = "compare"
OWN = ("name", "compare", "engines", "sources")  # keys of the comparison itself; all others are the engines'


def spread(container: Any) -> None:
    """In a composed configuration that compares: keys that somebody set beside ``OWN`` are laid over each engine."""
    engine = container.get("engine") if isinstance(container, Mapping) else None
    if not isinstance(engine, dict):
        return
    if engine.get("name") != COMPARE:
        for key in ("compare", "engines"):
            if engine.get(key):
                raise InputError(f"engine.{key}: belongs to engine=compare; {engine.get('name')!r} compares nothing")
        return
    found = engine.get("engines") or {}
    version = engine.pop("version", None)  # which is of vLLM
    if version and isinstance(found, dict) and isinstance(found.get("vllm"), dict):
        found["vllm"]["version"] = version
    common = _given({key: engine.pop(key) for key in list(engine) if key not in OWN})
    engine["reserve_bytes"] = 0.0  # which the schema wants to be stated
    if isinstance(found, dict) and all(isinstance(one, dict) for one in found.values()):  # else the schema says why not
        engine["engines"] = {name: _over(one, common) for name, one in found.items()}


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without keys that are null: nobody set them."""
    nested = {key: _given(value) if isinstance(value, Mapping) else value for key, value in values.items()}
    return {key: value for key, value in nested.items() if value not in (None, {})}


def _over(below: Any, above: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        nested = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = _over(result[key], value) if nested else value
    return result


def compared(config: Config) -> tuple[str, ...]:
    """The engines that a configuration compares, none where it names one (or ``any``); ``InputError`` for a list that
    cannot be meant."""
    if config.engine.name != COMPARE:
        return ()
    names = list(config.engine.compare)
    allowed = ", ".join(ENGINES)
    if not names:
        raise InputError(f"engine.compare: [] is empty; give some of {allowed}")
    for name in names:
        if name not in ENGINES or names.count(name) > 1:
            raise InputError(f"engine.compare: {names} is not allowed; give each of {allowed} at most once")
        if name not in config.engine.engines:
            raise InputError(f"engine.engines.{name}: must be given, as engine.compare names it")
        if config.engine.engines[name].name != name:
            given = config.engine.engines[name].name
            raise InputError(f"engine.engines.{name}.name: {given!r} is not allowed; give {name!r}")
    return tuple(names)
