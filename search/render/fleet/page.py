"""``report.html`` of a fleet: one file that runs no script and asks the network for nothing."""

from __future__ import annotations

from search import __version__
from search.optimizer.fleet.outcome import FleetOutcome
from search.render.fleet.content import Part, parts
from search.render.fleet.pictures import front_svg, pools_svg
from search.render.fleet.words import kw, taken_words, usd
from search.render.report.html import Html, bullets, details, join, table, tag
from search.render.report.shell import whole

MORE = """
.picture svg { max-width: 100%; height: auto; }
.page td { white-space: normal; }
pre { overflow: auto; padding: 10px 14px; border: 1px solid var(--line); border-radius: 10px; }
"""
LONG = ("Replicas",)  # opened on demand


def fleet_html(o: FleetOutcome) -> str:
    """The page."""
    found = parts(o)
    links = (tag("li", tag("a", part.title, href=f"#{_identity(part)}")) for part in found)
    contents = tag("nav", tag("ul", *links), aria_label="Parts of the page")
    title = (tag("p", "Fleet plan", class_="over"), tag("h1", o.fleet.name))
    body = [
        tag("a", "Skip to the plan", href="#summary", class_="skip"),
        tag("header", *title, contents),
        tag("main", *(_section(o, part) for part in found), class_="page"),
        tag("footer", f"servefront {__version__}. Figures are predictions of an analytic model, not measurements."),
    ]
    return whole(f"Fleet {o.fleet.name}", body, style=MORE)


def _identity(part: Part) -> str:
    return part.title.lower().replace(" ", "-")


def _section(o: FleetOutcome, part: Part) -> Html:
    inside: list[Html] = [tag("h2", part.title)]
    if part.title == "Summary":
        inside += [_cards(o), bullets(part.lines), tag("div", Html(pools_svg(o)), class_="picture")]
    elif part.title == "Risks and assumptions":
        inside.append(bullets(part.lines))
    else:
        inside += [tag("p", line) for line in part.lines]
    if part.title == "What less would serve":
        inside.append(tag("div", Html(front_svg(o)), class_="picture"))
    if part.table:
        whole = table(part.title, part.header, part.table, text=_words(part))
        inside.append(details(f"{len(part.table)} replicas", whole) if part.title in LONG else whole)
    if part.code:
        inside.append(tag("pre", "\n".join(part.code)))
    return tag("section", *inside, id=_identity(part))


def _words(part: Part) -> tuple[int, ...]:
    """Columns that hold words rather than numbers."""
    return tuple(i for i in range(len(part.header)) if i == 0 or not all(_is_number(row[i]) for row in part.table))


def _is_number(cell: str) -> bool:
    return cell == "-" or cell.replace(",", "").replace(".", "").replace("%", "").replace("e-", "").isdigit()


def _cards(o: FleetOutcome) -> Html:
    assert o.chosen is not None
    month = o.usd_per_month(o.chosen)
    cards = (
        ("accelerators", f"{int(o.gpus(o.chosen).sum()):,}", taken_words(o, o.chosen)),
        ("an hour", usd(o.usd_per_hour(o.chosen)), "of those that are taken"),
        ("a month", "unknown" if month is None else f"USD {month:,.0f}", "730 hours"),
        ("power at most", kw(o.power_w(o.chosen)), "limits of the boards"),
        ("served", f"{o.served(o.chosen):.1%}", f"{o.fleet.settings.growth:g} times today's traffic"),
    )
    made = (
        tag("div", tag("span", label, class_="label"), tag("b", value), tag("span", said, class_="span"), class_="card")
        for label, value, said in cards
    )
    return join([tag("div", *made, class_="cards")])
