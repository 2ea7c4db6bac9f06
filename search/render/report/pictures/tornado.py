"""What moves the plan's figures: each uncertain input at the ends of its range, as bars from where the plan stands."""

from __future__ import annotations

import math

from search.render.palette import ORANGE, SKY
from search.render.report.columns import describe
from search.render.report.pictures import Picture, axis, hatched, quote
from search.render.report.view import PageView

KNOWN = ("output_tokens_per_s", "ttft_s", "burst_ttft_s", "tpot_s")  # figures that the sensitivity follows
ENDS = {"low": (SKY, "/"), "high": (ORANGE, "")}


def tornado_pictures(v: PageView) -> dict[str, Picture]:
    """One picture a figure; none where the run left the sensitivity out."""
    ranges = list(v.at("sensitivity").each("range"))
    return {f"sensitivity-{name}": _picture(ranges, name) for name in moved(v)} if ranges else {}


def moved(v: PageView) -> list[str]:
    """The throughput and the figures that limits bound, of a percentile the figure itself; without such a limit both
    latencies."""
    bounded = {str(k.raw("figure")).rpartition("_p")[0] or str(k.raw("figure")) for k in v.each("kept")}
    bounded |= {str(k.raw("figure")) for k in v.each("kept")}
    limited = [name for name in KNOWN[1:] if name in bounded]
    return [KNOWN[0], *(limited or ("ttft_s", "tpot_s"))]


def _picture(ranges: list[PageView], name: str) -> Picture:
    """The input that moves the figure most stands above."""
    moved = [x for x in ranges if all(name in x.at(end) for end in ENDS)]
    moved.sort(key=lambda x: max(abs(x.at(end).number(name)) for end in ENDS))
    traces = []
    for end, (colour, hatch) in ENDS.items():
        hover = [f"{quote(x.text('name'))} ×{x.at(end).n('factor')}: {x.at(end).change(name)}" for x in moved]
        traces.append({
            "type": "bar", "orientation": "h", "name": end, "y": [quote(x.text("name")) for x in moved],
            "x": [_length(x.at(end).number(name)) for x in moved], "hovertext": hover, "hoverinfo": "text",
            "marker": {"color": colour, "pattern": hatched(hatch)},
        })  # fmt: skip
    layout = {
        "title": {"text": describe(name).label}, "barmode": "overlay", "bargap": 0.3, "xaxis": axis("change, %"),
        "yaxis": {"automargin": True, "showgrid": False}, "height": 110 + 30 * len(moved),
    }  # fmt: skip
    return {"data": traces, "layout": layout}


def _length(change: float) -> float | None:
    """Of a bar, in per cent; none where the figure has no end."""
    return 100 * change if math.isfinite(change) else None
