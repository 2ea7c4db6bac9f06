"""What ``servefront validate`` prints of start logs."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

from search.base.escape import plain
from search.evidence.start_logs.predict import Prediction


def print_report(predictions: Sequence[Prediction]) -> None:
    """How far off weights, cache and starts are, family by family, and what was left out."""
    done = [p for p in predictions if not p.skipped]
    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else 150, highlight=False, emoji=False, markup=False)
    table = Table(
        box=box.HEAVY_HEAD if terminal else box.ASCII, title="Start logs, errors by model, accelerator and engine"
    )
    for column in ("model", "accelerator", "engine", "logs", "weights", "cache", "starts right"):
        table.add_column(column, justify="left" if column in ("model", "accelerator", "engine") else "right")
    for family in sorted({p.row.family for p in done}):
        inside = [p for p in done if p.row.family == family]
        table.add_row(*map(plain, family), str(len(inside)), *_figures(inside))
    console.print(table)
    console.print(summary(done))
    reasons = Counter(_short(p.skipped) for p in predictions if p.skipped)
    for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0])):
        console.print(plain(f"left out: {count} logs: {reason}"))


def summary(done: Sequence[Prediction]) -> str:
    """One line over all that were predicted."""
    weights, cache = weight_errors(done), cache_errors(done)
    right = [p.starts == p.row.started for p in done if p.row.started is not None]
    held = [p.low_gib <= p.row.cache_gib <= p.high_gib for p in done if np.isfinite(p.row.cache_gib)]
    parts = [f"{len(done)} logs predicted"]
    if weights.size:
        parts.append(f"weights {np.mean(weights):.1%} off in mean ({np.median(weights):.1%} in median)")
    if cache.size:
        parts.append(
            f"cache {np.mean(cache):.1%} ({np.median(cache):.1%}) of the share that is not weights; "
            f"80 % intervals hold {np.mean(held):.0%}"
        )
    if right:
        parts.append(f"starts or not right in {sum(right)} of {len(right)}")
    return "; ".join(parts)


def weight_errors(done: Sequence[Prediction]) -> NDArray[np.float64]:
    """Absolute errors of the weights, where a log prints them."""
    return np.array([abs(p.weights_gib / p.row.weights_gib - 1.0) for p in done if np.isfinite(p.row.weights_gib)])


def cache_errors(done: Sequence[Prediction]) -> NDArray[np.float64]:
    """Absolute errors of the cache, where a log prints it and the share has room beside the weights."""
    return np.array([abs(p.error) for p in done if np.isfinite(p.row.cache_gib) and p.share_gib > p.weights_gib])


def _figures(inside: Sequence[Prediction]) -> list[str]:
    weights, cache = weight_errors(inside), cache_errors(inside)
    right = [p.starts == p.row.started for p in inside if p.row.started is not None]
    return [
        f"{np.mean(weights):.1%}" if weights.size else "",
        f"{np.mean(cache):.1%}" if cache.size else "",
        f"{sum(right)} of {len(right)}" if right else "",
    ]


def _short(reason: str) -> str:
    """A reason without what names one log's model."""
    return reason if not reason.startswith(("model ", "weights ")) else reason.split(": ", 1)[-1].split(" of '")[0]
