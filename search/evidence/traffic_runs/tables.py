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
    kept = steady(predictions)
    print(f"{'error':12} {'simulated':>10} {'median':>10} {'analytic':>10}   means, of {len(kept)} runs that keep up")
    for figure in FIGURES:
        for statistic in STATISTICS:
            name = f"{figure}_{statistic}"
            errors, closed = _errors(kept, name, "simulated"), _errors(kept, name, "analytic")
            if errors:
                means = [np.mean(errors), np.median(errors), *([np.mean(closed)] if closed else [])]
                print(f"{name:12} " + " ".join(f"{100 * float(error):9.1f}%" for error in means))


def steady(predictions: Sequence[Predicted]) -> list[Predicted]:
    """Runs whose server kept up with its requests."""
    return [p for p in predictions if not p.skipped and p.run.measured.get("ttft_s_mean", math.inf) < OVERLOADED_S]


def _pair(value: float, measured: float) -> str:
    if math.isnan(value):
        return f"{'':9} {'':7}"
    error = f"{100 * (value / measured - 1.0):+6.1f}%" if math.isfinite(value) else "   over"
    return f"{value:9.4g} {error:>7}"


def _errors(predictions: Sequence[Predicted], name: str, way: str) -> list[float]:
    return [
        abs(getattr(p, way)[name] / p.run.measured[name] - 1.0)
        for p in predictions
        if name in p.run.measured and math.isfinite(getattr(p, way).get(name, math.nan))
    ]
