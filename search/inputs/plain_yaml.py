"""YAML of somebody else's: data and nothing else.

No tags, no aliases (a few lines of them expand to gigabytes), no key twice, no deep nesting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from search.base.errors import InputError

DEEPEST = 60  # levels; the deepest file of the catalog has six


def read_yaml(key: str, raw: bytes, holder: str, *, floats: bool = False) -> Any:
    """The one document in ``raw``; ``InputError``, begun with ``key``, where it is none that ``holder`` ("a plan") may
    be. ``floats``: ``1e-5`` is a number, as in configurations, not text, as in YAML 1.1."""
    try:
        return yaml.load(raw.decode("utf-8"), Loader=_FloatLoader if floats else _PlainLoader)
    except UnicodeDecodeError as error:
        raise InputError(f"{key}: not utf-8: byte {error.start} is {raw[error.start]:#04x}") from None
    except ValueError as error:
        raise InputError(f"{key}: cannot be read: {' '.join(str(error).split())}") from error
    except RecursionError:
        raise InputError(f"{key}: not {holder}: nested too deep") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" line {mark.line + 1}:" if mark is not None else ""
        raise InputError(f"{key}: not YAML that {holder} may hold:{where} {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{key}: not YAML that {holder} may hold: {' '.join(str(error).split())}") from error


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases and without a key that is given twice."""

    deep = 0

    def compose_node(self, parent: Any, index: int) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases are not allowed", self.get_mark())
        if self.deep >= DEEPEST:
            raise RecursionError
        self.deep += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.deep -= 1

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            name = getattr(key, "value", None)
            if not isinstance(name, str) or name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {_shown(name)} is given twice or is not text", key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: Any) -> int:
        if ":" in node.value:  # YAML 1.1 counts in sixties
            said = f"{node.value} would be the number {super().construct_yaml_int(node)}; put it in quotes"
            raise yaml.constructor.ConstructorError(None, None, said, node.start_mark)
        return super().construct_yaml_int(node)


_PlainLoader.add_constructor("tag:yaml.org,2002:int", _PlainLoader.construct_yaml_int)


class _FloatLoader(_PlainLoader):
    """``1e-5`` is a number."""


_FloatLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$", re.ASCII), list("-+.0123456789")
)


def texts(node: Any, *, keys: bool = True) -> Iterator[str]:
    """Every text in a value, and every key."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for key, value in node.items():
            if keys:
                yield from texts(key)
            yield from texts(value, keys=keys)
    elif isinstance(node, list):
        for value in node:
            yield from texts(value, keys=keys)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
