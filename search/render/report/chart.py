"""What a chart in SVG is made of: markers, scales, axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from search.render.palette import INK, LINE
from search.render.svg import element, text

# Outlines around the origin with radius 1, by Plotly's names.
SHAPES: dict[str, list[tuple[float, float]]] = {
    "square": [(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)],
    "diamond": [(0, -1.1), (1.1, 0), (0, 1.1), (-1.1, 0)],
    "triangle-up": [(0, -1.05), (1, 0.75), (-1, 0.75)],
    "triangle-down": [(0, 1.05), (1, -0.75), (-1, -0.75)],
    "triangle-left": [(-1.05, 0), (0.75, -1), (0.75, 1)],
    "triangle-right": [(1.05, 0), (-0.75, -1), (-0.75, 1)],
    "pentagon": [(math.sin(i * math.tau / 5), -math.cos(i * math.tau / 5)) for i in range(5)],
    "hexagon": [(math.sin(i * math.tau / 6), -math.cos(i * math.tau / 6)) for i in range(6)],
    "star": [
        ((1.25, 0.55)[i % 2] * math.sin(i * math.tau / 10), -(1.25, 0.55)[i % 2] * math.cos(i * math.tau / 10))
        for i in range(10)
    ],
}


def marker(symbol: str, x: float, y: float, radius: float, **attributes: str | float) -> str:
    """A marker; an unknown symbol is a circle."""
    shape = SHAPES.get(symbol)
    if shape is None:
        return element("circle", cx=x, cy=y, r=radius, **attributes)
    points = " ".join(f"{x + radius * dx:.1f},{y + radius * dy:.1f}" for dx, dy in shape)
    return element("polygon", points=points, **attributes)


@dataclass(frozen=True)
class Scale:
    """From ``low`` .. ``high`` in data, whole multiples of ``step``, to ``start`` .. ``end`` on paper."""

    low: float
    high: float
    step: float
    start: float
    end: float

    @classmethod
    def around(cls, values: Sequence[float], start: float, end: float) -> Scale:
        """Ends at whole ticks around all values."""
        low, high = min(values), max(values)
        room = (high - low) * 0.04 or abs(high) * 0.1 or 1.0
        floor = 0.0 if low >= 0 else low - room
        step = tick_step(max(low - room, floor), high + room)
        first = math.floor(max(low - room, floor) / step) * step
        return cls(first, math.ceil((high + room) / step) * step, step, start, end)

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high

    def ticks(self) -> list[float]:
        first, last = round(self.low / self.step), round(self.high / self.step)
        return [i * self.step for i in range(first, last + 1)]


def tick_step(low: float, high: float) -> float:
    """1, 2 or 5 times a power of ten, for five to ten steps."""
    raw = (high - low) / 7
    power = 10.0 ** math.floor(math.log10(raw))
    return next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= raw)


def axes(x: Scale, y: Scale, x_title: str, y_title: str) -> list[str]:
    """Grid, ticks with their numbers, titles."""
    drawn = []
    for tick in x.ticks():
        at = x.at(tick)
        drawn.append(element("line", x1=at, x2=at, y1=y.start, y2=y.end, stroke=LINE, stroke_width=1.0))
        drawn.append(text(at, y.start + 20, number(tick), text_anchor="middle"))
    for tick in y.ticks():
        at = y.at(tick)
        drawn.append(element("line", x1=x.start, x2=x.end, y1=at, y2=at, stroke=LINE, stroke_width=1.0))
        drawn.append(text(x.start - 9, at + 4, number(tick), text_anchor="end"))
    frame = f"M{x.start:g},{y.end:g} L{x.start:g},{y.start:g} L{x.end:g},{y.start:g}"
    drawn.append(element("path", d=frame, fill="none", stroke=INK, stroke_width=1.2))
    drawn.append(text((x.start + x.end) / 2, y.start + 44, x_title, text_anchor="middle", font_size=14.0))
    middle = (y.start + y.end) / 2
    turned = f"rotate(-90 {x.start - 58:g} {middle:g})"
    drawn.append(text(x.start - 58, middle, y_title, text_anchor="middle", font_size=14.0, transform=turned))
    return drawn


def number(value: float) -> str:
    """A tick's number without noise."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.6g}"
