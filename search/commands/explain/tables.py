"""The rows of the explanation's tables."""

from __future__ import annotations

from collections.abc import Sequence

from costmodel.columns import column
from costmodel.engine import ENGINES
from search.commands.explain.explained import Verdict, axes_words, interval
from search.optimizer.outcome import Outcome
from search.render.document.formats import figure, percent, seconds, signed_percent
from search.render.document.plan_values import limit_values

MOST_CHANGES = 3
MOST_OPERATIONS = 8  # of a phase; the others are added up
TENFOLD = 9.0  # relative change from which a factor reads better
PHASES = {"decode": "a decode step", "prefill": "a full prefill pass"}
FIGURES = (
    "output_tokens_per_s_per_gpu", "output_tokens_per_s", "requests_per_s", "ttft_s", "burst_ttft_s", "tpot_s",
    "memory_bytes_per_gpu", "memory_utilization", "kv_capacity_tokens", "decode_bandwidth_utilization", "decode_mfu",
    "prefill_mfu", "share_of_limit",
)  # fmt: skip


_OTHER = ("recommended", "80 % interval", "difference")

Rows = list[Sequence[str]]


def tables(outcome: Outcome, found: Verdict) -> list[tuple[str, Sequence[str], Rows]]:
    """Title, header and rows of each table that has something to say."""
    parts = [
        ("Legality", ("engine", "takes it", "first rule broken", "which demands", "source"), _legality(found)),
        ("Nearest legal plans", ("plan", "engines", "limits", *_short(outcome)), _nearest(outcome, found)),
        ("Limits", ("limit", "figure", "predicted", "80 % interval", "allowed", "margin"), _limits(outcome, found)),
        ("Dominated by", ("plan", *outcome.objectives.names), _dominators(outcome, found)),
        (
            "Figures" if found.recommended else "Against the recommended plan",
            ("figure", "this plan", "80 % interval", *([] if found.recommended else _OTHER)),
            _against(outcome, found),
        ),
    ]
    parts += [
        (
            f"Where the time of {words} goes",
            ("operation", "kind", "calls", "time", "share", "bound by"),
            _time(found, p),
        )
        for p, words in PHASES.items()
    ]
    name = outcome.policy.first[0]
    feasible = found.scores is not None and bool(found.scores.feasible[0]) and found.legality.legal
    title = "Changes that help most" if feasible else "Changes that make it feasible"
    if found.scores is not None and not found.changes:
        parts.append((f"{title}: none of its neighbours, limits and resources", (name,), []))
    parts.append((title, ("change", "kind", name, "gain", "TTFT", "burst", "TPOT", "plan"), _changes(outcome, found)))
    return [(title, header, rows) for title, header, rows in parts if rows or header == (name,)]


def figures_in(rows: Rows, i: int) -> bool:
    """Whether a column holds figures: they stand to the right."""
    return any(row[i][:1].isdigit() or row[i][:1] in ("+", "-") for row in rows)


def _legality(found: Verdict) -> Rows:
    rows: Rows = []
    for engine in ENGINES:
        rule = found.legality.refusals[engine]
        rows.append((engine, "yes", "", "", "") if rule is None else (engine, "no", rule.name, rule.text, rule.source))
    return rows


def _short(outcome: Outcome) -> tuple[str, ...]:
    return tuple(dict.fromkeys([outcome.policy.first[0], "ttft_s", "burst_ttft_s", "tpot_s"]))


def _nearest(outcome: Outcome, found: Verdict) -> Rows:
    rows: Rows = []
    for row in found.legality.nearest:
        missed = [n for n, v in zip(outcome.scores.limits, outcome.scores.violations[:, row], strict=True) if v > 0]
        values = [figure(n, float(column(n, outcome.plans, outcome.scores)[row])) for n in _short(outcome)]
        engines = ", ".join(e for e, takes in zip(ENGINES, outcome.engines[:, row], strict=True) if takes)
        limits = f"misses {', '.join(missed)}" if missed else "kept"
        rows.append((axes_words(outcome.plans.row(row)), engines, limits, *values))
    return rows


