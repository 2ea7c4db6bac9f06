"""Straight lines between the knots of tables, many look-ups at a time.

Knots lie on a grid that divides each octave into equal parts (1, 1.5, 2, 3, 4, 6 ... with two). A place on it is the
first bits of a floating point number (IEEE 754: exponent, then mantissa), so that a look-up needs no search.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.plans import Array, IntArray

MANTISSA = 52  # bits of a double's


@dataclass(frozen=True, eq=False)
class Knots:
    """``at`` ascending, of which those above 0 lie on the grid of 2^``halvings`` parts an octave, not all of them need
    be there; ``cells``: the knot below each place of the grid from ``first`` on."""

    at: Array
    halvings: int
    first: int
    cells: IntArray

    @classmethod
    def of(cls, at: Any, halvings: int) -> Knots:
        knots = np.asarray(at, dtype=float)
        bits = knots.view(np.int64) >> (MANTISSA - halvings)
        first, last = int(bits[knots > 0.0][0]) - 1, int(bits[-1])
        cells = np.searchsorted(bits, np.arange(first, last + 1), side="right") - 1
        return cls(knots, halvings, first, np.clip(cells, 0, len(knots) - 2))

    def place(self, x: Any) -> tuple[IntArray, Any]:
        """The knot below each ``x`` and how far beyond it that lies; further out than the last but one, that one."""
        x = np.asarray(x, dtype=float)
        bits = x.view(np.int64) >> (MANTISSA - self.halvings)
        bits -= self.first
        cell = self.cells.take(bits, mode="clip")
        return cell, x - self.at.take(cell)


@dataclass(frozen=True, eq=False)
class Lines:
    """Tables over ``knots`` and layouts, shape (knots, layouts): ``values`` and the ``slopes`` after them, flat."""

    knots: Knots
    layouts: int
    values: tuple[Array, ...]
    slopes: tuple[Array, ...]

    @classmethod
    def of(cls, knots: Knots, *tables: Array) -> Lines:
        width = np.diff(knots.at)[:, None]
        slopes = [np.concatenate([np.diff(table, axis=0) / width, np.zeros_like(table[:1])]) for table in tables]
        return cls(
            knots, tables[0].shape[1], tuple(np.ascontiguousarray(table).ravel() for table in tables),
            tuple(slope.ravel() for slope in slopes),
        )  # fmt: skip

    def at(self, x: Any, of: IntArray) -> tuple[Any, ...]:
        """Every table at ``x``, whose last axis is the plans, of layouts ``of``; beyond the knots in a straight
        line."""
        cell, beyond = self.knots.place(x)
        index = cell * self.layouts
        index += of
        return tuple(
            _add(values.take(index), beyond, slopes.take(index))
            for values, slopes in zip(self.values, self.slopes, strict=True)
        )


def _add(value: Any, beyond: Any, slope: Any) -> Any:
    slope *= beyond
    slope += value
    return slope


def power(share: Any, exponent: Any) -> Any:
    """``share ** exponent`` of shares, as good as 0 below 1e-26: numbers that small are what takes time."""
    return np.exp(np.maximum(exponent * np.log(np.maximum(share, 1e-300)), -60.0))
