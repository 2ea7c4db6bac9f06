"""The chosen plan's operations under the accelerator's roofs: FLOP/s against FLOPs a byte, both logarithmic."""

from __future__ import annotations

import math
from collections.abc import Iterator

from search.render.document import formats
from search.render.palette import BOUNDS, GREY, INK
from search.render.report.pictures import Picture, axis, quote
from search.render.report.view import PageView

SYMBOLS = {"decode": "circle", "prefill": "square"}  # a mixed step lies between the two
WORDS = {"decode": "decode step", "prefill": "prefill pass"}
APART = 0.35  # decades between two names in the picture


def roofline_picture(v: PageView) -> Picture:
    """Points as large as their share of the pass."""
    points = [p for p in v.each("part") if "intensity" in p and p.text("phase") in SYMBOLS]
    rate = v.number("roof.bytes_per_s")
    roofs = [v.at("roof").at(c) for c in v.children("roof") if c.isdigit()]
    highest = max(r.number("peak") for r in roofs)
    reach = [p.number("intensity") for p in points] or [1.0]
    low, high = min(reach) / 2, max(*reach, highest / rate) * 3
    lowest = min([p.number("flops_per_s") for p in points] or [rate])
    traces = [*_roofs(v, roofs, low, high)]
    named = _named(v, points)
    for phase in SYMBOLS:
        for bound in BOUNDS:
            mine = [p for p in points if (p.text("phase"), p.text("bound")) == (phase, bound)]
            if mine:
                traces.append(_operations(v, mine, phase, bound, named))
    decades = [10.0**n for n in range(math.floor(math.log10(lowest)) - 1, math.ceil(math.log10(highest)) + 2)]
    layout = {
        "xaxis": axis("FLOP a byte", type="log", dtick=1, range=[math.log10(low), math.log10(high)]),
        "yaxis": axis(
            "", type="log", tickvals=decades, ticktext=[formats.flops_per_s(d) for d in decades],
            range=[math.log10(lowest) - 0.35, math.log10(highest) + 0.3],
        ),
        "height": 560,
        "showlegend": True,
        "hovermode": "closest",
    }  # fmt: skip
    return {"data": traces, "layout": layout}


def _roofs(v: PageView, roofs: list[PageView], low: float, high: float) -> Iterator[Picture]:
    """Lines of the peaks and of the best that is achieved; dtypes with equal ones share theirs."""
    rates = {"peak": v.number("roof.bytes_per_s"), "achieved": v.number("roof.achieved_bytes_per_s")}
    for key, words, dash, colour in (("peak", "peak", "solid", INK), ("achieved", "best achieved", "dot", GREY)):
        ceilings: dict[float, list[str]] = {}
        for r in roofs:
            ceilings.setdefault(r.number(key), []).append(r.text("dtype"))
        for ceiling, dtypes in ceilings.items():
            name = f"{words}, {' and '.join(dtypes)}: {formats.flops_per_s(ceiling)}"
            yield {
                "type": "scatter", "mode": "lines", "name": name, "hoverinfo": "name",
                "x": [low, ceiling / rates[key], high], "y": [low * rates[key], ceiling, ceiling],
                "line": {"color": colour, "width": 2, "dash": dash},
            }  # fmt: skip


def _share(v: PageView, part: PageView) -> float:
    return part.number("seconds") / v.number(f"phase.{part.text('phase')}.seconds")


def _named(v: PageView, points: list[PageView]) -> list[str]:
    """Operations (their prefixes) whose names the picture has room for, longest first; the others say theirs on
    hover."""
    named: list[PageView] = []
    for p in sorted(points, key=lambda p: -_share(v, p)):
        near = (abs(math.log10(p.number("intensity") / q.number("intensity"))) < APART for q in named)
        if not any(near):
            named.append(p)
    return [p.prefix for p in named]


def _operations(v: PageView, parts: list[PageView], phase: str, bound: str, named: list[str]) -> Picture:
    shares = [_share(v, p) for p in parts]
    hover = [
        f"{quote(p.text('name'))}, {WORDS[phase]}<br>{p.n('intensity')} FLOP a byte, "
        f"{formats.flops_per_s(p.number('flops_per_s'))}<br>{formats.percent(share)} of the pass, bound by {bound}"
        for p, share in zip(parts, shares, strict=True)
    ]
    sizes = [9 + 22 * min(s, 1.0) ** 0.5 for s in shares]
    marker = {"color": BOUNDS[bound][0], "symbol": SYMBOLS[phase], "size": sizes, "opacity": 0.85,
              "line": {"color": "#ffffff", "width": 1}}  # fmt: skip
    return {
        "type": "scatter", "mode": "markers+text", "name": f"{WORDS[phase]}, {bound}", "marker": marker,
        "text": [quote(p.text("name")) if p.prefix in named else "" for p in parts],
        "textposition": "bottom center", "textfont": {"size": 11}, "hovertext": hover, "hoverinfo": "text",
        "x": [p.number("intensity") for p in parts], "y": [p.number("flops_per_s") for p in parts],
    }  # fmt: skip
