"""Roots of many rising functions at once, each evaluated no longer than its own asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from costmodel.plans import Array, IntArray

Rising = Callable[[Array, IntArray], Array]  # values at x of shape (rows,), for the functions of those rows


def root(f: Rising, low: Array, high: Array, f_low: Array, f_high: Any, rounds: int, close: float) -> Array:
    """Where ``f`` is 0 between ``low`` and ``high``, by the Illinois form of regula falsi (Dowell and Jarratt, BIT 11,
    1971): to ``close`` in ``f`` or relative to x, or after ``rounds``. Where ``f`` is not below 0 at ``low``
    or not above it at ``high``, that."""
    f_high = f_high + 0.0 * high
    found = np.where(f_low < 0.0, high, low)
    rows = np.flatnonzero((f_high > 0.0) & (f_low < 0.0))
    low, high, f_low, f_high = low[rows], high[rows], f_low[rows], f_high[rows]
    last = np.zeros_like(low)
    for _ in range(rounds):
        if not len(rows):
            return found
        at = low - f_low * (high - low) / np.maximum(f_high - f_low, 1e-300)
        f_at = f(at, rows)
        up = f_at < 0.0
        f_low, f_high = (
            np.where(up, f_at, np.where(last < 0, f_low / 2.0, f_low)),
            np.where(up, np.where(last > 0, f_high / 2.0, f_high), f_at),
        )
        low, high, last = np.where(up, at, low), np.where(up, high, at), np.where(up, 1.0, -1.0)
        found[rows] = at
        goes_on = np.flatnonzero((np.abs(f_at) > close) & (high - low > close * high))
        if len(goes_on) < len(rows):
            rows, last = rows[goes_on], last[goes_on]
            low, high, f_low, f_high = low[goes_on], high[goes_on], f_low[goes_on], f_high[goes_on]
    found[rows] = np.where(np.abs(f_low) < np.abs(f_high), low, high)
    return found


def secants(f: Rising, guess: Array, f_guess: Array, high: Array, rounds: int, close: float) -> Array:
    """Where ``f`` is 0 between 0 and ``high``, from a ``guess``: to ``close`` in ``f`` relative to x (or in ``f``), or
    after ``rounds``."""
    found, rows = guess + 0.0, np.arange(len(guess))
    before, f_before = guess, f_guess
    at = np.clip(guess - f_guess, 0.0, high)
    for _ in range(rounds):
        f_at = f(at, rows)
        slope = (f_at - f_before) / np.where(at == before, np.inf, at - before)
        step = np.clip(at - f_at / np.where(slope > 0.01, slope, 1.0), 0.0, high[rows])
        found[rows] = step
        goes_on = np.flatnonzero(np.abs(step - at) > close * np.maximum(at, 1.0))
        if not len(goes_on):
            break
        rows, before, f_before, at = rows[goes_on], at[goes_on], f_at[goes_on], step[goes_on]
    return found
