"""Colours, markers and hatches that stay apart for colour-blind readers and in grey print.

The eight colours are those of M. Okabe and K. Ito, Color Universal Design (2008). Nothing is told by colour alone:
roles also differ in marker, bounds and parts of memory in hatch.
"""

from __future__ import annotations

from dataclasses import dataclass

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY, PALE, INK, LINE = "#7A7F87", "#C3C8CF", "#1B1F24", "#DDE1E6"


@dataclass(frozen=True)
class Mark:
    """How plans of one role are drawn: ``symbol`` in Plotly's words, which ``search.render.report.chart`` draws too."""

    colour: str
    symbol: str
    size: float


ROLES = {
    "recommended": Mark(VERMILION, "star", 17.0),
    "runner-up": Mark(BLUE, "diamond", 13.0),
    "baseline": Mark(PURPLE, "square", 11.0),
    "nearest": Mark(ORANGE, "triangle-up", 13.0),
}
BASELINE_SYMBOLS = ("square", "triangle-down", "pentagon", "hexagon", "triangle-left", "triangle-right")
# Bound of an operation: colour and hatch.
BOUNDS = {
    "compute": (ORANGE, ""),
    "memory": (BLUE, "/"),
    "communication": (GREEN, "x"),
    "overhead": (GREY, "."),
}
PARTS = {
    "weights": (BLUE, ""),
    "kv_cache": (SKY, "/"),
    "activation": (ORANGE, "x"),
    "reserve": (GREY, "."),
}


def mark_of(role: str, number: int = 0) -> Mark:
    """The mark of a role; baselines take turns with their markers."""
    mark = ROLES[role]
    if role == "baseline":
        return Mark(mark.colour, BASELINE_SYMBOLS[number % len(BASELINE_SYMBOLS)], mark.size)
    return mark
