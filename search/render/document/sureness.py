"""Each limit beside the interval and the share of draws that keep it, in words for plan.md and the report alike."""

from __future__ import annotations

from costmodel.plans import READING_ORDER
from search.render.document import formats
from search.render.document.view import View
from search.render.words import figure_words


def kept_lines(v: View) -> list[str]:
    """One line a limit that is set, and one more where keeping them all is a coin flip."""
    lines = [_kept(k) for k in v.each("kept")]
    if v.children("flip"):
        lines.append(flip_line(v.at("flip")))
    return lines


def _kept(k: View) -> str:
    name = str(k.raw("figure"))

    def shown(key: str) -> str:
        return formats.figure(name, k.number(key))

    line = f"{k.text('limit')} limit, {k.text('bound')} {shown('allowed')}: {shown('predicted')}"
    if "low" in k:
        line += f", {shown('low')} to {shown('high')} in the 80 % interval, whose unfavourable end {k.text('surely')}"
    return line + (f"; kept in {k.pct('share')} of the draws." if "share" in k else ".")


def flip_line(f: View) -> str:
    """Why keeping every limit is a coin flip, and the plan that is sure."""
    line = "A coin flip: the interval reaches beyond a limit, or too few draws keep them all"
    if "feasible" in f:
        line += f" ({f.pct('feasible')}; {f.pct('confidence')} would be sure)"
    if "sure.gpus" not in f:
        return line + ("; no ranked plan is sure." if "feasible" in f else ".")
    s = f.at("sure")
    degrees = ", ".join(f"{axis} {s.n(axis)}" for axis in READING_ORDER)
    price = f"{s.change('gain')} in {figure_words(f.text('column'))}"
    return f"{line}. The best sure plan: {degrees} ({s.pct('share')} of the draws), {price}."
