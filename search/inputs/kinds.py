"""Whether a composed configuration has values of the kinds that the schema asks for.

OmegaConf converts and checks single values. A list where text is meant inside a mapping, a mapping where a list is, or
a number that no arithmetic holds it takes, or fails in a way of its own. Each is named here by its key.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from search.base.errors import InputError
from search.inputs.checks import shown

MOST = 10**18  # of a whole number: the integers that arrays hold end soon after
NOT_GIVEN = "???"  # OmegaConf's word for a value that is still to come


def check_kinds(found: Any, hint: Any, key: str = "") -> None:
    """``InputError`` for the first value of ``found``, a container of plain values, that is not of ``hint``'s kind.
    Keys that the schema does not have are left to the schema."""
    if found == NOT_GIVEN:
        raise InputError(f"{key}: must be given")
    options = [option for option in get_args(hint) if option is not type(None)]
    if type(None) in get_args(hint):
        if found is None:
            return
        hint = options[0]
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        _mapping(key, found, f"give keys: {', '.join(_hints(hint))}")
        for name, value in found.items():
            check_kinds(value, _hints(hint).get(str(name), Any), f"{key}.{name}".lstrip("."))
    elif get_origin(hint) is dict:
        _mapping(key, found, "give names with values")
        for name, value in found.items():
            check_kinds(value, get_args(hint)[1], f"{key}.{name}")
    elif get_origin(hint) is list:
        if not isinstance(found, list):
            raise InputError(f"{key}: {shown(found)} is not allowed; give a list")
        for i, value in enumerate(found):
            check_kinds(value, get_args(hint)[0], f"{key}[{i}]")
    elif hint is not Any and isinstance(found, list | Mapping):
        kinds = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
        raise InputError(f"{key}: {shown(found)} is not allowed; give {kinds.get(hint, 'one value')}")
    elif hint in (int, float) and isinstance(found, int) and abs(found) > MOST:
        raise InputError(f"{key}: {shown(found, plainly=True)} is not allowed; give a number up to {MOST:g}")
    elif hint is Any:
        _any(key, found)


def _any(key: str, found: Any) -> None:
    """Values that nothing is said of: only that each is there."""
    if found == NOT_GIVEN:
        raise InputError(f"{key}: must be given")
    if isinstance(found, Mapping):
        for name, value in found.items():
            _any(f"{key}.{name}", value)
    elif isinstance(found, list):
        for i, value in enumerate(found):
            _any(f"{key}[{i}]", value)


@cache
def _hints(record: Any) -> dict[str, Any]:
    return get_type_hints(record)


def _mapping(key: str, found: Any, wanted: str) -> None:
    if not isinstance(found, Mapping):
        raise InputError(f"{key}: {shown(found)} is not allowed; {wanted}")
