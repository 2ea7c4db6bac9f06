"""Checks of single values, with the line that a bad one gets."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

from costmodel.fields import Quantity, words
from search.base.errors import InputError
from search.inputs.meant import meant

LONGEST = 80  # characters of an echoed value
LARGEST = 1e15  # of any number that has no bound of its own
SMALLEST = 1e-15  # of one that must be above 0: what is divided by it stays finite


def number(key: str, value: Any, low: float, high: float = math.inf, *, open_low: bool = True) -> Any:
    """``value``, a number within (low, high], or [low, high]; ``InputError`` otherwise. Without ``high`` it is at most
    ``LARGEST``, and one that must be above 0 is at least ``SMALLEST``."""
    real = not isinstance(value, bool) and isinstance(value, Real)  # NumPy's numbers are Real
    given: Any = value
    most = high if high < math.inf else LARGEST
    good = real and given <= most and (given > low and given >= SMALLEST if open_low else given >= low)
    if not good:
        bounds = Quantity("", low, high, above=open_low).span
        bounds = bounds if open_low or high == math.inf else f"from {bounds}"
        if not (real or value is None):
            raise InputError(f"{key}: {shown(value)} is not allowed; give a number {bounds}")
        usual = given is None or abs(given) <= most * LARGEST  # floats, in which the hint is computed, hold it
        hint = meant(key, given, low, high) if usual else ""
        if given is not None and high == math.inf and given > LARGEST:
            hint = f"at most {words(LARGEST)}"
        said = f"; {hint}" if hint else ""
        raise InputError(f"{key}: {shown(value, plainly=True)} is not allowed; give a number {bounds}{said}")
    return value


def shown(value: Any, *, plainly: bool = False) -> str:
    """A value as a message echoes it: no longer than is read."""
    try:
        text = str(value) if plainly else repr(value)
    except ValueError:  # an integer of more digits than Python prints
        return f"a number of {value.bit_length()} bits"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def choice(key: str, value: str, allowed: tuple[str, ...]) -> Any:
    """``value`` if it is one of ``allowed``."""
    if value not in allowed:
        raise InputError(f"{key}: {value!r} is not allowed; give one of {', '.join(allowed)}")
    return value
