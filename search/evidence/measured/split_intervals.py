"""The intervals of split plans, from disaggregated rows, none of which took part in a fit.

Families differ by more than rows of one do, and there are few: bounds of the others hold less than 80 % of a family
that is left out. So they are stretched until they do, in the mean over families.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from costmodel.plans import Array
from search.evidence.measured.errors import measured as actual_value
from search.evidence.measured.interval_fit import NAMES, factors_of, shortfall, stretched, weighted_quantile
from search.evidence.measured.predict import predict
from search.evidence.measured.rows import Measurement

Labels = NDArray[np.str_]


def split_bounds(rows: list[Measurement]) -> dict[str, tuple[float, float]]:
    """Factors by figure of ``split``; empty without such rows."""
    apart = [p for p in predict([m for m in rows if m.regime == "disaggregated"]) if p.skipped is None]
    # DeepSeek-R1 and -V3 are one architecture, and rows under either name list the same runs.
    labels = np.array([str(p.measurement.family).replace("DeepSeek-R1", "DeepSeek-V3") for p in apart])
    found: dict[str, tuple[float, float]] = {}
    for figure, name in NAMES.items():
        attribute = "tokens_per_s_per_gpu" if figure == "output_tokens_per_s" else figure
        values = np.array([
            np.log((actual_value(p.measurement, attribute) or np.nan) / getattr(p, attribute).value) for p in apart
        ])  # fmt: skip
        known = np.isfinite(values)
        if not known.any():
            continue
        found[figure] = bounds_of(values[known], labels[known])
        own = held(values[known], labels[known])
        print(f"80 % intervals of {name}, split, hold {own:.1%} of a left-out family's rows")
    return found


def bounds_of(values: Array, labels: Labels) -> tuple[float, float]:
    """Factors that hold 80 % of a left-out family's residuals, in the mean over families; they hold 1."""
    return stretched(factors_of(values, labels), _stretch(values, labels))


def held(values: Array, labels: Labels) -> float:
    """Mean over families of the share of a family's rows inside the bounds of the others, stretched by the others."""
    shares = []
    for label in sorted(set(labels.tolist())):
        mine = labels == label
        if mine.all():
            return float("nan")
        low, high = np.log(bounds_of(values[~mine], labels[~mine]))
        shares.append(np.mean((values[mine] >= low) & (values[mine] <= high)))
    return float(np.mean(shares))


def _stretch(values: Array, labels: Labels) -> float:
    """By how much the bounds of the other families fall short of a family's rows: the 80th percentile, 1 at least."""
    short = np.ones(len(values))
    for label in set(labels.tolist()):
        mine = labels == label
        if not mine.all():
            others = factors_of(values[~mine], labels[~mine])
            short[mine] = [shortfall(value, others) for value in values[mine].tolist()]
    return max(weighted_quantile(short, labels, 0.8), 1.0)
