"""Checks of single values, with the line that a bad one gets."""

from __future__ import annotations

import math
from typing import Any

from search.base.errors import InputError
from search.inputs.meant import meant


def number(key: str, value: float | None, low: float, high: float = math.inf, *, open_low: bool = True) -> float:
    """``value`` within (low, high], or [low, high]; ``InputError`` otherwise."""
    good = value is not None and math.isfinite(value) and (value > low if open_low else value >= low) and value <= high
    if not good:
        bounds = f"{'above' if open_low else 'from'} {low:g}" + (f" to {high:g}" if high < math.inf else "")
        hint = meant(key, value, low, high)
        raise InputError(f"{key}: {value} is not allowed; give a number {bounds}" + (f"; {hint}" if hint else ""))
    assert value is not None
    return value


def choice(key: str, value: str, allowed: tuple[str, ...]) -> Any:
    """``value`` if it is one of ``allowed``."""
    if value not in allowed:
        raise InputError(f"{key}: {value!r} is not allowed; give one of {', '.join(allowed)}")
    return value
