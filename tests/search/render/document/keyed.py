"""Numbers that remember which keys they come from: formatted, they print those keys in place of digits."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from search.render.document.view import Value

OPEN, CLOSE = "⟦", "⟧"
MARK = re.compile(f"{OPEN}([^{CLOSE}]*){CLOSE}")


class Keyed(float):
    """A number of the mapping. Arithmetic keeps the keys of both sides."""

    keys: frozenset[str]

    def __new__(cls, value: float, keys: frozenset[str]) -> Keyed:
        made = super().__new__(cls, value)
        made.keys = keys
        return made

    def __format__(self, spec: str) -> str:
        format(float(self), spec)  # the specification is one that a number takes
        return OPEN + "+".join(sorted(self.keys)) + CLOSE

    __str__ = __repr__ = lambda self: format(self)


def _with_keys(name: str) -> Callable[..., Any]:
    plain = getattr(operator, name.strip("_")) if not name.startswith("__r") else None

    def method(self: Keyed, *others: Any) -> Any:
        values = [float(self), *(float(o) for o in others)]
        keys = self.keys.union(*(o.keys for o in others if isinstance(o, Keyed)))
        return Keyed(plain(*values) if plain else getattr(operator, name[3:-2])(*values[::-1]), keys)

    return method


for _name in ("add", "sub", "mul", "truediv", "floordiv"):
    setattr(Keyed, f"__{_name}__", _with_keys(f"__{_name}__"))
    setattr(Keyed, f"__r{_name}__", _with_keys(f"__r{_name}__"))
for _name in ("abs", "neg"):
    setattr(Keyed, f"__{_name}__", _with_keys(f"__{_name}__"))


# Texts that a section decides by: which unit a figure has, which sentence is written. They stay as they are.
CHOOSING = re.compile(
    r"(^deciding|\.limit\.\w+|\.verdict\.\d+)\.(column|figure)$|\.(exact|dense_split|verdict|ttft_statistic)$"
    r"|^recommended\.(engines|module\.\d+\.name)$|^front\.\d+\.note$|^input_row\.\d+\.(standing|key)$"
    r"|\.range\.\d+\.worse$|^input\.engine\.name$"
)


def keyed(values: Mapping[str, Value]) -> dict[str, Value]:
    """The same mapping with ``Keyed`` numbers, and with marks for texts: names and finished sentences are keyed as a
    whole."""

    def of(key: str, value: Value) -> Value:
        if not isinstance(value, str):
            return Keyed(value, frozenset([key]))
        return value if CHOOSING.search(key) else f"{OPEN}{key}{CLOSE}"

    return {key: of(key, value) for key, value in values.items()}


def places(text: str) -> dict[str, set[int]]:
    """The lines of a rendered text in which each key's figure stands."""
    found: dict[str, set[int]] = {}
    for number, line in enumerate(text.splitlines()):
        for keys in MARK.findall(line):
            for key in keys.split("+"):
                found.setdefault(key, set()).add(number)
    return found
