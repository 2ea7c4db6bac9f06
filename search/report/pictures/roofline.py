"""The chosen plan's operations under the accelerator's roofs: FLOP/s against FLOPs a byte, both logarithmic."""

from __future__ import annotations

from search.document import formats
from search.report.palette import BOUNDS, GREY, INK
from search.report.pictures import Picture, axis, quote
from search.report.view import PageView

SYMBOLS = {"decode": "circle", "prefill": "square"}  # a mixed step lies between the two
WORDS = {"decode": "decode step", "prefill": "prefill pass"}


def roofline_picture(v: PageView) -> Picture:
    """Points as large as their share of the pass."""
    points = [p for p in v.each("part") if "intensity" in p and p.text("phase") in SYMBOLS]
    rate, best = v.number("roof.bytes_per_s"), v.number("roof.achieved_bytes_per_s")
    roofs = [v.at("roof").at(c) for c in v.children("roof") if c.isdigit()]
    highest = max(r.number("peak") for r in roofs)
    reach = [p.number("intensity") for p in points] or [1.0]
    low, high = min(*reach, 1.0) / 2, max(*reach, highest / rate) * 3
    traces = []
    for r in roofs:
        for ceiling, slope, dash, words in (
            (r.number("peak"), rate, "solid", "peak"), (r.number("achieved"), best, "dot", "best achieved"),
        ):  # fmt: skip
            ridge = ceiling / slope
            name = f"{r.text('dtype')} {words}, {formats.flops_per_s(ceiling)}"
            traces.append({
                "type": "scatter", "mode": "lines", "name": name, "hoverinfo": "name", "x": [low, ridge, high],
                "y": [low * slope, ceiling, ceiling],
                "line": {"color": INK if dash == "solid" else GREY, "width": 2, "dash": dash},
            })  # fmt: skip
    for phase, symbol in SYMBOLS.items():
        for bound in BOUNDS:
            mine = [p for p in points if (p.text("phase"), p.text("bound")) == (phase, bound)]
            if mine:
                traces.append(_operations(v, mine, phase, bound, symbol))
    layout = {
        "xaxis": axis("FLOP a byte", type="log"),
        "yaxis": axis("FLOP/s", type="log", exponentformat="SI"),
        "height": 480,
        "showlegend": True,
        "hovermode": "closest",
    }
    return {"data": traces, "layout": layout}


def _operations(v: PageView, parts: list[PageView], phase: str, bound: str, symbol: str) -> Picture:
    total = v.number(f"phase.{phase}.seconds")
    shares = [p.number("seconds") / total for p in parts]
    hover = [
        f"{quote(p.text('name'))}, {WORDS[phase]}<br>{p.n('intensity')} FLOP a byte, "
        f"{formats.flops_per_s(p.number('flops_per_s'))}<br>{formats.percent(share)} of the pass, bound by {bound}"
        for p, share in zip(parts, shares, strict=True)
    ]
    marker = {"color": BOUNDS[bound][0], "symbol": symbol, "size": [9 + 22 * min(s, 1.0) ** 0.5 for s in shares],
              "opacity": 0.85, "line": {"color": "#ffffff", "width": 1}}  # fmt: skip
    # The two longest of each kind are named in the picture, the others on hover.
    longest = sorted(shares, reverse=True)[:2]
    names = [quote(p.text("name")) if s in longest else "" for p, s in zip(parts, shares, strict=True)]
    return {
        "type": "scatter", "mode": "markers+text", "name": f"{WORDS[phase]}, {bound}", "marker": marker, "text": names,
        "textposition": "bottom right", "textfont": {"size": 11}, "hovertext": hover, "hoverinfo": "text",
        "x": [p.number("intensity") for p in parts], "y": [p.number("flops_per_s") for p in parts],
    }  # fmt: skip
