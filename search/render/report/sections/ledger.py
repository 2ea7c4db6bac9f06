"""Where the points of the space went."""

from __future__ import annotations

from search.render.document import formats
from search.render.report.html import Html, join, tag
from search.render.report.view import PageView


def ledger(v: PageView) -> Html:
    """The space as a cascade: what each rule and each limit removed, what was left."""
    space, scored = v.number("ledger.space"), v.number("ledger.scored")
    rows = [_row("points of the space", "", v.number("ledger.space"), space, "kept")]
    for r in v.each("rule"):
        rows.append(_row(r.text("name"), r.text("text"), r.number("removed"), space, "removed", "rule"))
    rows.append(_row("legal plans", "an engine takes them", v.number("ledger.legal"), space, "kept"))
    if v.number("ledger.scored") != v.number("ledger.legal"):
        rows.append(_row("scored plans", "that the study asked for", scored, space, "kept"))
    for m in v.each("missed"):
        if m.number("removed"):
            rows.append(_row(m.text("limit"), "limit missed first", m.number("removed"), space, "removed", "limit"))
    rows.append(_row("feasible plans", "keep every limit", v.number("ledger.feasible"), space, "kept"))
    rows.append(_row("plans on the front", "nothing beats them in every column", v.number("ledger.front"), space,
                     "kept"))  # fmt: skip
    head = tag("tr", *(tag("th", h, scope="col", class_="t" if i < 2 else None)
                       for i, h in enumerate(("step", "why", "plans", "of the space", "share"))))  # fmt: skip
    caption = "Each point of the space once: kept, or under the first rule or limit that removes it"
    inside = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *rows), class_="ledger")
    return join([tag("div", inside, class_="scroll rows", tabindex="0", role="region", aria_label=caption), _study(v)])


def _row(name: str, why: str, n: float, of: float, kind: str, by: str = "") -> Html:
    share = n / of
    bar = tag("meter", min="0", max="1", value=f"{share:.6f}", class_=kind, aria_hidden="true")
    title = f"− {by} {name}" if by else name
    lines = [tag("span", part) for part in title.replace(" + ", "\n+ ").split("\n")]  # a rule of each engine
    return tag("tr", tag("th", *lines, scope="row"), tag("td", why, class_="t"),
               tag("td", formats.count(n), data_label="plans"),
               tag("td", formats.percent(share), data_label="of the space"),
               tag("td", bar, class_="bar"), class_=kind)  # fmt: skip


def _study(v: PageView) -> Html:
    o = v.at("optuna")
    text = f"Sampler {o.text('sampler')}, seed {o.text('seed')}"
    if "trials" in o:
        text += f": {o.n('trials')} trials, {o.n('repeats')} of them of plans that had been scored before"
    if "share" in o:
        text += f"; they reach {100 * o.number('share'):.2f} % of the exact front's hypervolume"
    exact = "exact" if v.text("ledger.exact") == "yes" else "of what was scored, not proved exact"
    return tag("p", f"{text}. The front is {exact}.")
