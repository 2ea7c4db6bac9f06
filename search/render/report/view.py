"""The mapping that the report is rendered from: scalars as in plan.md's, and whole columns of plans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.base.escape import one_line
from search.render.document.view import Value, View
from search.render.report.columns import describe

Column = tuple[Value, ...]
ReportValues = dict[str, Value | Column]


@dataclass(frozen=True)
class PageView(View):
    """As ``View``; text is plain, not quoted for markdown. ``report.html`` quotes it where it becomes HTML."""

    values: Mapping[str, Any]
    prefix: str = ""

    def text(self, key: str) -> str:
        return one_line(str(self.raw(key)))

    def column(self, key: str) -> Column:
        """A whole column."""
        found: Any = self.raw(key)
        assert isinstance(found, tuple), key
        return found

    def shown(self, key: str) -> str:
        """A figure by its column's name, in the unit in which the report shows it; text as it is."""
        value = self.raw(key)
        if isinstance(value, str):
            return one_line(value)
        column = describe(key)
        number = short(value * column.scale)
        return f"{number} {column.unit}" if column.unit else number


def short(number: float) -> str:
    """Three digits that count, above that whole numbers, 0 for next to nothing: as assets/format.js has it."""
    if abs(number) < 1e-6:
        return "0"
    if float(number).is_integer() or abs(number) >= 999.5:
        return f"{number:,.0f}"
    return f"{number:.3g}"


def rounded(values: Any, digits: int) -> list[Any]:
    """Numbers with so many digits that count, for JSON; ``None`` for what has no end."""
    given = np.asarray(values, dtype=float)
    array = np.where(np.isfinite(given), given, 0.0)
    array = np.where(np.abs(array) < 1e-280, 0.0, array)  # a chance may be that small, and no power of ten that large
    with np.errstate(divide="ignore"):
        size = np.where(array == 0.0, 0.0, np.floor(np.log10(np.abs(array))))
    power = digits - 1 - size
    # Divide by whole powers of ten: x / 1e3 is the nearest number to what is meant, x * 1e-3 is not.
    up, down = 10.0 ** np.maximum(power, 0.0), 10.0 ** np.maximum(-power, 0.0)
    found = np.round(array * up / down) * down / up
    whole = [int(x) if x.is_integer() else x for x in found.tolist()]
    return [x if end else None for x, end in zip(whole, np.isfinite(given).tolist(), strict=True)]
