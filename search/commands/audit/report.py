"""An audit as text: the layout in every engine's words, what follows, a verdict on each claim, the arithmetic."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule as Line
from rich.table import Table
from rich.text import Text

from costmodel.engine import ENGINES
from costmodel.plans import READING_ORDER
from search.base.escape import one_line
from search.commands.audit.audited import Audit
from search.render.document.case import Case, Meaning
from search.render.document.engine_words import NAMES, beware, engine_words
from search.render.document.formats import count, figure, gb, percent, plural, span
from search.render.document.plan_values import plan_values
from search.render.document.spans import known
from search.render.document.verdict import CONTRADICTS, NOT_JUDGED, OTHERWISE, Verdict
from search.render.document.view import View

WIDTH_WITHOUT_TERMINAL = 150
# Shown whether they are claimed or not.
FIGURES = (
    "output_tokens_per_s", "output_tokens_per_s_per_gpu", "ttft_s", "burst_ttft_s", "tpot_s",
    "weights_bytes_per_gpu", "kv_cache_bytes_per_gpu", "activation_bytes_per_gpu", "reserve_bytes_per_gpu",
    "memory_bytes_per_gpu", "memory_utilization", "kv_capacity_tokens", "admitted_batch",
    "decode_bandwidth_utilization", "share_of_limit",
)  # fmt: skip
STYLES = {"holds": "green", "holds, with room": "green", CONTRADICTS: "red bold", NOT_JUDGED: "yellow"}


def print_audits(audits: Sequence[Audit], origin: str) -> None:
    """Everything on standard output."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL, highlight=False)
    for audit in audits:
        for block in blocks(audit, origin):
            console.print(block, soft_wrap=isinstance(block, Text) and not sys.stdout.isatty())


Block = Text | Table | Line | Padding


def blocks(audit: Audit, origin: str) -> Iterator[Block]:
    """What is printed of one audit, top to bottom."""
    yield Line(Text(one_line(audit.name)), align="left")
    yield from _inputs(audit, origin)
    if audit.broken is not None:
        yield Text(f"The layout does not exist: it breaks {audit.broken.name}: {audit.broken.text}.", style="red bold")
        yield Text(f"  {widths(audit)}")
    if audit.scored is not None:
        yield from _layout(audit)
        yield _figures(audit)
        for x in _view(audit).each("evidence"):
            yield Text(f"  {one_line(x.raw('text'))}")
        yield from _arithmetic("Arithmetic", audit.verdicts)
        yield from _arithmetic("Claims against each other, the layout and the hardware", audit.relations)
        yield from _limits(audit)
        yield from _measured(audit)
    if audit.pool.lines and audit.launched is not None:
        yield Text(f"As a server of a split plan that {audit.launched.pool}s", style="bold")
        yield from (Text(f"  {line}") for line in audit.pool.lines)
    yield from _starting(audit)
    for finding in audit.findings:
        yield Text(f"Does not work: {one_line(finding)}.", style="red bold")
    yield Text(conclusion(audit), style="bold")
    yield Text("")


def conclusion(audit: Audit) -> str:
    """How many claims hold, in a sentence."""
    judged = [v for v in audit.verdicts if v.verdict != NOT_JUDGED]
    good = sum(v.good for v in judged)
    broken = sum(not v.good for v in audit.relations)
    if audit.broken is not None:
        return "Nothing can be said of a layout that does not exist."
    hold = "holds" if good == 1 else "hold"
    claims = f"{good} of {plural(count(len(judged)), 'claim')} {hold}" if judged else "No claim was made"
    if len(judged) < len(audit.verdicts):
        claims = f"{claims if judged else 'No claim is judged'}; {len(audit.verdicts) - len(judged)} not judged"
    return f"{claims}; {plural(count(broken), 'contradiction')}." if broken else f"{claims}; no contradiction."


def widths(audit: Audit) -> str:
    """The derived degrees of a layout that does not exist, fractions and all."""
    p = audit.plan.row(0)
    stage = p["gpus"] / (p["dp"] * p["pp"])
    text = f"{p['gpus']} GPUs / (dp {p['dp']} × pp {p['pp']}) = {stage:.4g} a stage"
    text += f"; / (tp {p['tp']} × sp {p['sp']}) = {stage / (p['tp'] * p['sp']):.4g} attention groups"
    return f"{text}; / ep {p['ep']} = {stage / p['ep']:.4g} ranks an expert"


def _inputs(audit: Audit, origin: str) -> Iterator[Text]:
    s, w = audit.scenario, audit.config.workload
    limits = s.limits
    yield Text(
        f"{one_line(s.model.name)} on {one_line(s.accelerator.name)}, {one_line(s.cluster.name)}, engine "
        f"{s.engine.name}; {count(w.isl)} tokens in, {count(w.osl)} out; {percent(limits.memory_fraction)} of "
        f"{gb(s.accelerator.memory_bytes)} usable"
    )
    yield Text(f"from {one_line(origin)}")
    lines = [*(audit.launched.settings if audit.launched else ()), *audit.notes]
    yield from (Text(f"  {one_line(line)}") for line in lines)
    if audit.launched is not None:
        ignored = audit.command.ignored if audit.command else ()
        if ignored:
            yield Text(f"  passed over, change no figure: {one_line(' '.join(ignored))}")
        for flag, reason in audit.launched.unmodelled:
            yield Text(f"  may change the figures: {one_line(flag)} ({one_line(reason)})", style="yellow")


