"""How far the plan depends on its inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from search.base.escape import markdown
from search.render.document import formats
from search.render.document.formats import bullets, listed, table
from search.render.document.sections.first_page import degrees
from search.render.document.view import View
from search.render.words import figure_words

FIGURES = ("output_tokens_per_s", "ttft_s", "burst_ttft_s", "tpot_s")
HEADS = ("tokens/s", "TTFT", "burst", "TPOT")
LEFT_OUT = "This run was made without it (`sensitivity=none`)."


def sensitivity(v: View) -> str:
    if not v.children("sensitivity"):
        return LEFT_OUT
    s = v.at("sensitivity")
    parts = []
    if s.children("range"):
        parts += [
            "Each uncertain input at the end of its range that costs most throughput: changes of the plan's figures, "
            "and the limits that it then misses.",
            _ranges(s),
        ]
    parts += [
        f"One unit more of each resource and limit: what it gains in {figure_words(s.text('column'))} over the "
        f"recommended plan's {formats.figure(str(s.raw('column')), s.number('value'))}.",
        _units(s),
        "![What moves the plan's figures](sensitivity.svg)",
        "Sources of the ranges: inputs.md; the plans recommended there: sensitivity.csv.",
    ]
    if s.children("draws"):
        parts += [_intro(s.at("draws")), _draws(s)]
    return "\n\n".join(parts)


def _ranges(s: View) -> str:
    rows = [_end(x, x.at("high" if x.raw("worse") == "high" else "low")) for x in s.each("range")]
    return table(["input", "at", *HEADS, "limits"], rows, text=(0, 6))


def range_rows(x: View, best: Callable[[Any], str]) -> list[list[str]]:
    """One input at the low and at the high end of its range; ``best`` says what would be recommended there."""
    return [[*_end(x, e), best(e)] for e in (x.at(side) for side in ("low", "high"))]


def _end(x: View, e: View) -> list[str]:
    """An input at one end."""
    return [x.text("name"), f"×{e.n('factor')}", *_changes(e), e.text("limits") if "limits" in e else ""]


def _changes(x: View) -> list[str]:
    return [x.change(f) if f in x else "" for f in FIGURES]


def _best(x: View) -> str:
    if "gain" not in x:
        return "nothing is feasible"
    if "best.gpus" not in x:
        return "the same"
    return f"{degrees(x.at('best'))}: {x.at('best').fig('output_tokens_per_s')} tokens/s"


def _units(s: View) -> str:
    rows = [[x.text("name"), _step(x), x.change("gain") if "gain" in x else "nothing is feasible"]
            for x in s.each("unit")]  # fmt: skip
    return table(["one more", "from → to", "gain"], rows)


def unit_row(x: View, best: Callable[[Any], str]) -> list[str]:
    """One unit more of a resource or a limit."""
    step = _step(x)
    gain = x.change("gain") if "gain" in x else ""
    return [x.text("name"), step, *_changes(x), best(x), gain]


def _step(x: View) -> str:
    unit = str(x.raw("unit"))
    return f"{_amount(x, 'before', unit)} → {_amount(x, 'after', unit)}"


def _amount(x: View, key: str, unit: str) -> str:
    """A resource or limit by its unit."""
    value = x.number(key)
    known = {
        "bytes": formats.gb,
        "bytes/s": formats.bytes_per_s,
        "FLOP/s": formats.flops_per_s,
        "s": formats.seconds,
        "share": formats.percent,
    }
    return known[unit](value) if unit in known else f"{formats.count(value)} {markdown(unit)}"


def _intro(d: View) -> str:
    return f"{d.n('count')} draws over all inputs at once (seed {d.n('seed')}; docs/sensitivity.md):"


def _draws(s: View) -> str:
    d = s.at("draws")
    missed = (
        listed([f"{m.text('limit')} in {m.pct('share')}" for m in d.each("missed")]) if d.children("missed") else ""
    )
    lines = [
        f"The plan stays feasible in **{d.pct('feasible')}** of the draws"
        + (f"; it misses {missed}." if missed else "."),
        f"It stays the best plan in **{d.pct('best')}**; in {d.pct('layout')} the best plan has its layout, with this "
        "batch or another.",
    ]
    if "robust.gpus" in d:
        r = d.at("robust")
        lines.append(
            f"Of the plans that stay feasible in at least {d.pct('safe')} of the draws the best is {degrees(r)} "
            f"({r.pct('share')}), {r.change('gain')} in {figure_words(s.text('column'))} as configured."
        )
    else:
        lines.append(f"No ranked plan stays feasible in {d.pct('safe')} of the draws.")
    low, high = d.at("low"), d.at("high")
    spans = [f"{h} {low.fig(f)} to {high.fig(f)}" for h, f in zip(HEADS, FIGURES, strict=True)]
    lines.append(f"Eight of ten draws of the plan lie within: {'; '.join(spans)}.")
    return bullets(lines)
