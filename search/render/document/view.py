"""What the sections see: the flat mapping of values, a prefix at a time. Every figure of the document passes here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from search.base import escape
from search.render.document import formats

Value = float | int | str
Values = dict[str, Value]


def plain(value: Any) -> Value:
    """A Python number or text; infinite is only what never ends: the latency of a plan beyond its capacity."""
    if isinstance(value, str):
        return value
    number = value.item() if isinstance(value, np.generic) else value
    if isinstance(number, bool) or not isinstance(number, int | float) or not number > -np.inf:
        raise ValueError(f"{value!r} is not a number or text")
    return number


@dataclass(frozen=True)
class View:
    """``values`` below ``prefix``; keys are given without it."""

    values: Mapping[str, Value]
    prefix: str = ""
    _tree: dict[str, dict[str, None]] = field(default_factory=dict, repr=False, compare=False)  # children, once asked

    def at(self, name: object) -> Self:
        """The values whose keys start with ``name.``."""
        return type(self)(self.values, f"{self.prefix}{name}.", self._tree)

    def each(self, name: str) -> Iterator[Self]:
        """The sub-views ``name.0``, ``name.1``, ... that exist, in the order in which they were collected."""
        for child in self.children(name):
            yield self.at(name).at(child)

    def children(self, name: str) -> list[str]:
        """Names one level below ``name``, in order."""
        if not self._tree:
            for key in self.values:
                end = key.find(".")
                while end >= 0:
                    start, end = end + 1, key.find(".", end + 1)
                    self._tree.setdefault(key[:start], {})[key[start : end if end >= 0 else None]] = None
        return list(self._tree.get(f"{self.prefix}{name}.", ()))

    def __contains__(self, key: str) -> bool:
        return self.prefix + key in self.values

    def raw(self, key: str) -> Value:
        return self.values[self.prefix + key]

    def number(self, key: str) -> float:
        value = self.raw(key)
        assert not isinstance(value, str), key
        return value

    def text(self, key: str) -> str:
        """A name or a sentence, escaped."""
        return escape.markdown(self.raw(key))

    def gb(self, key: str) -> str:
        return formats.gb(self.number(key))

    def s(self, key: str) -> str:
        return formats.seconds(self.number(key))

    def n(self, key: str) -> str:
        return formats.count(self.number(key))

    def pct(self, key: str) -> str:
        return formats.percent(self.number(key))

    def change(self, key: str) -> str:
        return formats.signed_percent(self.number(key))

    def fig(self, key: str) -> str:
        """A score, by the unit in its name."""
        return formats.figure(key.rsplit(".", 1)[-1], self.number(key))
