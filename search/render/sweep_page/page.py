"""The page: the same style, policy and bundle as ``report.html``, and a script of its own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from costmodel.plans import READING_ORDER
from search import __version__
from search.base.escape import one_line
from search.render.document import formats
from search.render.identity import today
from search.render.report.columns import describe, is_bound
from search.render.report.html import Html, json_script, tag
from search.render.report.shell import resource, whole, wrapped
from search.render.report.view import short
from search.render.sweeps import Job, Sweep
from search.render.words import figure_words

SHARED = ("unpack.js", "format.js", "theme.js", "pictures.js")
DIGITS = 5  # that count, of a figure in the data
# Figures of the page, as far as the sweep has them.
FIGURES = (
    "output_tokens_per_s_per_gpu", "output_tokens_per_s", "requests_per_s", "max_requests_per_s", "ttft_s",
    "burst_ttft_s", "tpot_s", "ttft_s_p99", "tpot_s_p99", "e2e_s", "e2e_s_p99", "goodput", "memory_utilization",
    "share_of_limit", "usd_per_million_output_tokens", "joules_per_output_token",
)  # fmt: skip
SHOWN = ("output_tokens_per_s", "output_tokens_per_s_per_gpu", "requests_per_s", "ttft_s", "tpot_s")


def render(sweep: Sweep, command: str) -> str:
    """The page as HTML; ``command`` what was typed."""
    planned = sum(job.best is not None for job in sweep.jobs)
    said = f"{formats.plural(str(len(sweep.jobs)), 'job')}, {planned} with a plan; {today()}, servefront {__version__}"
    main = [
        tag("section", tag("h2", "Fronts over each other"), _about(), *_places(), id="fronts"),
        tag("section", tag("h2", "Recommended plans"), _recommended(sweep), id="recommended"),
        tag("section", tag("h2", "Cost at the wanted traffic"), *_traffic(), id="traffic", class_="js"),
    ]
    body = [
        tag("a", "Skip to the fronts", href="#fronts", class_="skip"),
        tag("header", tag("p", "Sweep", class_="over"), tag("h1", ", ".join(map(one_line, sweep.keys)) or "one job"),
            tag("p", said, class_="asked"), tag("p", tag("code", command), class_="asked")),
        tag("main", *main),
        tag("footer", "Figures are predictions of an analytic model, not measurements."),
        json_script("data", _data(sweep)),
    ]  # fmt: skip
    return whole("Sweep", body, sweep_script())


def _about() -> Html:
    return tag("p", "Each job's exact front in its colour, its recommended plan as a star with its 80 % intervals. "
               "The filter holds for the whole page.")  # fmt: skip


def _places() -> list[Html]:
    return [
        tag("div", id="controls", class_="controls js"),
        tag("p", id="count", class_="count", role="status", aria_live="polite"),
        tag("div", id="scatter", class_="picture tall-picture js", role="img",
            aria_label="Scatter of the jobs' fronts; the recommended plans are in the table below"),
    ]  # fmt: skip


def _traffic() -> list[Html]:
    return [
        tag("p", "How many copies of a plan of a job's front carry the traffic, and which of them costs least. The "
            "capacity is what a plan serves within its limits; in brackets the copies at the worse end of its "
            "80 % interval."),
        tag("div", id="wanted", class_="controls"),
        tag("div", tag("table", id="cost-table"), class_="scroll rows", tabindex="0", role="region",
            aria_label="Cost of each job at the wanted traffic"),
    ]  # fmt: skip


def figures_of(sweep: Sweep) -> list[str]:
    """Figures that the page shows: those it always has, and those that limits bound."""
    wanted = [*FIGURES, *sweep.limited()]
    filled = {name for job in sweep.jobs for row in job.front for name in wanted if row.get(name)}
    return [name for name in dict.fromkeys(wanted) if name in filled]


def _recommended(sweep: Sweep) -> Html:
    """A row a job, the limited figures with their intervals and chances."""
    names = [n for n in figures_of(sweep) if n in (*SHOWN, *sweep.limited(), "usd_per_million_output_tokens")]
    engines = any(row.get("engine") for job in sweep.jobs for row in job.front) and "engine" not in sweep.keys
    head = [
        "job",
        *sweep.keys,
        *(["engine"] if engines else []),
        "plan",
        *(describe(n).title for n in names),
        "limits kept in draws",
    ]
    rows = [_row(job, sweep.keys, engines, names, head) for job in sweep.jobs]
    caption = "The recommended plan of each job, in brackets the 80 % intervals"
    inside = tag("table", tag("caption", caption),
                 tag("thead", tag("tr", *(tag("th", one_line(h), scope="col") for h in head))),
                 tag("tbody", *rows, id="jobs"))  # fmt: skip
    return tag("div", inside, class_="scroll rows", tabindex="0", role="region", aria_label=caption)


def _row(job: Job, keys: Sequence[str], engines: bool, names: Sequence[str], head: Sequence[str]) -> Html:
    name = tag("a", f"job {job.name}", href=f"{job.name}/report.html") if job.has_page else f"job {job.name}"
    cells: list[str] = [one_line(job.keys[k]) for k in keys]
    if job.best is None:
        cells += [*([""] if engines else []), job.status, *("" for _ in names), ""]
    else:
        plan = job.front[job.best]
        cells += [one_line(plan.get("engine", ""))] if engines else []
        cells += [" ".join(f"{axis} {plan[axis]}" for axis in READING_ORDER)]
        cells += [_spanned(plan, n) for n in names]
        cells.append(", ".join(_kept(limit) for limit in job.limits.values()))
    labelled = [tag("td", c, data_label=one_line(h)) for c, h in zip(cells, head[1:], strict=True)]
    return tag("tr", tag("th", name, scope="row"), *labelled, data_job=job.name)


def _kept(limit: Any) -> str:
    if "figure" not in limit:
        return ""
    said = figure_words(str(limit["figure"]))
    return f"{said} {formats.percent(limit['draws'])}" if limit.get("draws") is not None else said


def _spanned(plan: Any, name: str) -> str:
    column = describe(name)
    if not plan.get(name):
        return ""
    shown = short(float(plan[name]) * column.scale)
    if plan.get(f"{name}_low"):
        ends = [short(float(plan[name + end]) * column.scale) for end in ("_low", "_high")]
        shown += f" [{ends[0]} to {ends[1]}]"
    return shown


def _data(sweep: Sweep) -> dict[str, Any]:
    """Columns, keys, and of each job its front in the units that are shown."""
    names = figures_of(sweep)
    bounds = [n + end for n in names for end in ("_low", "_high") if n + end in sweep.columns and is_bound(n + end)]
    columns = [
        {"name": n, "label": describe(n).label, "title": describe(n).title, "unit": describe(n).unit} for n in names
    ]
    jobs = [
        {
            "name": job.name, "keys": {k: one_line(job.keys[k]) for k in sweep.keys}, "best": job.best,
            "engine": [row.get("engine", "") for row in job.front],
            "plans": {axis: [int(row[axis]) for row in job.front] for axis in READING_ORDER},
            "figures": {n: [_number(row.get(n, ""), n) for row in job.front] for n in [*names, *bounds]},
        }
        for job in sweep.jobs if job.best is not None
    ]  # fmt: skip
    limited = [n for n in sweep.limited() if n in names]
    across = limited[0] if limited and "tpot_s" not in limited else "tpot_s"
    up = "output_tokens_per_s_per_gpu"
    return {
        "columns": columns,
        "keys": [one_line(k) for k in sweep.keys],
        "jobs": jobs,
        "start": {"x": across, "y": up},
    }


def _number(text: str, name: str) -> float | None:
    if not text:
        return None
    value = float(text) * describe(name).scale
    return float(f"{value:.{DIGITS}g}") if abs(value) < 1e300 else None


@cache
def sweep_script() -> str:
    """The page's own script."""
    own = (files("search.render.sweep_page") / "assets" / "sweep.js").read_text(encoding="utf-8")
    return wrapped([*map(resource, SHARED), own])
