"""Plain data as an object of the schema, where nothing about it is odd.

OmegaConf does the same for anything that people write, and says what is wrong with it; for data whose values have the
declared kinds already that is a hundred times the work. ``fits`` takes those alone, and leaves the rest to OmegaConf.
"""

from __future__ import annotations

import dataclasses
import types
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from omegaconf import MISSING, OmegaConf

from search.base.escape import literal


class _Odd(Exception):
    """A value that is not of its declared kind."""


def record(schema: type, found: Any) -> Any:
    """``found``, plain data without references, as an object of the dataclass ``schema``; an ``OmegaConfBaseException``
    where it is none."""
    try:
        return _record(schema, found)
    except _Odd:
        plain = OmegaConf.create(literal(found))
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), plain))


@cache
def _hints(schema: type) -> dict[str, Any]:
    return get_type_hints(schema)


@cache
def _required(schema: type) -> frozenset[str]:
    """Fields that must be given, for their own sake or that of a field in them."""
    hints = _hints(schema)
    return frozenset(
        f.name
        for f in dataclasses.fields(schema)
        if f.default == MISSING or (dataclasses.is_dataclass(hints[f.name]) and _required(hints[f.name]))
    )


def _record(schema: type, found: Any) -> Any:
    if not isinstance(found, dict):
        raise _Odd
    hints = _hints(schema)
    if not hints.keys() >= found.keys() or not _required(schema) <= found.keys():
        raise _Odd
    return schema(**{name: _value(hints[name], value) for name, value in found.items()})


def _value(hint: Any, value: Any) -> Any:
    if value == MISSING and isinstance(value, str):
        raise _Odd
    if hint is Any:
        return value
    if hint is float and type(value) is int:
        return float(value)
    if hint in (str, int, float, bool):
        if type(value) is not hint:
            raise _Odd
        return value
    if dataclasses.is_dataclass(hint):
        return _record(hint, value)  # type: ignore[arg-type]
    return _container(get_origin(hint), get_args(hint), value)


def _container(origin: Any, inside: tuple[Any, ...], value: Any) -> Any:
    if origin in (Union, types.UnionType) and len(inside) == 2 and type(None) in inside:
        return None if value is None else _value(inside[inside[0] is type(None)], value)
    if origin is list and isinstance(value, list):
        return [_value(inside[0], each) for each in value]
    if origin is dict and isinstance(value, dict) and all(type(key) is str for key in value):
        return {key: _value(inside[1], each) for key, each in value.items()}
    raise _Odd
