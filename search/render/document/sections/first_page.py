"""The first page: what is proposed, what it costs, which limits it keeps how surely, against what, and who decides."""

from __future__ import annotations

from costmodel.plans import READING_ORDER
from search.base.escape import markdown
from search.render.document import formats
from search.render.document.engine_words import engine_words
from search.render.document.engines_compared import HEADER, engine_rows
from search.render.document.formats import bullets, plural, table
from search.render.document.sureness import flip_line
from search.render.document.verdict import FAILING, MOST_NAMED
from search.render.document.view import View
from search.render.words import engine_list, figure_words

COMPARED = ("requests_per_s", "output_tokens_per_s", "output_tokens_per_s_per_gpu", "ttft_s", "burst_ttft_s", "tpot_s",
            "memory_utilization", "usd_per_hour", "usd_per_million_output_tokens")  # fmt: skip


def degrees(v: View) -> str:
    """A layout in one line."""
    return ", ".join(f"{a} {v.n(a)}" for a in READING_ORDER)


def summary(v: View) -> str:
    r, i = v.at("recommended"), v.at("input")
    engine = str(i.raw("engine.name"))
    runs = engine if engine in str(r.raw("engines")).split(", ") else str(r.raw("engines")).split(", ")[0]
    lines = [
        f"**{v.text('model.name')}** on **{plural(r.n('gpus'), 'GPU')}** ({v.text('hardware.name')}, "
        f"{plural(r.n('nodes'), 'node')}): {degrees(r)}, batch a replica. Engines that take it: {_engines(r)}.",
        f"Started as {engine_words(runs, r)}.",
        f"Serves {_spanned(r, 'requests_per_s')} requests/s, {_spanned(r, 'output_tokens_per_s')} output tokens/s: "
        f"{r.pct('share_of_limit')} of the physical limit. First token after {r.s('ttft_s')}, then one every "
        f"{r.s('tpot_s')}.",
        _cost(v),
    ]
    if v.children("compared"):
        lines.insert(1, f"Engine: **{v.text('input.engine.name')}**, the best of those that were compared.")
    parts = [_identity(v), bullets(lines), _limits(v)]
    if v.children("flip"):
        parts.append(flip_line(v.at("flip")))
    if v.children("compared"):
        parts.append(table(list(HEADER), engine_rows(v), text=(0, 1, 6)))
    return "\n\n".join(parts)


def _engines(r: View) -> str:
    return engine_list(r.text("engines"))


def _identity(v: View) -> str:
    rows = [
        ["date", v.text("run.date")],
        ["run", f"{v.text('run.id')}, servefront {v.text('run.version')}"],
        ["SHA-256 of config.yaml", v.text("run.config")],
    ]
    if "run.command" in v:
        # Who computes is not what was asked: the same document wherever a run was made.
        words = [w for w in str(v.raw("run.command")).split() if not w.lstrip("+").startswith(("compute", "resume="))]
        rows.append(["asked", " ".join(map(markdown, words))])  # whole, however long
    return table(["", v.text("name")], rows, text=(0, 1))


def _spanned(r: View, name: str) -> str:
    return f"{r.fig(name)} ({r.fig(name + '_low')} to {r.fig(name + '_high')})"


def _cost(v: View) -> str:
    r = v.at("recommended")
    if "usd_per_hour" not in r:
        return "Cost: not known; the hardware states no price (hardware.price_per_hour)."
    told = f", as of {v.text('hardware.price_as_of')}" if "hardware.price_as_of" in v else ""
    return (
        f"Costs {r.fig('usd_per_hour')} an hour at {formats.usd(v.number('hardware.price_per_hour'))} a GPU{told}; "
        f"{_spanned(r, 'usd_per_million_output_tokens')} per million output tokens."
    )


def _limits(v: View) -> str:
    """Each limit that is set, with the interval and the chance."""
    rows = []
    for k in v.each("kept"):
        name = str(k.raw("figure"))
        shown = [formats.figure(name, k.number(key)) for key in ("allowed", "predicted")]
        ends = [formats.figure(name, k.number(key)) for key in ("low", "high") if key in k]
        worse = f"{formats.span(*ends)}; its worse end {k.text('surely')}" if ends else "counted"
        rows.append([
            figure_words(k.text("figure")), f"{k.text('bound')} {shown[0]}", shown[1],
            k.pct("headroom"), worse, k.pct("share") if "share" in k else "not drawn",
        ])  # fmt: skip
    header = ["limit", "allowed", "predicted", "left", "80 % interval", "kept in draws"]
    return table(header, rows, text=(0, 1, 4))


def against(v: View) -> str:
    """The earlier plans beside the recommended one, and what is to be thought of their claims."""
    plans = [*v.each("baseline"), v.at("recommended")]
    if len(plans) == 1:
        return "No earlier plan was given."
    names = [b.text("name") for b in plans[:-1]] + ["recommended"]
    rows = [["layout", *(" ".join(f"{a} {p.n(a)}" for a in READING_ORDER) for p in plans)]]
    rows += [[figure_words(f), *(p.fig(f) for p in plans)] for f in COMPARED if f in plans[-1]]
    rows += [["limits", *(b.text("limits") for b in plans[:-1]), "kept"]]
    return table(["", *names], rows) + "\n\n" + bullets([*map(_verdict, plans[:-1])])


def _verdict(b: View) -> str:
    """How many of a plan's claims hold, and the ones that do not."""
    said = list(b.each("verdict"))
    if not said:
        return f"{b.text('name')} makes no claim."
    failing = [x for x in said if x.raw("verdict") in FAILING]
    text = f"Claims of {b.text('name')}: {b.n('claims.holding')} of {b.n('claims.count')} hold."
    if not failing:
        return text
    named = [f"{figure_words(x.text('claim'))} ({x.text('verdict')})" for x in failing[:MOST_NAMED]]
    more = f" and {b.n('claims.unnamed')} more" if len(failing) > len(named) else ""
    return f"{text} Not: {', '.join(named)}{more}."


ROLES = ("asked by", "prepared by", "approved by")


def decision(v: View) -> str:
    """The block for names."""
    rows = [[role, "", "", "", ""] for role in ROLES]
    return table(["", "name", "date", "approve, change or reject", "signature"], rows, text=(0, 1, 2, 3, 4))
