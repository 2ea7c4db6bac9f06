"""The front: what the page's script draws and lists, and the places that it fills."""

from __future__ import annotations

from typing import Any

from search.render.document import formats
from search.render.palette import mark_of
from search.render.report.columns import describe, is_bound, ordered
from search.render.report.html import Html, details, join, tag
from search.render.report.view import PageView, rounded

FRONT_DIGITS, CLOUD_DIGITS = 6, 4  # that count; the table shows three
NOT_COLUMNS = ("row", "misses")


def scatter(v: PageView) -> Html:
    """Controls, the picture, the plan that is looked at, and how many plans there are."""
    p = v.at("points")
    shown = f"{p.n('front_shown')} plans of the front" + (
        f" (of {p.n('front')}, the best by the policy)" if p.number("front_shown") < p.number("front") else ""
    )
    if p.text("sampled") == "yes":
        others = (
            f"and a sample of the other scored plans, {p.n('shown')} of {p.n('scored')} in all, drawn with seed "
            f"{p.n('seed')}"
        )
    else:
        others = f"and every other scored plan, {p.n('scored')} in all"
    missed = [
        f"{m.n('removed')} miss the {m.text('limit')} limit first" for m in v.each("missed") if m.number("removed")
    ]
    why = f" Of all {v.n('ledger.scored')} scored plans {formats.listed(missed)}." if missed else ""
    return join([
        tag("p", f"The picture shows {shown} {others}. Bars are 80 % intervals; shapes tell the number of GPUs.{why}"),
        tag("div", id="controls", class_="controls js"),
        tag("p", id="count", class_="count", role="status", aria_live="polite"),
        tag("div", id="scatter", class_="picture tall-picture js", role="img",
            aria_label="Scatter of the plans; the table below lists the same plans"),
        tag("div", id="plan", class_="plan js", role="status", aria_live="polite"),
    ])  # fmt: skip


def plans_table(v: PageView) -> Html:
    """The place of the table; the page's script fills it."""
    return join([
        tag("p", "The filters above hold here too. A heading sorts; a number opens the plan. All columns are in "
            "pareto.csv, in this order.", class_="js"),
        details("Columns", tag("div", id="columns", class_="checks")),
        tag("div", tag("table", tag("caption", "Plans of the front"), tag("thead"), tag("tbody"), id="front-table"),
            class_="scroll tall rows", tabindex="0", role="region", aria_label="Plans of the front"),
        tag("div", id="compare", class_="controls js"),
    ])  # fmt: skip


def front_data(v: PageView) -> dict[str, Any]:
    """Columns with their labels and units, and the plans in the units that are shown."""
    names = ordered(n for n in v.children("plans") if _is_listed(v, n))
    columns = []
    for name in names:
        c = describe(name)
        column = {"name": name, "label": c.label, "title": c.title, "unit": c.unit, "kind": c.kind, "shown": c.shown}
        better = v.text(f"better.{name}") if f"better.{name}" in v else None
        columns.append({**column, "interval": c.interval, "better": better})
    wanted = [n for n in v.children("plans") if n in names or is_bound(n)]
    return {
        "columns": columns,
        "front": {"row": list(v.column("plans.row"))} | _plans(v, "plans", wanted, FRONT_DIGITS),
        "cloud": _plans(v, "cloud", names, CLOUD_DIGITS) | {"misses": list(v.column("cloud.misses"))},
        "marks": [_mark(m, i, wanted) for i, m in enumerate(v.each("mark"))],
        "start": {axis: v.text(f"axes.{axis}") for axis in ("x", "y", "colour")},
    }


def _is_listed(v: PageView, name: str) -> bool:
    return name not in NOT_COLUMNS and not is_bound(name) and f"plans.{name}" in v


def _plans(v: PageView, table: str, names: list[str], digits: int) -> dict[str, Any]:
    """A column is a list, or one value where all are equal."""
    found: dict[str, Any] = {"size": len(v.column(f"{table}.batch"))}
    for name in names:
        values = list(v.column(f"{table}.{name}"))
        c = describe(name)
        if c.kind == "figure":
            values = rounded([float(x) * c.scale for x in values], digits)
        found[name] = values[0] if values and values.count(values[0]) == len(values) else values
    return found


def _mark(m: PageView, number: int, names: list[str]) -> dict[str, Any]:
    style = mark_of(m.text("role"), number)
    plan = {n: m.raw(n) if describe(n).kind != "figure" else _scaled(m, n) for n in names}
    return {"name": m.text("name"), "role": m.text("role"), "misses": m.text("misses"), "colour": style.colour,
            "symbol": style.symbol, "size": style.size, "plan": plan}  # fmt: skip


def _scaled(m: PageView, name: str) -> Any:
    return rounded([m.number(name) * describe(name).scale], FRONT_DIGITS)[0]
