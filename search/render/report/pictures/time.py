"""Where the time of each pass goes: a bar an operation, coloured and hatched by what bounds it."""

from __future__ import annotations

from search.render.document import formats
from search.render.palette import BOUNDS
from search.render.report.pictures import Picture, axis, hatched, quote
from search.render.report.view import PageView

TITLES = {"decode": "Decode step", "mixed": "Step that also prefills", "prefill": "Full prefill pass"}
SMALLEST = 0.005  # of a pass: shorter operations are one bar


def time_pictures(v: PageView) -> dict[str, Picture]:
    """One picture a pass."""
    return {f"time-{phase}": _picture(v, phase) for phase in v.children("phase")}


def _picture(v: PageView, phase: str) -> Picture:
    total = v.number(f"phase.{phase}.seconds")
    parts = [p for p in v.each("part") if p.text("phase") == phase]
    shown = sorted((p for p in parts if p.number("seconds") >= SMALLEST * total), key=lambda p: p.number("seconds"))
    rest = [p for p in parts if p.number("seconds") < SMALLEST * total]
    names = [quote(p.text("name")) for p in shown]
    traces = []
    for bound, (colour, hatch) in BOUNDS.items():
        mine = [p for p in shown if p.text("bound") == bound]
        hover = [_hover(p, total) for p in mine]
        traces.append({
            "type": "bar", "orientation": "h", "name": bound, "hovertext": hover, "hoverinfo": "text",
            "x": [p.number("seconds") * 1e3 for p in mine], "y": [quote(p.text("name")) for p in mine],
            "marker": {"color": colour, "pattern": hatched(hatch)},
        })  # fmt: skip
    if rest:
        small = sum(p.number("seconds") for p in rest)
        names.insert(0, f"{len(rest)} shorter ones")
        traces.append({
            "type": "bar", "orientation": "h", "name": "several", "x": [small * 1e3], "y": [names[0]],
            "marker": {"color": "#C3C8CF"}, "hoverinfo": "text",
            "hovertext": [f"{', '.join(quote(p.text('name')) for p in rest)}: {formats.seconds(small)}"],
        })  # fmt: skip
    layout = {
        "title": {"text": f"{TITLES.get(phase, phase)}: {formats.seconds(total)}"},
        "barmode": "stack", "bargap": 0.25, "xaxis": axis("ms", rangemode="tozero"),
        "yaxis": {"automargin": True, "categoryorder": "array", "categoryarray": names, "showgrid": False},
        "height": 110 + 25 * len(names),
    }  # fmt: skip
    return {"data": traces, "layout": layout}


def _hover(p: PageView, total: float) -> str:
    share = formats.percent(p.number("seconds") / total)
    name = f"{quote(p.text('name'))} ({p.text('kind')})"
    return f"{name}: {p.s('seconds')}, {share}<br>{p.text('bound')}; {p.n('calls')} calls"
