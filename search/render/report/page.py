"""The page: one file with its style, its scripts, its data and Plotly inside, which asks the network for nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from search.render.report.html import Html, json_script, tag
from search.render.report.pareto import pareto_svg
from search.render.report.pictures import Picture
from search.render.report.pictures.memory import memory_picture
from search.render.report.pictures.rates import knee_pictures, queue_pictures, regime_pictures
from search.render.report.pictures.roofline import roofline_picture
from search.render.report.pictures.sweep import sweep_pictures
from search.render.report.pictures.time import time_pictures
from search.render.report.pictures.tornado import tornado_pictures
from search.render.report.sections.commands import commands
from search.render.report.sections.details import memory_details, roof_details, sweep_details, time_details
from search.render.report.sections.front import front_data, plans_table, scatter
from search.render.report.sections.inputs import inputs
from search.render.report.sections.ledger import ledger
from search.render.report.sections.legends import (
    bounds_key,
    memory_key,
    queue_key,
    rate_key,
    sweep_key,
    tornado_key,
)
from search.render.report.sections.rates import knee, queue, regimes
from search.render.report.sections.sensitivity import sensitivity
from search.render.report.sections.summary import heading, layout, summary
from search.render.report.shell import resource, whole, wrapped
from search.render.report.view import PageView

SCRIPTS = (
    "unpack.js", "format.js", "theme.js", "state.js", "controls.js", "scatter.js", "table.js", "compare.js",
    "pictures.js", "copy.js", "main.js",
)  # fmt: skip


def _nothing(v: PageView) -> Mapping[str, Picture]:
    return {}


@dataclass(frozen=True)
class Section:
    """A part of the page: ``body`` of text and tables, ``pictures`` by the identity of their places, which stand
    above the body; ``about`` in a sentence; ``key`` to their colours."""

    identity: str
    title: str
    body: Callable[[PageView], Html]
    pictures: Callable[[PageView], Mapping[str, Picture]] = _nothing
    about: str = ""
    key: Callable[[PageView], Html] | None = None


@dataclass(frozen=True)
class Part:
    """A section as it is on one page."""

    section: Section
    body: Html
    pictures: Mapping[str, Picture]


# In the order of the page. A new part is one more line here, and its values one more line of ``collect``; a part that
# has nothing to say is left out.
SECTIONS = (
    Section("summary", "The plan", summary),
    Section("commands", "Start it", commands),
    Section("front", "The front", scatter),
    Section("plans", "Plans of the front", plans_table),
    Section("rate", "Latency over the rate", knee, knee_pictures,
            "Percentiles of the plan at other rates, up to nearly its capacity.", rate_key),
    Section("queue", "Simulated over time", queue, queue_pictures,
            "The plan's requests one after the other through the engine's scheduler.", queue_key),
    Section("regimes", "Which plan at which rate", regimes, regime_pictures),
    Section("time", "Where the time goes", time_details, time_pictures,
            "Each pass of the plan by operation; colour and hatch say what bounds it.", bounds_key),
    Section("roofline", "Roofline", roof_details, lambda v: {"roofline-all": roofline_picture(v)},
            "Operations of the plan under the accelerator's roofs; the larger a point, the more of its pass it takes."),
    Section("memory", "Memory", memory_details, lambda v: {"memory-all": memory_picture(v)},
            "Bytes on the fullest accelerator against what is allowed.", memory_key),
    Section("sweep", "Other batches", sweep_details, sweep_pictures, "The plan's layout with other batches.",
            sweep_key),
    Section("sensitivity", "Sensitivity", sensitivity, tornado_pictures,
            "Each uncertain input at the ends of its range: what it does to the plan.", tornado_key),
    Section("ledger", "What the search removed", ledger),
    Section("inputs", "Inputs and their sources", inputs, about="Every figure on this page follows from these."),
)  # fmt: skip


def render(values: Mapping[str, Any]) -> str:
    """The page as HTML; a function of ``values`` alone."""
    v = PageView(values)
    parts = [Part(s, s.body(v), s.pictures(v)) for s in SECTIONS]
    present = [part for part in parts if part.body or part.pictures]
    pictures = {key: picture for part in present for key, picture in part.pictures.items()}
    data = json_script("data", {**front_data(v), "pictures": pictures})
    body = [
        tag("a", "Skip to the plan", href="#summary", class_="skip"),
        tag("header", heading(v), _contents(present)),
        tag("main", *(_section(part, v) for part in present)),
        tag("footer", f"servefront {v.text('version')}. Figures are predictions of an analytic model, not "
            "measurements. GB is 1e9 bytes."),
        data,
    ]  # fmt: skip
    return whole(f"{v.text('model.name')} on {v.text('hardware.name')}", body, page_script())


def _contents(parts: Sequence[Part]) -> Html:
    links = (tag("li", tag("a", p.section.title, href=f"#{p.section.identity}")) for p in parts)
    return tag("nav", tag("ul", *links), aria_label="Parts of the page")


def _section(part: Part, v: PageView) -> Html:
    section, pictures = part.section, part.pictures
    parts = [tag("h2", section.title)]
    if section.about:
        about = section.about
        if pictures:
            about += f" {v.text('mark.0.name').capitalize()}: {layout(v.at('chosen'))}."
        parts.append(tag("p", about))
    if pictures:
        places = (_place(key, p, section.title) for key, p in pictures.items())
        if section.key is not None:
            parts.append(section.key(v))
        parts.append(tag("div", *places, class_=f"pictures js many-{len(pictures)}"))
    if section.identity == "front":
        # Paper, and readers without scripts, get the static picture.
        parts.append(tag("div", Html(pareto_svg(v.values)), class_="static"))
    return tag("section", *parts, part.body, id=section.identity)


def _place(key: str, picture: Picture, title: str) -> Html:
    named = picture["layout"].get("title", {}).get("text", title)
    return tag("div", id=key, class_="picture", role="img", aria_label=f"{named}; the numbers are in the table below")


@cache
def page_script() -> str:
    """The page's own script."""
    return wrapped([resource(name) for name in SCRIPTS])
