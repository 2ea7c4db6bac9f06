"""What the page says first: the plan, what it promises, and how it compares."""

from __future__ import annotations

from costmodel.plans import READING_ORDER
from costmodel.scores import COSTS
from search.render.document import formats
from search.render.document.engines_compared import HEADER, engine_rows
from search.render.document.sureness import kept_lines
from search.render.report.columns import describe, is_bound, ordered
from search.render.report.html import Html, bullets, details, join, table, tag
from search.render.report.view import PageView
from search.render.words import engine_list

CARDS = (
    "requests_per_s", "output_tokens_per_s", "output_tokens_per_s_per_gpu", "ttft_s", "burst_ttft_s", "tpot_s",
)  # fmt: skip


def heading(v: PageView) -> Html:
    """The page's title with the question that was asked."""
    i = v.at("input")
    asked = (
        f"{v.text('hardware.name')}, {v.text('hardware.cluster')}; {i.n('isl')} tokens in, {i.n('osl')} out; "
        f"engine {i.text('engine.name')}{' ' + i.text('engine.version') if 'engine.version' in i else ''}"
    )
    return join([tag("p", f"Deployment plan {v.text('name')}", class_="over"),
                 tag("h1", v.text("model.name")), tag("p", asked, class_="asked"),
                 tag("p", f"{v.text('run.date')}, run {v.text('run.id')}, servefront {v.text('run.version')}; SHA-256 "
                     "of config.yaml ", tag("code", v.text("run.config")), class_="asked")])  # fmt: skip


def layout(v: PageView) -> str:
    """A plan in a line."""
    return " ".join(f"{axis} {v.n(axis)}" for axis in READING_ORDER)


def summary(v: PageView) -> Html:
    """The recommended plan: its layout, its figures with intervals, and why it is the one."""
    best = v.at("mark").at("0")
    if best.text("role") != "recommended":
        return _none(v)
    chips = [tag("span", tag("b", v.n(f"chosen.{a}")), f" {describe(a).label}", class_="chip") for a in READING_ORDER]
    cards = [_card(best, name, v) for name in _cards(best, v)] + [_memory(best, v)]
    return join([
        tag("p", *chips, class_="chips"),
        tag("p", f"Taken by {engine_list(best.text('engines').replace('|', ', '))}. ",
            f"Intervals hold the measured value in 80 % of cases; coverage: {best.text('coverage')}."),
        tag("div", *cards, class_="cards"),
        bullets(_reasons(v)),
        *_engines(v),
        *_apart(v),
        comparison(v),
    ])  # fmt: skip


def _cards(best: PageView, v: PageView) -> list[str]:
    """The figures that always have a card, those that a limit bounds, and what it costs."""
    limited = [str(k.raw("figure")) for k in v.each("kept")]
    names = [*CARDS, *(n for n in limited if n not in (*CARDS, "memory_bytes_per_gpu")), *COSTS]
    return [name for name in names if name in best]


def _card(best: PageView, name: str, v: PageView) -> Html:
    span = ""
    if f"{name}_low" in best:
        low, high = best.shown(f"{name}_low"), best.shown(f"{name}_high")
        span = f"{low.removesuffix(' ' + describe(name).unit)} to {high}"
    limit = _limit(name, v)
    return tag("div", tag("span", describe(name).label, class_="label"), tag("b", best.shown(name)),
               tag("span", span, class_="span"), *limit, class_="card limited" if limit else "card")  # fmt: skip


def _limit(name: str, v: PageView) -> list[Html]:
    """What a limit on the figure says, where there is one: kept, kept by a coin flip."""
    for k in v.each("kept"):
        if k.raw("figure") == name:
            allowed = f"limit: {k.text('bound')} {formats.figure(name, k.number('allowed'))}"
            sure = "surely" not in k or k.raw("surely") == "keeps it"
            said = "" if "surely" not in k else f"; worse end of the interval {k.text('surely')}"
            share = f"; kept in {k.pct('share')} of draws" if "share" in k else ""
            return [tag("span", allowed + said + share, class_="limit" if sure else "limit tight")]
    return []


