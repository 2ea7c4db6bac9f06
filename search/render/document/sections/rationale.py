"""Why this plan, and the search that found it."""

from __future__ import annotations

from costmodel.scores import COSTS
from search.render.document import formats
from search.render.document.formats import bullets, span, table
from search.render.document.search_values import SHOWN
from search.render.document.sections.inputs import degrees
from search.render.document.view import View


def rationale(v: View) -> str:
    d, i = v.at("deciding"), v.at("input")
    name = str(d.raw("column"))
    first = next(i.each("policy"))
    covered = ", among those whose layout measurements cover" if "passed_over" in d else ""
    lines = [
        f"It has the best {d.text('column')} ({first.text('direction')}) of the {v.n('ledger.feasible')} plans that "
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
            f"Runner-up with another layout: {degrees(second)} ({second.text('engines')}), "
            f"{formats.figure(name, d.number('runner_up'))}; the recommended plan has {d.change('lead')} against "
            f"it; {d.text('apart')}. It has "
            f"TTFT {second.s('ttft_s')}, {second.s('burst_ttft_s')} in a burst, TPOT {second.s('tpot_s')}, memory "
            f"{second.pct('memory_utilization')}."
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
            f"{x.change('gain')} in {d.text('column')}."
        )
    if not v.children("relaxed"):
        lines.append("No single limit pins it: without any one of them the same plan would be recommended.")
    for end in v.each("axis_end"):
        lines.append(
            f"It stands at the {end.text('side')} value of {end.text('axis')} that was tried, {end.n('value')}: a plan "
            "beyond it may be better. Widen the axis to know."
        )
    lines.append(
        "What would change it: a limit above that moves, another length of prompts or answers, a measured "
        "efficiency or "
        "link speed that differs from the inputs, an engine that takes other layouts."
    )
    return bullets(lines)


def front(v: View) -> str:
    f = v.at("front")
    costs = [name for name in COSTS if f"0.{name}_low" in f]
    header = ["dp", "gpus", "replica", "pp", "sp", "tp", "ep", "batch", "tokens/s", "a GPU", "TTFT", "burst", "TPOT",
              "memory", "of limit", *(_COSTS[name] for name in costs), "engines", ""]  # fmt: skip
    rows = []
    for child in [c for c in v.children("front") if c.isdigit()]:
        x = f.at(child)
        row = [_range(x, "dp"), _range(x, "gpus"), x.n("replica_gpus")]
        row += [x.n(a) for a in ("pp", "sp", "tp", "ep", "batch")]
        row += [_range(x, name) for name in (*SHOWN, *costs)]
        rows.append([*row, x.text("engines"), x.text("note")])
    more = f" {f.n('left_out')} more rows are in pareto.csv." if "left_out" in f else ""
    intro = (
        f"{f.n('plans')} plans, in {f.n('rows')} rows: plans that differ only in dp (replicas) are shown together. "
        "Best "
        f"first by the policy, and the best in each column of the front.{more}"
    )
    return intro + "\n\n" + table(header, rows, text=(15 + len(costs), 16 + len(costs)))


_COSTS = {"usd_per_million_output_tokens": "a million tokens", "joules_per_output_token": "energy a token"}


def _range(x: View, name: str) -> str:
    return span(*(formats.figure(name, x.number(f"{name}_{end}")) for end in ("low", "high")))


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
        share = f" They reached {o.pct('share')} of the exact hypervolume." if "share" in o else ""
        lines.append(
            f"Optuna ({o.text('sampler')}, seed {o.text('seed')}): {o.n('trials')} trials, {o.n('repeats')} of plans "
            f"scored before.{share}"
        )
    rows = [[x.text("name"), "rule", x.n("removed")] for x in v.each("rule")]
    rows += [[x.text("limit"), "limit", x.n("removed")] for x in v.each("missed")]
    note = "Each point is counted once: under the first rule that it breaks or the first limit that it misses."
    return "\n\n".join([bullets(lines), table(["removed by", "", "points"], rows, text=(0, 1)), note])
