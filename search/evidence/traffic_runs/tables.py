"""Errors of predicted runs under traffic, for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from search.base.escape import plain
from search.evidence.traffic_runs.predict import Predicted
from search.evidence.traffic_runs.rows import FIGURES, STATISTICS

OVERLOADED_S = 30.0  # mean TTFT beyond which a run measures its queue's growth


def print_report(predictions: Sequence[Predicted]) -> None:
    """A line a run with measured and simulated figures, then mean errors over the runs that were not overloaded."""
    print(f"{'run':34} {'figure':12} {'measured':>9} {'simulated':>9} {'error':>7} {'analytic':>9} {'error':>7}")
    for p in predictions:
        if p.skipped:
            print(plain(f"{p.run.name:34} not predicted: {p.skipped}"))
            continue
        for name, measured in p.run.measured.items():
            simulated, analytic = p.simulated.get(name, math.nan), p.analytic.get(name, math.nan)
            shown = [plain(f"{p.run.name[:34]:34} {name:12} {measured:9.4g}")]
            shown += [_pair(value, measured) for value in (simulated, analytic)]
            print(" ".join(shown))
    print()
    print(f"{'mean error':12} {'simulated':>10} {'analytic':>10}   of {len(steady(predictions))} runs that keep up")
    for figure in FIGURES:
        for statistic in STATISTICS:
            name = f"{figure}_{statistic}"
            ways = [_mean_error(steady(predictions), name, way) for way in ("simulated", "analytic")]
            if not math.isnan(ways[0]):
                print(f"{name:12} " + " ".join(f"{100 * w:9.1f}%" if not math.isnan(w) else f"{'':10}" for w in ways))


def steady(predictions: Sequence[Predicted]) -> list[Predicted]:
    """Runs whose server kept up with its requests."""
    return [p for p in predictions if not p.skipped and p.run.measured.get("ttft_s_mean", math.inf) < OVERLOADED_S]


def _pair(value: float, measured: float) -> str:
    if math.isnan(value):
        return f"{'':9} {'':7}"
    error = f"{100 * (value / measured - 1.0):+6.1f}%" if math.isfinite(value) else "   over"
    return f"{value:9.4g} {error:>7}"


def _mean_error(predictions: Sequence[Predicted], name: str, way: str) -> float:
    errors = [
        abs(getattr(p, way)[name] / p.run.measured[name] - 1.0)
        for p in predictions
        if name in p.run.measured and math.isfinite(getattr(p, way).get(name, math.nan))
    ]
    return float(np.mean(errors)) if errors else math.nan
