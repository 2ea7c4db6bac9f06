"""``pareto.svg``: the front as a still picture for documents, a function of the mapping of values alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from costmodel.plans import READING_ORDER
from search.render.palette import BLUE, GREEN, GREY, INK, ORANGE, PALE, PURPLE, SKY, Mark, mark_of
from search.render.report.chart import Scale, axes, marker
from search.render.report.columns import describe
from search.render.report.view import PageView, short
from search.render.svg import document, element, text

WIDTH, HEIGHT = 900.0, 600.0
LEFT, RIGHT, TOP, BOTTOM = 92.0, 26.0, 78.0, 128.0
MOST_CLOUD = 800  # further points would hide each other
CATEGORIES = (SKY, GREEN, ORANGE, PURPLE, BLUE, GREY)


def pareto_svg(values: Mapping[str, Any]) -> str:
    """The whole file."""
    v = PageView(values)
    across, up, colour = (describe(v.text(f"axes.{a}")) for a in ("x", "y", "colour"))
    marks = list(v.each("mark"))
    # A plan beyond its capacity has a latency without end: it stands in the legend alone.
    placed = [(i, m) for i, m in enumerate(marks) if math.isfinite(_scaled(m, across.name) + _scaled(m, up.name))]
    x = Scale.around(_reach(v, marks, across.name), LEFT, WIDTH - RIGHT)
    y = Scale.around(_reach(v, marks, up.name), HEIGHT - BOTTOM, TOP)
    kinds = sorted(set(v.column(f"plans.{colour.name}")), key=lambda k: (isinstance(k, str), k))[: len(CATEGORIES)]
    title = f"{v.text('model.name')} on {v.text('hardware.name')}"
    front = v.at("points")
    about = (
        f"{up.title} against {across.title} of {front.n('front_shown')} plans of the front"
        + (f" and a sample of {front.n('scored')} scored plans" if v.column("cloud.batch") else "")
        + "; bars are 80 % intervals"
    )
    drawn = [
        text(LEFT, 32, title, font_size=19.0, font_weight="bold"),
        text(LEFT, 54, about, fill="#4A5058"),
        *axes(x, y, across.title, up.title),
        *_cloud(v, x, y),
        *_front(v, x, y, kinds),
        *(drawn for i, m in placed for drawn in _bars(m, mark_of(m.text("role"), i), x, y)),
        *(_symbol(m, mark_of(m.text("role"), i), x, y) for i, m in placed),
        *_legend(v, marks, kinds, colour.label),
    ]
    description = f"{about}. Marked: {', '.join(_said(m) for m in marks)}."
    return document(WIDTH, HEIGHT, title, description, drawn, font_size=12.5, fill=INK)


def _said(m: PageView) -> str:
    degrees = " ".join(f"{axis} {m.n(axis)}" for axis in READING_ORDER)
    return f"{m.text('name')} ({degrees})"


def _scaled(v: PageView, key: str) -> float:
    return v.number(key) * describe(key.rsplit(".", 1)[-1]).scale


def _column(v: PageView, table: str, name: str) -> list[float]:
    return [float(value) * describe(name).scale for value in v.column(f"{table}.{name}")]


def _reach(v: PageView, marks: Sequence[PageView], name: str) -> list[float]:
    """What the axis must hold: the front, and the marked plans with their bars."""
    found = _column(v, "plans", name)
    for m in marks:
        found += [_scaled(m, key) for key in (name, f"{name}_low", f"{name}_high") if key in m]
    return [value for value in found if math.isfinite(value)] or [0.0]


def _cloud(v: PageView, x: Scale, y: Scale) -> list[str]:
    across, up = (_column(v, "cloud", v.text(f"axes.{a}")) for a in ("x", "y"))
    step = max(len(across) // MOST_CLOUD, 1)
    dots = []
    for a, b in zip(across[::step], up[::step], strict=True):
        if x.holds(a) and y.holds(b):
            dots.append(element("circle", cx=round(x.at(a), 1), cy=round(y.at(b), 1), r=2.0))
    return [element("g", *dots, fill=PALE, fill_opacity=0.6)] if dots else []


def _front(v: PageView, x: Scale, y: Scale, kinds: Sequence[Any]) -> list[str]:
    across, up = (_column(v, "plans", v.text(f"axes.{a}")) for a in ("x", "y"))
    of = v.column(f"plans.{v.text('axes.colour')}")
    drawn = []
    for i, kind in enumerate(kinds):
        # Later kinds are smaller, so that plans that coincide stay visible; the last stands for all further.
        mine = [j for j, k in enumerate(of) if k == kind or (i == len(CATEGORIES) - 1 and k not in kinds)]
        dots = [marker(FRONT_SYMBOLS[i], x.at(across[j]), y.at(up[j]), max(6.2 - 2.0 * i, 3.2)) for j in mine]
        drawn.append(element("g", *dots, fill=CATEGORIES[i], stroke="#ffffff", stroke_width=0.6))
    return drawn


FRONT_SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "pentagon")


def _bars(m: PageView, style: Mark, x: Scale, y: Scale) -> list[str]:
    """The 80 % intervals of both figures, as far as they have one."""
    name_x, name_y = m.values["axes.x"], m.values["axes.y"]
    at_x, at_y = x.at(_scaled(m, name_x)), y.at(_scaled(m, name_y))
    drawn = []
    if f"{name_x}_low" in m:
        a, b = x.at(_scaled(m, f"{name_x}_low")), x.at(_scaled(m, f"{name_x}_high"))
        drawn.append(f"M{a:.1f},{at_y:.1f} H{b:.1f} M{a:.1f},{at_y - 5:.1f} v10 M{b:.1f},{at_y - 5:.1f} v10")
    if f"{name_y}_low" in m:
        a, b = y.at(_scaled(m, f"{name_y}_low")), y.at(_scaled(m, f"{name_y}_high"))
        drawn.append(f"M{at_x:.1f},{a:.1f} V{b:.1f} M{at_x - 5:.1f},{a:.1f} h10 M{at_x - 5:.1f},{b:.1f} h10")
    return [element("path", d=" ".join(drawn), stroke=style.colour, stroke_width=1.6, fill="none")] if drawn else []


def _symbol(m: PageView, style: Mark, x: Scale, y: Scale) -> str:
    at = x.at(_scaled(m, m.values["axes.x"])), y.at(_scaled(m, m.values["axes.y"]))
    return marker(style.symbol, *at, style.size / 2 + 1, fill=style.colour, stroke=INK, stroke_width=1.1)


def _legend(v: PageView, marks: Sequence[PageView], kinds: Sequence[Any], label: str) -> list[str]:
    """Two lines below the picture: the marked plans, then the kinds of the front."""
    drawn = []
    at, line = LEFT, HEIGHT - 56
    for i, m in enumerate(marks):
        style = mark_of(m.text("role"), i)
        words = m.text("name")
        if len(words) > 40:
            words = words[:39] + "…"
        if at + 26 + 6.6 * len(words) > WIDTH and at > LEFT:
            at, line = LEFT, line + 18
        drawn.append(marker(style.symbol, at, line - 4, 6.5, fill=style.colour, stroke=INK, stroke_width=1.0))
        drawn.append(text(at + 13, line, words))
        at += 34 + 6.6 * len(words)
    at, line = LEFT, line + 22
    for i, kind in enumerate(kinds):
        words = f"front, {kind if isinstance(kind, str) else short(kind)} {label}"
        drawn.append(marker(FRONT_SYMBOLS[i], at, line - 4, 4.6, fill=CATEGORIES[i]))
        drawn.append(text(at + 13, line, words))
        at += 34 + 6.6 * len(words)
    if v.column("cloud.batch"):
        drawn.append(element("circle", cx=at, cy=line - 4, r=2.6, fill=PALE))
        drawn.append(text(at + 10, line, "other scored plans"))
    return drawn
