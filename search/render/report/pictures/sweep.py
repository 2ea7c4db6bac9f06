"""Throughput, TTFT and TPOT of the chosen layout against its batch, with 80 % bands and the limits."""

from __future__ import annotations

import math
from typing import Any

from search.render.palette import BLUE, GREY, VERMILION
from search.render.report.columns import describe
from search.render.report.pictures import Picture, axis, line, quote
from search.render.report.view import PageView

LIMITS = {"ttft_s": "ttft_s", "burst_ttft_s": "ttft_s", "tpot_s": "tpot_s"}


def swept(v: PageView) -> list[str]:
    """The figures that are drawn: the TTFT is the one that the limit is about."""
    burst = v.text("input.ttft_statistic") == "burst"
    return ["output_tokens_per_s", "ttft_s", *(["burst_ttft_s"] if burst else []), "tpot_s"]


def sweep_pictures(v: PageView) -> dict[str, Picture]:
    """One picture a figure; none where no batch keeps up with its arrivals."""
    return {f"sweep-{name}": _picture(v, name) for name in swept(v)} if v.at("sweep").column("batch") else {}


def _picture(v: PageView, name: str) -> Picture:
    s, column = v.at("sweep"), describe(name)
    batch, misses = list(s.column("batch")), [str(m) for m in s.column("misses")]

    def scaled(key: str) -> list[float]:
        return [float(x) * column.scale for x in s.column(key)]

    values, low, high = scaled(name), scaled(f"{name}_low"), scaled(f"{name}_high")
    hover = [
        f"batch {b:,}: {x:,.4g} {column.unit}<br>80 %: {lo:,.4g} to {hi:,.4g}<br>misses: {quote(m)}"
        for b, x, lo, hi, m in zip(batch, values, low, high, misses, strict=True)
    ]
    band = {"type": "scatter", "mode": "lines", "hoverinfo": "skip", "line": {"width": 0, "color": BLUE}, "x": batch}
    kept = [i for i, m in enumerate(misses) if m == "none"]
    lost = [i for i, m in enumerate(misses) if m != "none"]
    chosen = [batch.index(s.raw("chosen"))] if s.raw("chosen") in batch else []
    traces: list[dict[str, Any]] = [
        {**band, "y": low, "showlegend": False},
        {**band, "y": high, "fill": "tonexty", "fillcolor": "rgba(0,114,178,0.15)", "name": "80 % interval"},
        {"type": "scatter", "mode": "lines", "x": batch, "y": values, "line": {"color": BLUE, "width": 2},
         "hoverinfo": "skip", "showlegend": False},
        _dots("keeps every limit", kept, batch, values, hover, {"color": BLUE, "size": 7}),
        _dots("misses a limit", lost, batch, values, hover, {"color": GREY, "size": 7, "symbol": "x-thin-open"}),
        _dots("chosen batch", chosen, batch, values, hover, {"color": VERMILION, "size": 15, "symbol": "star"}),
    ]  # fmt: skip
    layout: dict[str, Any] = {
        "title": {"text": column.title},
        "xaxis": axis("batch per replica", type="log", dtick=1),
        # Where requests wait for cache the TTFT grows a hundredfold.
        "yaxis": axis("", type="log") if name.endswith("ttft_s") else axis("", rangemode="tozero"),
        "height": 300,
    }
    limit = LIMITS.get(name)
    burst = v.text("input.ttft_statistic") == "burst"
    if limit and f"input.limit.{limit}" in v and name != ("ttft_s" if burst else "burst_ttft_s"):
        allowed = v.number(f"input.limit.{limit}") * column.scale
        shape, text = line("y", allowed, f"limit {allowed:,.4g} {column.unit}", VERMILION)
        if layout["yaxis"].get("type") == "log":
            text["y"] = math.log10(allowed)  # Plotly places texts, unlike lines, by the exponent
        layout |= {"shapes": [shape], "annotations": [text]}
    return {"data": traces, "layout": layout}


def _dots(
    name: str, rows: list[int], x: list[Any], y: list[float], hover: list[str], marker: dict[str, Any]
) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "markers", "name": name, "x": [x[i] for i in rows], "y": [y[i] for i in rows],
        "hovertext": [hover[i] for i in rows], "hoverinfo": "text", "marker": marker,
    }  # fmt: skip
