"""Why this plan, and the search that found it."""

from __future__ import annotations

from costmodel.scores import COSTS
from search.render.document import formats
from search.render.document.formats import bullets, span, table
from search.render.document.search_values import SHOWN
from search.render.document.sections.first_page import degrees
from search.render.document.view import View
from search.render.words import DIRECTIONS, engine_list, figure_words, limit_words, rule_words


def rationale(v: View) -> str:
    d, i = v.at("deciding"), v.at("input")
    name = str(d.raw("column"))
    first = next(i.each("policy"))
    covered = ", among those whose layout measurements cover" if "passed_over" in d else ""
    lines = [
        f"It has the {_direction(first)} {figure_words(d.text('column'))} of the {v.n('ledger.feasible')} plans that "
        f"were scored and keep every limit{covered}: {formats.figure(name, d.number('recommended'))}."
    ]
    if "passed_over" in d:
        lines.append(
            f"Passed over: {degrees(v.at('passed_over'))}, predicted to have "
            f"{formats.figure(name, d.number('passed_over'))}. No measurement covers its layout, and the recommended "
            "plan lies inside its 80 % interval."
        )
    if "runner_up" in d:
        second = v.at("runner_up")
        lines.append(
            f"Runner-up with another layout: {degrees(second)} ({engine_list(second.text('engines'))}), "
            f"{formats.figure(name, d.number('runner_up'))}; the recommended plan has {d.change('lead')} against "
            f"it; {d.text('apart')}."
        )
    else:
        lines.append("No plan with another layout keeps every limit.")
    for x in v.each("front"):
        if "dp_low" in x and str(x.raw("note")).startswith("recommended") and x.raw("dp_low") != x.raw("dp_high"):
            lines.append(
                f"Replicas scale it: dp {_range(x, 'dp')} on {_range(x, 'gpus')} GPUs give "
                f"{_range(x, 'output_tokens_per_s')} tokens/s with the same latencies; the policy's further columns "
                "decide among them."
            )
    for x in v.each("relaxed"):
        lines.append(
            f"Pinned by the {x.text('limit')} limit: without it {degrees(x.at('plan'))} would be recommended, "
            f"{x.change('gain')} in {figure_words(d.text('column'))}."
        )
    if not v.children("relaxed"):
        lines.append("No single limit pins it: without any one of them the same plan would be recommended.")
    for end in v.each("axis_end"):
        lines.append(
            f"It stands at the {end.text('side')} value of {end.text('axis')} that was tried, {end.n('value')}; beyond "
            "it a plan may be better."
        )
    return bullets(lines)


def _direction(o: View) -> str:
    return DIRECTIONS.get(o.text("direction"), o.text("direction"))


def note_words(note: str) -> str:
    """``best ttft_s`` as people say it."""
    kind, _, name = note.partition(" ")
    return f"{kind} {figure_words(name)}" if name else note


def front(v: View) -> str:
    f = v.at("front")
    costs = [name for name in COSTS if f"0.{name}_low" in f]
    header = ["dp", "gpus", "pp", "sp", "tp", "ep", "batch", "tokens/s", "a GPU", "TTFT", "burst", "TPOT", "memory",
              *(_COSTS[name] for name in costs), ""]  # fmt: skip
    rows = []
    for child in [c for c in v.children("front") if c.isdigit()]:
        x = f.at(child)
        row = [_range(x, "dp"), _range(x, "gpus")]
        row += [x.n(a) for a in ("pp", "sp", "tp", "ep", "batch")]
        row += [_range(x, name) for name in (*SHOWN[:-1], *costs)]
        notes = ", ".join(note_words(note) for note in x.text("note").split(", "))
        rows.append([*row, notes])
    more = f" {f.n('left_out')} more rows are in pareto.csv." if "left_out" in f else ""
    intro = (
        f"{f.n('plans')} plans, in {f.n('rows')} rows: plans that differ only in dp are shown together, the "
        f"best first, and the best in each column of the front.{more}"
    )
    return intro + "\n\n" + table(header, rows, text=(13 + len(costs),))


_COSTS = {"usd_per_million_output_tokens": "a million tokens", "joules_per_output_token": "energy a token"}


def _range(x: View, name: str) -> str:
    return span(*(formats.figure(name, x.number(f"{name}_{end}")) for end in ("low", "high")))


MOST_RULES = 4  # each by its name


def search(v: View) -> str:
    ledger, o = v.at("ledger"), v.at("optuna")
    exact = "All legal plans were scored, so the front is exact." if ledger.raw("exact") == "yes" else (
        "Only the study's plans were scored, so the front may miss some."
    )  # fmt: skip
    lines = [
        f"{ledger.n('space')} points in the space, {ledger.n('legal')} legal, {ledger.n('scored')} scored, "
        f"{ledger.n('feasible')} feasible, {ledger.n('front')} on the front. {exact}"
    ]
    if "trials" in o:
        share = f" They reached {100 * o.number('share'):.2f} % of the exact hypervolume." if "share" in o else ""
        lines.append(
            f"Optuna ({o.text('sampler')}, seed {o.text('seed')}): {o.n('trials')} trials, {o.n('repeats')} of plans "
            f"scored before.{share}"
        )
    rules = list(v.each("rule"))
    rows = [[rule_words(x.text("name")), "rule", x.n("removed")] for x in rules[:MOST_RULES]]
    if more := rules[MOST_RULES:]:
        rows.append(["other rules (report.html)", "rule", formats.count(sum(x.number("removed") for x in more))])
    rows += [[limit_words(x.text("limit")), "limit", x.n("removed")] for x in v.each("missed")]
    return "\n\n".join([bullets(lines), table(["removed first by", "", "points"], rows, text=(0, 1))])
