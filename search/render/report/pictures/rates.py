"""Requests at a rate: latencies of the chosen plan over the rate, its queue over simulated time, and the map of which
plan wins where."""

from __future__ import annotations

import math
import string
from typing import Any

import numpy as np

from search.render.palette import BLACK, BLUE, GREEN, INK, ORANGE, PALE, PURPLE, SKY, VERMILION, YELLOW
from search.render.report.columns import describe
from search.render.report.pictures import Picture, axis, line
from search.render.report.view import PageView, short

# By statistic: colour, dash and width.
LINES = {"_p50": (BLUE, "solid", 2.0), "_p90": (ORANGE, "dash", 2.0), "_p99": (VERMILION, "solid", 3.0)}
DRAWN = ("ttft_s", "tpot_s")
# Of winners, the one with most of the map first, with the colour of their letters; further ones share the last.
WINNERS = (
    (SKY, BLACK), (ORANGE, BLACK), (GREEN, "#ffffff"), (YELLOW, BLACK), (PURPLE, BLACK), (BLUE, "#ffffff"),
    (VERMILION, "#ffffff"), (PALE, BLACK),
)  # fmt: skip
NOBODY = "#ffffff"
LETTERS = string.ascii_uppercase


def knee_pictures(v: PageView) -> dict[str, Picture]:
    """One picture a latency; none in the closed loop."""
    k = v.at("knee")
    return {f"knee-{name}": _knee(k, name) for name in DRAWN} if v.children("knee") else {}


def _knee(k: PageView, name: str) -> Picture:
    column, rates = describe(name), [float(x) for x in k.column("rate")]
    wanted = k.number("wanted")
    traces: list[dict[str, Any]] = []
    for statistic, (colour, dash, width) in LINES.items():
        label = statistic.removeprefix("_")
        values = [float(x) * column.scale for x in k.column(f"{name}{statistic}")]
        hover = [f"{label} at {short(r)}/s: {short(x)} {column.unit}" for r, x in zip(rates, values, strict=True)]
        traces.append({
            "type": "scatter", "mode": "lines", "x": rates, "y": values, "name": label, "hovertext": hover,
            "hoverinfo": "text", "line": {"color": colour, "dash": dash, "width": width},
        })  # fmt: skip
        if f"simulated.{name}{statistic}" in k:
            value = k.number(f"simulated.{name}{statistic}") * column.scale
            if math.isfinite(value):
                traces.append({
                    "type": "scatter", "mode": "markers", "x": [wanted], "y": [value], "name": f"{label}, simulated",
                    "hovertext": [f"{label} simulated: {short(value)} {column.unit}"], "hoverinfo": "text",
                    "marker": {"symbol": "diamond", "size": 10, "color": colour, "line": {"color": INK, "width": 1}},
                })  # fmt: skip
    marks = [_upright(wanted, f"wanted {short(wanted)}", INK, 0.0)]
    if "most" in k and math.isfinite(k.number("most")):
        marks.append(_upright(k.number("most"), f"latency limits to {short(k.number('most'))}", VERMILION, 0.09))
    if f"limit.{name}.value" in k:
        allowed = k.number(f"limit.{name}.value") * column.scale
        shape, text = line("y", allowed, f"limit on {k.text(f'limit.{name}.statistic')}: {short(allowed)} "
                           f"{column.unit}", VERMILION)  # fmt: skip
        marks.append((shape, {**text, "y": math.log10(allowed)}))  # of a logarithmic axis
    layout = {
        "title": {"text": column.title},
        "xaxis": axis("requests/s", rangemode="tozero"),
        "yaxis": axis("", type="log", dtick="D2"),
        "height": 340,
        "shapes": [shape for shape, _ in marks],
        "annotations": [text for _, text in marks],
    }
    return {"data": traces, "layout": layout}


def _upright(at: float, said: str, colour: str, height: float) -> tuple[Any, Any]:
    shape, text = line("x", at, said, colour, across=False)
    return shape, {**text, "y": height, "yanchor": "bottom"}