def _view(audit: Audit) -> View:
    assert audit.scored is not None
    return View(plan_values(audit.scenario, audit.plan, audit.scored.scores, full=True))


def _layout(audit: Audit) -> Iterator[Text]:
    r = _view(audit)
    degrees = ", ".join(f"{d} {r.n(d)}" for d in READING_ORDER)
    yield Text(f"Layout: {degrees}", style="bold")
    experts = f"; experts over {r.n('ep')} ranks, each expert over {r.n('moe_tp')}" if "moe.0.experts" in r else ""
    yield Text(
        f"  {plural(r.n('dp'), 'replica')} of {plural(r.n('replica_gpus'), 'GPU')}: "
        f"{plural(r.n('pp'), 'stage')} of {r.n('stage_width')}, {plural(r.n('attn_dp'), 'attention group')} of "
        f"{r.n('tp')} tp ranks, {plural(r.n('group.most'), 'sequence')} each{experts}"
    )
    for engine in ENGINES:
        rule = audit.refusals.get(engine)
        if rule is None:
            yield Text(f"  {engine_words(engine, r)}")
        else:
            yield Text(f"  {NAMES[engine]}: refused by {rule.name}: {rule.text} ({rule.source})", style="yellow")
    warning = beware(r)
    if warning:
        yield Text(f"  {warning}")


def _figures(audit: Audit) -> Table:
    assert audit.scored is not None
    case = Case(audit.scenario, audit.plan, audit.scored.scores)
    table = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        title_justify="left",
        title=f"80 % intervals: {known(audit.scenario, audit.plan, case.scores)}",
    )
    for name in ("figure", "derived", "a claim may be", "claimed", "verdict"):
        table.add_column(name, justify="left" if name in ("figure", "verdict") else "right", no_wrap=name == "figure")
    claimed = {v.claim: v for v in audit.verdicts}
    for name in (*FIGURES, *(c for c in claimed if c not in FIGURES)):
        v = claimed.get(name)
        if audit.launched is not None and audit.launched.pool and v is None and name in audit.launched.open_figures:
            continue  # of both pools together
        if v is None or v.low is None or v.high is None:
            value = case.score(name)
            low, high = case.span(name, Meaning("", value, ""))
            table.add_row(name, figure(name, value), span(figure(name, low), figure(name, high)), "", "")
        else:
            ends = span(figure(name, v.low), figure(name, v.high))
            shown = Text("impossible" if v.impossible else _short(v), style=STYLES.get(v.verdict, "red"))
            table.add_row(name, figure(name, v.derived), ends, figure(name, v.claimed), shown)
    return table


def _short(v: Verdict) -> str:
    return "fails" if v.verdict == OTHERWISE else str(v.verdict)


def _full(v: Verdict) -> str:
    return f"fails; would hold as: {v.reading}" if v.verdict == OTHERWISE else str(v.verdict)


def _arithmetic(title: str, verdicts: Sequence[Verdict]) -> Iterator[Block]:
    if not verdicts:
        return
    yield Text(title, style="bold")
    for v in verdicts:
        style = STYLES.get(v.verdict, "red")
        yield Padding(Text.assemble(f"{v.claim}: ", (_full(v), style), f". {v.arithmetic}"), (0, 0, 0, 2))


def _measured(audit: Audit) -> Iterator[Text]:
    if audit.measured:
        yield Text("Measured", style="bold")
    for m in audit.measured:
        ends = span(figure(m.figure, m.low), figure(m.figure, m.high))
        told = m.side if not m.flagged else f"far {m.side} than predicted: look for what differs before either is used"
        line = f"  {m.figure} {figure(m.figure, m.value)}, predicted {figure(m.figure, m.derived)} ({ends}): {told}"
        yield Text(line, style="red" if m.flagged else "")


def _starting(audit: Audit) -> Iterator[Text]:
    """Whether it starts; a rule that keeps it from that in a line of its own."""
    found = audit.starting
    if found.starts == "close":
        yield Text(
            f"Starts: close; memory suffices with a chance of {found.probability or 0.0:.0%}", style="yellow bold"
        )
    elif found.starts:
        chance = "" if found.probability is None else f" (memory suffices with a chance of {found.probability:.0%})"
        yield Text(f"Starts: yes{chance}", style="green")
    elif audit.broken is None:
        yield Text("Starts: no", style="red bold")
    for why in found.why_not if audit.broken is None else ():
        yield Text(f"  {why.rule}: {one_line(why.text)}; {one_line(why.arithmetic)}", style="red")


def _limits(audit: Audit) -> Iterator[Text]:
    r = _view(audit)
    lines = []
    for name in r.children("limit"):
        x = r.at("limit").at(name)
        column = str(x.raw("column"))
        share = x.number("headroom")
        kept = f"kept, {percent(share)} left" if share >= 0 else f"missed by {percent(-share)}"
        lines.append(
            f"  {column} {figure(column, x.number('value'))} of {figure(column, x.number('allowed'))} allowed: {kept}"
        )
    if lines:
        yield Text("Limits of the scenario", style="bold")
        yield from map(Text, lines)