def _memory(best: PageView, v: PageView) -> Html:
    used = f"{best.gb('memory_bytes_per_gpu')} of {v.gb('input.usable_bytes')} allowed"
    return tag("div", tag("span", describe("memory_utilization").label, class_="label"),
               tag("b", best.shown("memory_utilization")), tag("span", used, class_="span"),
               *_limit("memory_bytes_per_gpu", v), class_="card limited")  # fmt: skip


def _reasons(v: PageView) -> list[Html | str]:
    d = v.at("deciding")
    name = str(d.raw("column"))
    covered = ", among those whose layout measurements cover" if "passed_over" in d else ""
    lines: list[Html | str] = [
        f"The best {describe(name).label} of the {v.n('ledger.feasible')} plans that keep every limit{covered}: "
        f"{formats.figure(name, d.number('recommended'))}."
    ]
    if "passed_over" in d:
        lines.append(
            f"Passed over: {layout(v.at('passed_over'))}, predicted to have "
            f"{formats.figure(name, d.number('passed_over'))}; no measurement covers its layout, and the recommended "
            "plan lies inside its interval."
        )
    if "runner_up" in d:
        lines.append(
            f"Runner-up with another layout: {layout(v.at('runner_up'))}, "
            f"{formats.figure(name, d.number('runner_up'))}, a lead of {d.change('lead')}; {d.text('apart')}."
        )
    lines += kept_lines(v)
    for x in v.each("relaxed"):
        lines.append(
            f"Pinned by the {x.text('limit')} limit: without it {layout(x.at('plan'))} would be recommended, "
            f"{x.change('gain')}."
        )
    for end in v.each("axis_end"):
        lines.append(f"At the {end.text('side')} value of {end.text('axis')} that was tried, {end.n('value')}.")
    return lines


def _engines(v: PageView) -> list[Html]:
    if not v.children("compared"):
        return []
    return [table("Engines compared, each with its own best plan", HEADER, engine_rows(v), text=(0, 1, 6))]


def _apart(v: PageView) -> list[Html]:
    """The verdict between split and aggregated plans, where both were searched."""
    if not v.children("split.line"):
        return []
    return [tag("h3", "Split or aggregated"), bullets([line.text("text") for line in v.each("split.line")])]


def _none(v: PageView) -> Html:
    lines = [f"{m.text('name')}: {layout(m)} misses {m.text('misses')}" for m in v.each("mark")]
    return join([
        tag("p", f"No plan keeps every limit: none of {v.n('ledger.scored')} that were scored. The pictures below "
            "are about the nearest one.", class_="warn"),
        bullets(lines),
        *_engines(v),
        comparison(v),
    ])  # fmt: skip


def comparison(v: PageView) -> Html:
    """The marked plans side by side: what matters most, and on demand every further column of ``pareto.csv``."""
    marks = list(v.each("mark"))
    skip = ("role", "name", "misses")
    names = ordered(n for n in v.at("mark").children("0") if n not in skip and not is_bound(n))
    header = ["figure", *(m.text("name") for m in marks)]
    first = [["limits missed", *(m.text("misses") for m in marks)]]
    first += _lines(marks, [n for n in names if describe(n).shown])
    others = _lines(marks, [n for n in names if not describe(n).shown])
    return join([
        table("Marked plans side by side, in brackets the 80 % intervals", header, first),
        details("More about these plans", table("Further columns", header, others)),
    ])  # fmt: skip


def _lines(marks: list[PageView], names: list[str]) -> list[list[str]]:
    rows = []
    for name in names:
        cells = []
        for m in marks:
            shown = m.shown(name).replace("|", ", ")
            if describe(name).interval:
                shown += f" [{m.shown(f'{name}_low').split(' ')[0]} to {m.shown(f'{name}_high').split(' ')[0]}]"
            cells.append(shown)
        rows.append([describe(name).label, *cells])
    return rows
