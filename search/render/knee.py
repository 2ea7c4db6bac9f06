"""Latency against the rate of requests: the picture on which the knee is seen, and its figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from search.render.palette import BLACK, BLUE, GREY, LINE, ORANGE, VERMILION
from search.render.simulation import FIGURES, STATISTICS
from search.render.svg import Picture

WIDTH, HEIGHT = 1000.0, 420.0
SHOWN = {"p50": BLUE, "p90": ORANGE, "p99": VERMILION}
PANELS = ("ttft_s", "tpot_s")
DECADES = 3  # of the axis at most


@dataclass(frozen=True)
class Point:
    """``figures[figure][statistic]`` in seconds at ``rate`` requests a second."""

    rate: float
    figures: Mapping[str, Mapping[str, float]]


def csv_text(points: Sequence[Point]) -> str:
    """``knee.csv``: a line a rate."""
    header = ["requests_per_s", *(f"{figure}_{s}" for figure in FIGURES for s in STATISTICS)]
    rows = [
        [f"{p.rate:.6g}", *(f"{p.figures[figure][s]:.6g}" for figure in FIGURES for s in STATISTICS)] for p in points
    ]
    return "\n".join(",".join(row) for row in [header, *rows]) + "\n"


def picture(points: Sequence[Point], title: str, wanted: float | None, limits: Mapping[str, tuple[float, str]]) -> str:
    """``knee.svg``: TTFT and TPOT at each rate, with the ``wanted`` rate and limits (seconds, statistic)."""
    drawn = Picture(WIDTH, HEIGHT)
    drawn.text(60, 26, title, size=16, weight="bold")
    for i, figure in enumerate(PANELS):
        left = 70.0 + i * (WIDTH - 40.0) / 2.0
        _panel(drawn, (left, left + (WIDTH - 220.0) / 2.0, 70.0, HEIGHT - 60.0), points, figure, wanted, limits)
    for i, (name, colour) in enumerate(SHOWN.items()):
        drawn.rect(WIDTH - 300.0 + 90 * i, 34, 12, 11, colour)
        drawn.text(WIDTH - 283.0 + 90 * i, 44, name)
    said = "TTFT and TPOT, median, 90th and 99th percentile, over the rate of requests of the whole deployment."
    return drawn.render(title, said)


def _panel(
    drawn: Picture, box: tuple[float, float, float, float], points: Sequence[Point], figure: str,
    wanted: float | None, limits: Mapping[str, tuple[float, str]],
) -> None:  # fmt: skip
    left, right, top, bottom = box
    limit = limits.get(figure)
    values = [p.figures[figure][s] for p in points for s in SHOWN]
    kept = [v for v in values if math.isfinite(v) and v > 0] + ([limit[0]] if limit else [])
    low = math.floor(math.log10(min(kept, default=1e-3)))
    high = min(math.ceil(math.log10(max(kept, default=1.0)) + 1e-9), low + DECADES)
    if limit:
        high = max(high, math.ceil(math.log10(limit[0])))
    last = max([p.rate for p in points] + ([wanted] if wanted else [])) * 1.02

    def x(rate: float) -> float:
        return left + (right - left) * rate / last

    def y(value: float) -> float:
        return bottom - (bottom - top) * min(max((math.log10(value) - low) / max(high - low, 1), 0.0), 1.0)

    drawn.text(left, top - 12, FIGURES[figure], size=13, weight="bold")
    for decade in range(low, high + 1):
        drawn.line(left, y(10.0**decade), right, y(10.0**decade), LINE)
        drawn.text(left - 6, y(10.0**decade) + 4, _seconds(10.0**decade), anchor="end")
    for tick in range(5):
        drawn.text(x(last * tick / 4), bottom + 18, f"{last * tick / 4:.3g}", anchor="middle")
    drawn.text((left + right) / 2, bottom + 36, "requests a second", anchor="middle")
    for name, colour in SHOWN.items():
        line = [(x(p.rate), y(v)) for p in points if math.isfinite(v := p.figures[figure][name]) and v > 0]
        drawn.polyline(line, colour, 2.0)
    if limit:
        drawn.line(left, y(limit[0]), right, y(limit[0]), BLACK, 1.5)
        drawn.text(left + 6, y(limit[0]) - 5, f"limit on {limit[1]}: {_seconds(limit[0])}")
    if wanted:
        drawn.line(x(wanted), top, x(wanted), bottom, GREY, 1.5)
        drawn.text(x(wanted) + 4, bottom - 6, f"wanted: {wanted:.3g}/s", fill=GREY)


def _seconds(value: float) -> str:
    return f"{value:g} s" if value >= 1 else f"{value * 1e3:g} ms"