def _limits(outcome: Outcome, found: Verdict) -> Rows:
    if found.scores is None:
        return []
    values = limit_values(outcome.scenario, found.scores)
    rows: Rows = []
    for limit in found.scores.limits:
        if f"limit.{limit}.column" not in values:
            rows.append((limit, "", "", "", "no limit", ""))
            continue
        name = str(values[f"limit.{limit}.column"])
        predicted, allowed, left = (float(values[f"limit.{limit}.{k}"]) for k in ("value", "allowed", "headroom"))
        margin = f"{percent(left)} left" if left >= 0 else f"missed by {percent(-left)}"
        rows.append((limit, name, figure(name, predicted), _span(outcome, found, name), figure(name, allowed), margin))
    return rows


def _span(outcome: Outcome, found: Verdict, name: str) -> str:
    assert found.scores is not None
    ends = interval(outcome, found.plan, found.scores, name)
    return "" if ends is None else f"{figure(name, ends[0])} to {figure(name, ends[1])}"


def _dominators(outcome: Outcome, found: Verdict) -> Rows:
    if found.standing is None:
        return []
    return [
        (
            axes_words(outcome.plans.row(d.row)),
            *(
                f"{figure(n, float(column(n, outcome.plans, outcome.scores)[d.row]))} ({_better(lead)})"
                for n, lead in d.lead.items()
            ),
        )
        for d in found.standing.dominators
    ]


def _better(lead: float) -> str:
    return f"{lead * 100:.1f} % better" if lead > 0 else "equal"


def _against(outcome: Outcome, found: Verdict) -> Rows:
    if found.scores is None or outcome.choice is None:
        return []
    row = outcome.choice.recommended
    plan, scores = outcome.plans.take([row]), outcome.scores.take([row])
    rows: Rows = []
    first = [c for c in outcome.policy.columns if c in FIGURES]
    for name in dict.fromkeys([*first, *FIGURES, *found.scores.traffic]):
        mine, theirs = float(getattr(found.scores, name)[0]), float(getattr(scores, name)[0])
        ends = interval(outcome, plan, scores, name)
        span = "" if ends is None else f"{figure(name, ends[0])} to {figure(name, ends[1])}"
        shown = () if found.recommended else (figure(name, theirs), span, _difference(mine, theirs))
        rows.append((name, figure(name, mine), _span(outcome, found, name), *shown))
    return rows


def _difference(mine: float, theirs: float) -> str:
    if not theirs:
        return ""
    change = mine / theirs - 1.0
    return signed_percent(change) if change < TENFOLD else f"×{mine / theirs:,.0f}"


def _time(found: Verdict, phase: str) -> Rows:
    parts = sorted((p for p in found.time if p.phase == phase), key=lambda p: -p.seconds)
    total = sum(p.seconds for p in parts)
    rows: Rows = [
        (p.name, p.kind, f"{p.calls}", seconds(p.seconds), percent(p.seconds / total), p.bound)
        for p in parts[:MOST_OPERATIONS]
    ]
    rest = sum(p.seconds for p in parts[MOST_OPERATIONS:])
    if rest:
        rows.append((f"{len(parts) - MOST_OPERATIONS} others", "", "", seconds(rest), percent(rest / total), ""))
    return [*rows, ("sum, before any overlap", "", "", seconds(total), "", "")] if rows else []


def _changes(outcome: Outcome, found: Verdict) -> Rows:
    if found.scores is None:
        return []
    name, direction = outcome.policy.first
    mine = float(column(name, found.plan, found.scores)[0])
    sign = 1.0 if direction == "max" else -1.0
    return [
        (
            c.text,
            {"plan": "another plan", "limit": "limit relaxed", "input": "input improved"}[c.kind],
            figure(name, mine * (1.0 + sign * c.gain)),
            signed_percent(c.gain),
            *(seconds(c.figures[f]) for f in ("ttft_s", "burst_ttft_s", "tpot_s")),
            axes_words(c.plan),
        )
        for c in found.changes[:MOST_CHANGES]
    ]
