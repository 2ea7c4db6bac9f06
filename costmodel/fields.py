"""What a field of a record may hold, said where the field is declared.

A record such as ``costmodel.engine.Engine`` annotates fields, as in ``Annotated[float, Quantity("a pass", 0, 10)]``.
Whoever reads values from people's files checks them against that (``search.inputs.derived``); the arithmetic does not.
What help and pages say of a range is ``Quantity.span``.
"""

from __future__ import annotations

import math
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Quantity:
    """A number, or a mapping to numbers, within [``low``, ``high``]; without ``low`` itself where it must be ``above``.
    ``stated``: a file must state it, although records made by hand have a default. ``meaning`` with the unit."""

    meaning: str
    low: float = 0.0
    high: float = math.inf
    above: bool = False
    stated: bool = False

    @property
    def span(self) -> str:
        """The range in words: ``above 0 to 600``, ``1 to 10,000,000``, ``from 0``."""
        first = ("above " if self.above else "from " if self.high == math.inf else "") + words(self.low)
        return first if self.high == math.inf else f"{first} to {words(self.high)}"


@dataclass(frozen=True)
class Choice:
    """One of the words ``allowed``."""

    meaning: str
    allowed: tuple[str, ...]

    @property
    def span(self) -> str:
        return ", ".join(self.allowed)


@dataclass(frozen=True)
class Declared:
    """One field: ``hint`` is its type without the declaration ``of`` it, which is ``None`` where anything of the type
    goes. ``default`` is ``dataclasses.MISSING`` where it must be given."""

    name: str
    hint: Any
    default: Any
    of: Quantity | Choice | None

    @property
    def optional(self) -> bool:
        return self.default is None


@cache
def declared(record: type) -> tuple[Declared, ...]:
    """The fields of a record in their order."""
    found = []
    hints = get_type_hints(record, include_extras=True)
    for f in fields(record):
        hint = hints[f.name]
        notes = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        of = next((note for note in notes if isinstance(note, Quantity | Choice)), None)
        default = MISSING if isinstance(of, Quantity) and of.stated else f.default
        found.append(Declared(f.name, get_args(hint)[0] if notes else hint, default, of))
    return tuple(found)


def words(bound: float) -> str:
    """A bound as people write it: counts in full, large and small quantities by their power of ten."""
    if isinstance(bound, int):
        return f"{bound:,}" if abs(bound) >= 10_000 else str(bound)
    if abs(bound) < 1e4:
        return f"{bound:g}"
    digits, _, power = f"{bound:e}".partition("e")
    return f"{float(digits):g}e{int(power)}"
