"""Pictures as Plotly's JSON (traces and layout), each a function of the mapping of values alone.

Plotly reads its own tags in text: names go through ``quote``."""

from __future__ import annotations

from typing import Any

Picture = dict[str, Any]


def quote(text: str) -> str:
    """Text in which Plotly sees no tag and no entity."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis with a title that leaves room for itself."""
    return {"title": {"text": title, "standoff": 8}, "automargin": True, **more}


def hatched(shape: str) -> dict[str, Any]:
    """White hatches over a bar's own colour; none for an empty ``shape``."""
    return {"shape": shape, "fillmode": "overlay", "fgcolor": "#ffffff", "fgopacity": 0.6, "size": 7, "solidity": 0.25}


def line(axis_name: str, at: float, text: str, colour: str, *, across: bool = True) -> tuple[Any, Any]:
    """A straight line over the whole picture, at a value of one axis, and its label."""
    ends = {"x0": 0, "x1": 1, "xref": "x domain", "y0": at, "y1": at, "yref": axis_name}
    place: dict[str, Any] = {"x": 0, "xref": "x domain", "y": at, "yref": axis_name, "xanchor": "left"}
    if not across:
        ends = {"y0": 0, "y1": 1, "yref": "y domain", "x0": at, "x1": at, "xref": axis_name}
        place = {"y": 1, "yref": "y domain", "x": at, "xref": axis_name, "xanchor": "right", "yanchor": "top"}
    shape = {"type": "line", **ends, "line": {"color": colour, "width": 1.5, "dash": "dash"}}
    place.setdefault("yanchor", "bottom")
    return shape, {**place, "text": text, "showarrow": False, "font": {"color": colour, "size": 12}}
