"""Keys to the colours of several pictures at once, as small still pictures of their own."""

from __future__ import annotations

from search.render.palette import BLUE, BOUNDS, GREY, PARTS, VERMILION
from search.render.report.chart import marker
from search.render.report.html import Html, tag
from search.render.report.pictures.memory import NAMES
from search.render.report.pictures.rates import LINES
from search.render.report.pictures.tornado import ENDS
from search.render.report.view import PageView
from search.render.svg import element

SIDE = 16.0
HATCHES = {
    "/": "M-2,10 L10,-2 M2,18 L18,2",
    "x": "M0,0 L16,16 M16,0 L0,16",
    ".": "M4,4 h.1 M12,4 h.1 M4,12 h.1 M12,12 h.1",
}


def _swatch(colour: str, hatch: str) -> Html:
    square = element("rect", width=SIDE, height=SIDE, rx=2.0, fill=colour)
    if hatch in HATCHES:
        width = 3.0 if hatch == "." else 1.8
        square += element("path", d=HATCHES[hatch], stroke="#ffffff", stroke_width=width, stroke_linecap="round")
    return _drawn(square)


def _drawn(inside: str) -> Html:
    return Html(element("svg", inside, width=SIDE, height=SIDE, viewBox="0 0 16 16", aria_hidden="true"))


def _key(*entries: tuple[Html, str]) -> Html:
    return tag("ul", *(tag("li", picture, f" {name}") for picture, name in entries), class_="key")


def bounds_key(v: PageView) -> Html:
    """What bounds an operation."""
    said = {p.text("bound") for p in v.each("part")}
    return _key(*((_swatch(*style), name) for name, style in BOUNDS.items() if name in said))


def memory_key(v: PageView) -> Html:
    """What fills the memory."""
    return _key(*((_swatch(*style), NAMES[part]) for part, style in PARTS.items()))


def tornado_key(v: PageView) -> Html:
    """The ends of an input's range."""
    words = {"low": "low end of its range", "high": "high end of its range"}
    return _key(*((_swatch(*style), words[end]) for end, style in ENDS.items()))


def sweep_key(v: PageView) -> Html:
    """What the points of the curves say."""
    cross = element("path", d="M4,4 L12,12 M12,4 L4,12", stroke=GREY, stroke_width=1.6)
    return _key(
        (_drawn(marker("star", 8.0, 8.0, 6.5, fill=VERMILION)), "the plan's batch"),
        (_drawn(marker("circle", 8.0, 8.0, 4.0, fill=BLUE)), "keeps every limit"),
        (_drawn(cross), "misses a limit"),
        (_drawn(element("rect", y=3.0, width=SIDE, height=10.0, fill=BLUE, fill_opacity=0.15)), "80 % interval"),
    )


def _stroke(colour: str, width: float, dash: str = "none") -> Html:
    return _drawn(element("path", d="M0,8 L16,8", stroke=colour, stroke_width=width, stroke_dasharray=dash))


def rate_key(v: PageView) -> Html:
    """Percentiles, and the simulation."""
    dashes = {"solid": "none", "dash": "5 3"}
    lines = [
        (_stroke(colour, width, dashes[dash]), name.removeprefix("_")) for name, (colour, dash, width) in LINES.items()
    ]
    diamond = _drawn(marker("diamond", 8.0, 8.0, 5.5, fill=GREY))
    return _key(*lines, *([(diamond, "simulated")] if "knee.simulated.ttft_s_p99" in v else []))


def queue_key(v: PageView) -> Html:
    """Requests over time."""
    return _key((_stroke(BLUE, 2.0), "running"), (_stroke(VERMILION, 2.0, "2 2"), "waiting"))
