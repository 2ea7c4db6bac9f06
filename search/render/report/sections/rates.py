"""The words and tables beside the pictures of requests at a rate."""

from __future__ import annotations

import math

from search.render.document import formats
from search.render.report.columns import describe
from search.render.report.html import Html, bullets, details, join, table, tag
from search.render.report.pictures.rates import DRAWN, letter
from search.render.report.sections.summary import layout
from search.render.report.view import PageView, short

STATISTICS = {"": "mean", "_p50": "p50", "_p90": "p90", "_p99": "p99"}


def knee(v: PageView) -> Html:
    """What the picture says at the wanted rate, and the curves."""
    if not v.children("knee"):
        return Html("")
    k = v.at("knee")
    names = [f"{name}{statistic}" for name in DRAWN for statistic in STATISTICS]
    columns = [k.column(name) for name in names]
    rows = [
        [short(float(str(rate))), *(formats.figure(n, float(str(c[i]))) for n, c in zip(names, columns, strict=True))]
        for i, rate in enumerate(k.column("rate"))
    ]
    header = ["requests/s", *(f"{describe(name).label} {said}" for name in DRAWN for said in STATISTICS.values())]
    return join([
        bullets(_said(k)),
        details("The numbers", table("Latencies of the plan at other rates, by formulas", header, rows)),
    ])  # fmt: skip


def _said(k: PageView) -> list[str]:
    wanted, most = k.number("wanted"), k.number("most") if "most" in k else math.nan
    lines = [f"{short(k.number('capacity'))} requests/s are all that it carries: from there on waiting has no end."]
    if math.isfinite(most):
        more = formats.signed_percent(most / wanted - 1.0)
        lines.insert(0, f"The first limit on a latency breaks at {short(most)} requests/s, {more} over what is wanted.")
    if "simulated.ttft_s_p99" in k:
        lines.append("Diamonds are the simulation of the same plan at the wanted rate; lines are formulas.")
    return lines


def queue(v: PageView) -> Html:
    """What was seen over time; nothing where the plan was not simulated."""
    if not v.children("queue"):
        return Html("")
    q = v.at("queue")
    return bullets([
        f"At most {q.n('most_waiting')} requests wait at a time, and the fullest cache is {q.pct('most_cache')} taken.",
        f"{q.n('preemptions')} preemptions in {q.n('seeds')} runs; the picture is the first of them.",
    ])  # fmt: skip


def regimes(v: PageView) -> Html:
    """The winners by letter, and where they take turns at the run's own limit."""
    if not v.children("regime"):
        return Html("")
    r = v.at("regime")
    shares = [str(cell) for cell in r.column("cell")]
    plans = [
        [letter(int(name)), _winner(r.at("plan").at(name)), formats.percent(shares.count(name) / len(shares))]
        for name in r.children("plan")
    ]
    parts = [table("Winners", ["", "plan", "of the map"], plans, text=(0, 1))]
    if r.children("crossing"):
        column, low, rows = describe(r.text("figure")), 0.0, []
        for c in r.each("crossing"):
            rows.append([f"{short(low)} to {short(c.number('rate'))}", c.n("gpus"), _winner(c)])
            low = c.number("rate")
        allowed = f"{short(r.number('own') * column.scale)} {column.unit}"
        caption = f"At the run's own limits ({column.label} of {allowed} and the others)"
        parts.insert(0, table(caption, ["requests/s", "GPUs", "the plan that wins"], rows, text=(0, 2)))
    said = (
        "In each cell the plan with the fewest GPUs that keeps the latency allowed there and every other limit; of "
        "those with as many, the one with the lowest. One batch of each layout takes part, which carries most. White: "
        "no plan keeps its limits."
    )
    if any("split" in r.at("plan").at(name) for name in r.children("plan")):
        said += " Split plans compete with batches of their own, without drafts."
    return join([tag("p", said), *parts])


def _winner(v: PageView) -> str:
    return f"split: {v.text('split')}" if "split" in v else layout(v)