def queue_pictures(v: PageView) -> dict[str, Picture]:
    """Requests inside and waiting, and the cache; none where the plan was not simulated."""
    if not v.children("queue"):
        return {}
    q = v.at("queue")
    seconds = list(q.column("seconds"))

    def steps(key: str, name: str, scale: float, colour: str, dash: str) -> dict[str, Any]:
        return {
            "type": "scatter", "mode": "lines", "x": seconds, "y": [float(x) * scale for x in q.column(key)],
            "name": name, "line": {"color": colour, "width": 1.5, "dash": dash, "shape": "hv"},
            "hovertemplate": f"%{{x:.4g}} s: %{{y:.3g}} {name}<extra></extra>",
        }  # fmt: skip

    inside = [steps("running", "running", 1.0, BLUE, "solid"), steps("waiting", "waiting", 1.0, VERMILION, "dot")]
    shared = {"xaxis": axis("simulated seconds", rangemode="tozero"), "height": 300}
    return {
        "queue-requests": {
            "data": inside,
            "layout": {
                **shared, "title": {"text": "Requests of the deployment"}, "yaxis": axis("", rangemode="tozero"),
            },
        },
        "queue-cache": {
            "data": [steps("cache", "% of the cache taken", 100.0, ORANGE, "solid")],
            "layout": {
                **shared, "title": {"text": "Fullest cache (%)"}, "yaxis": axis("", range=[0, 103]),
            },
        },
    }  # fmt: skip


def regime_pictures(v: PageView) -> dict[str, Picture]:
    """One map; none in the closed loop."""
    return {"regimes-all": _map(v.at("regime"), v.number("knee.wanted"))} if v.children("regime") else {}


def letter(place: int) -> str:
    """What a winner is called on the map."""
    return LETTERS[place] if place < len(LETTERS) else "+"


def style(place: int) -> tuple[str, str]:
    """Colour of a winner's cells and of its letters."""
    return WINNERS[min(place, len(WINNERS) - 1)]


def _map(r: PageView, wanted: float) -> Picture:
    """Rates and bounds are equally far apart on the map: both axes count cells."""
    column = describe(r.text("figure"))
    rates, bounds = ([float(x) for x in r.column(key)] for key in ("rate", "bound"))
    cells = np.array(r.column("cell"), dtype=int).reshape(len(bounds), len(rates))
    colours = [NOBODY, *(colour for colour, _ in WINNERS)]
    shown = np.where(cells < 0, 0, np.minimum(cells, len(WINNERS) - 1) + 1)
    scale = [[end / len(colours), c] for i, c in enumerate(colours) for end in (i, i + 1)]
    names = [_plan(r.at("plan").at(name)) for name in r.children("plan")]
    hover = [
        [
            f"{short(rates[j])} requests/s, {column.label} of {short(bounds[i] * column.scale)} {column.unit}<br>"
            + ("no plan keeps its limits" if cells[i, j] < 0 else f"{letter(cells[i, j])}: {names[cells[i, j]]}")
            for j in range(len(rates))
        ]
        for i in range(len(bounds))
    ]
    places = [(i, j) for i in range(len(bounds)) for j in range(len(rates)) if cells[i, j] >= 0]
    traces = [
        {
            "type": "heatmap", "z": shown.tolist(), "zmin": 0, "zmax": len(colours), "colorscale": scale,
            "showscale": False, "xgap": 1, "ygap": 1, "hovertext": hover, "hoverinfo": "text",
        },
        {
            "type": "scatter", "mode": "text", "x": [j for _, j in places], "y": [i for i, _ in places],
            "text": [letter(cells[i, j]) for i, j in places], "hoverinfo": "skip",
            "textfont": {"size": 12, "color": [style(cells[i, j])[1] for i, j in places]},
        },
    ]  # fmt: skip
    across, up = list(range(0, len(rates), 2)), list(range(0, len(bounds), 2))
    marks = [_upright(_cell(wanted, rates), f"wanted {short(wanted)}", INK, 0.0)]
    if "own" in r:
        own = r.number("own")
        shape, text = line("y", _cell(own, bounds), f"limit {short(own * column.scale)} {column.unit}", INK)
        marks.append((shape, {**text, "x": 1, "xanchor": "right"}))
    layout = {
        "title": {"text": f"{column.title} allowed"},
        "xaxis": axis("requests/s", tickvals=across, ticktext=[short(rates[j]) for j in across], showgrid=False),
        "yaxis": axis("", tickvals=up, ticktext=[short(bounds[i] * column.scale) for i in up], showgrid=False),
        "height": 440,
        "shapes": [shape for shape, _ in marks],
        "annotations": [{**text, "bgcolor": "rgba(255,255,255,0.8)"} for _, text in marks],
    }
    return {"data": traces, "layout": layout}


def _cell(value: float, knots: list[float]) -> float:
    """Where a value lies, in cells."""
    return float(np.interp(math.log(value), np.log(knots), np.arange(len(knots))))


def _plan(p: PageView) -> str:
    if "split" in p:
        return f"{p.n('gpus')} GPUs, split: {p.text('split')}"
    return f"{p.n('gpus')} GPUs, tp {p.n('tp')} ep {p.n('ep')} dp {p.n('dp')} pp {p.n('pp')} sp {p.n('sp')}"
