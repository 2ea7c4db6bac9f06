"""How far the plan depends on its inputs: the tables beside the tornado, and what the draws say."""

from __future__ import annotations

from search.render.document import formats
from search.render.document.sections.sensitivity import HEADS, range_rows, unit_row
from search.render.report.html import Html, bullets, details, join, table
from search.render.report.sections.summary import layout
from search.render.report.view import PageView


def sensitivity(v: PageView) -> Html:
    """Nothing where the run left it out."""
    s = v.at("sensitivity")
    if not v.children("sensitivity"):
        return Html("")
    parts = [bullets(_draws(s.at("draws")))] if s.children("draws") else []
    ranges = _ranges(s)
    parts.append(details("The numbers", *([ranges] if s.children("range") else []), _units(s)))
    return join(parts)


def _ranges(s: PageView) -> Html:
    rows = [[*row, x.text("source")] for x in s.each("range") for row in range_rows(x, _best)]
    header = ["input", "at", *HEADS, "limits", "recommended there", "source of the range"]
    return table(
        "Each uncertain input at the ends of its range, the others as configured", header, rows, text=(0, 6, 7, 8)
    )


def _units(s: PageView) -> Html:
    caption = (
        f"One unit more of each resource and limit; the gain is in {s.text('column')}, as configured "
        f"{formats.figure(str(s.raw('column')), s.number('value'))}"
    )
    header = ["one more", "from → to", *HEADS, "recommended then", "gain"]
    return table(caption, header, [unit_row(x, _best) for x in s.each("unit")], text=(0, 6))


def _best(x: PageView) -> str:
    if "gain" not in x:
        return "nothing is feasible"
    return layout(x.at("best")) if "best.gpus" in x else "the same"


def _draws(d: PageView) -> list[str]:
    lines = [
        f"{d.n('count')} draws over all inputs at once (seed {d.n('seed')}): the plan stays feasible in "
        f"{d.pct('feasible')} and the best in {d.pct('best')}; in {d.pct('layout')} the best plan has its layout, with "
        "this batch or another.",
    ]
    missed = [f"{m.text('limit')} in {m.pct('share')}" for m in d.each("missed")]
    if missed:
        lines.append(f"It misses {formats.listed(missed)}.")
    lines += [f"Another layout wins in {r.pct('share')}, most often as {layout(r)}." for r in d.each("rival")]
    if "robust.gpus" in d:
        r = d.at("robust")
        lines.append(f"Feasible in at least {d.pct('safe')} of the draws, and the best of those, is {layout(r)}.")
    return lines
