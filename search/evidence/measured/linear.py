"""Log errors of predictions as linear functions of the logarithms of the constants.

Predictions are smooth in the constants and a fit moves those by a few per cent, so one table of slopes serves every fit
that leaves something out: which rows count is all that differs between them. What a fit finds is then predicted anew,
so a left-out row's error is that of the model, not of the slopes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from costmodel.plans import Array
from search.evidence.measured.cases import Case
from search.evidence.measured.grouped import Read

Key = tuple[str, str]  # (engine, generation or ``all``; constant)
Errors = Callable[[Read, Mapping[Key, float]], Array]  # of a file and constants, shape (figures, rows with a case)
STEP = 0.02  # of a logarithm, for slopes
FARTHEST = 0.7  # the farthest that one step moves a logarithm: slopes hold near where they were taken


@dataclass(frozen=True)
class Linear:
    """``errors`` (figures, rows) at the logarithms ``at`` (constants) and their ``slopes`` (figures, rows,
    constants)."""

    keys: Sequence[Key]
    at: Array
    errors: Array
    slopes: Array

    def only(self, rows: NDArray[np.bool_]) -> Linear:
        return Linear(self.keys, self.at, self.errors[:, rows], self.slopes[:, rows])

    def __call__(self, logs: Array) -> Array:
        return self.errors + self.slopes @ (logs - self.at)


def linearise(read: Read, errors: Errors, values: Mapping[Key, float], touches: Callable[[Case, Key], bool]) -> Linear:
    """Slopes by one difference each, over the rows that a constant ``touches``."""
    keys = list(values)
    logs = np.log(np.array([values[k] for k in keys]))
    base = errors(read, values)
    slopes = np.zeros((*base.shape, len(keys)))
    cases = list(read.cases.items())
    for column, key in enumerate(keys):
        mine = np.array([touches(case, key) for _, case in cases], dtype=bool)
        if not mine.any():
            continue
        part = Read(read.rows, {i: case for (i, case), kept in zip(cases, mine, strict=True) if kept}, {})
        moved = errors(part, {**values, key: values[key] * float(np.exp(STEP))})
        slopes[:, mine, column] = (moved - base[:, mine]) / STEP
    return Linear(keys, logs, base, slopes)


def solve(
    linear: Linear,
    weight: Array,
    prior: tuple[Array, Array],
    bounds: tuple[Array, Array],
    soft: float,
) -> tuple[Array, Array]:
    """The logarithms that make ``weight`` (figures, rows) times the errors small in soft_l1 of scale ``soft``, with
    linear priors: residuals ``prior[0] @ logs - prior[1]``. Returns them and the Jacobian there, priors' rows last."""
    from scipy.optimize import least_squares

    slopes = (weight[..., None] * linear.slopes).reshape(-1, len(linear.keys))
    matrix = np.concatenate([slopes, prior[0]])
    constant = np.concatenate([(weight * linear.errors).reshape(-1) - slopes @ linear.at, -prior[1]])
    low, high = np.maximum(bounds[0], linear.at - FARTHEST), np.minimum(bounds[1], linear.at + FARTHEST)
    start = np.clip(linear.at, low + 1e-6, high - 1e-6)
    found = least_squares(
        lambda logs: matrix @ logs + constant, start, jac=lambda logs: matrix, bounds=(low, high), loss="soft_l1",
        f_scale=soft, x_scale="jac",
    )  # fmt: skip
    return found.x, found.jac
