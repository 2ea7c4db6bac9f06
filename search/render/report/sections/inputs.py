"""Every input with its source; assumptions stand out."""

from __future__ import annotations

from search.render.provenance import quantity
from search.render.report.html import Html, join, tag
from search.render.report.view import PageView

BADGES = {"assumption": "assumption", "source": "sourced", "choice": "asked for", "no source": "no source"}


def inputs(v: PageView) -> Html:
    """The configuration as a table, with a filter by standing."""
    rows, counts = [], v.at("standing")
    for r in v.each("input_row"):
        standing = r.text("standing")
        badge = tag("span", BADGES[standing], class_=f"badge {standing.replace(' ', '-')}")
        rows.append(tag("tr", tag("th", r.text("key"), scope="row"),
                        tag("td", quantity(r.text("key"), r.raw("value")), data_label="value"),
                        tag("td", badge, class_="t", data_label="standing"),
                        tag("td", r.text("source"), class_="t", data_label="source"),
                        data_standing=standing))  # fmt: skip
    head = tag("tr", *(tag("th", h, scope="col", class_=None if h == "value" else "t")
                       for h in ("key", "value", "standing", "source")))  # fmt: skip
    said = ", ".join(f"{counts.n(s)} {BADGES[s]}" for s in BADGES)
    options = [tag("option", "all", value="")]
    options += [tag("option", f"{BADGES[s]} ({counts.n(s)})", value=s) for s in BADGES]
    control = tag("label", "Show ", tag("select", *options, id="standing"), class_="control js")
    caption = f"Inputs: {said}"
    inside = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *rows, id="input-rows"))
    return join(
        [control, tag("div", inside, class_="scroll tall rows", tabindex="0", role="region", aria_label=caption)]
    )
