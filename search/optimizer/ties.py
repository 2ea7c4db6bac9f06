"""What counts as equal. Two ways to the same figure differ in the last bits (a fleet of 26 costs as much a token as one
of 36 of the same replicas), and neither a front nor a choice may hang on them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from costmodel.plans import Array

TIED = 1e-9  # relative. Sums of some thousand doubles differ by 1e-13; no input is known to 1e-6


def settled(values: Array) -> Array:
    """``values`` of shape (n,), each replaced by the smallest of those that it is tied to: neighbours in order that
    are no further apart than ``TIED``, so that ties are transitive. Infinite values are tied to their like."""
    if len(values) == 0:
        return values
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    starts = np.concatenate([[True], less(ranked[:-1], ranked[1:])])
    result = np.empty_like(ranked)
    result[order] = ranked[starts][np.cumsum(starts) - 1]
    return result


def less(a: Array, b: Array) -> NDArray[np.bool_]:
    """Where ``a`` is below ``b`` by more than rounding."""
    with np.errstate(invalid="ignore", over="ignore"):  # infinity less infinity, or the largest doubles apart
        apart = b - a > TIED * np.minimum(np.abs(a), np.abs(b))
    return np.where(np.isinf(a) & np.isinf(b), a < b, apart)
