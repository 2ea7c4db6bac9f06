"""What a field of a record may hold, said where the field is declared.

A record such as ``costmodel.engine.Engine`` annotates fields, as in ``Annotated[float, Quantity("a pass", 0, 10)]``.
Whoever reads values from people's files checks them against that (``search.inputs.derived``); the arithmetic does not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
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


@dataclass(frozen=True)
class Choice:
    """One of the words ``allowed``."""

    meaning: str
    allowed: tuple[str, ...]


@dataclass(frozen=True)
class Declared:
    """One field: ``hint`` is its type without the declaration ``of`` it, which is ``None`` where anything of the type
    goes. ``default`` is ``dataclasses.MISSING`` where it must be given."""

    name: str
    hint: Any
    default: Any
    of: Quantity | Choice | None


def declared(record: type) -> Iterator[Declared]:
    """The fields of a record in their order."""
    hints = get_type_hints(record, include_extras=True)
    for f in fields(record):
        hint = hints[f.name]
        notes = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        of = next((note for note in notes if isinstance(note, Quantity | Choice)), None)
        default = MISSING if isinstance(of, Quantity) and of.stated else f.default
        yield Declared(f.name, get_args(hint)[0] if notes else hint, default, of)
