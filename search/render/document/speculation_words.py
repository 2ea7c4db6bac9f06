"""Whether drafts pay, as people read it: lines of the terminal and of ``plan.md``."""

from __future__ import annotations

from search.optimizer.decode_context import Dealt
from search.optimizer.outcome import Outcome
from search.optimizer.speculation.asked import RANGE
from search.optimizer.speculation.search import Option, SpeculationFound
from search.render.document.formats import figure


def speculation_lines(outcome: Outcome) -> list[str]:
    """Drafts, and decode context parallelism; empty where neither was asked for."""
    return [*_drafts(outcome), *(_dealt(d) for d in outcome.dealt)]


def _dealt(d: Dealt) -> str:
    what = f"Cache of decodes dealt over {d.ranks} ranks (decode context parallelism)"
    if d.plan is None or d.scores is None:
        return f"{what}: no plan keeps every limit."
    plan = d.plan.row(0)
    words = " ".join(f"{a} {plan[a]}" for a in ("gpus", "dp", "tp", "ep", "batch"))
    ratio = "the only one that keeps every limit" if d.ratio is None else f"{d.ratio:.3g} times the best without"
    return (
        f"{what}: {words}: {ratio}, TTFT {d.scores.ttft_s[0]:.3g} s, TPOT {d.scores.tpot_s[0] * 1e3:.1f} ms; its cache "
        f"holds {d.capacity:.3g} times the tokens."
    )


def _drafts(outcome: Outcome) -> list[str]:
    found = outcome.speculation
    if found is None:
        return []
    if not any(o.plan is not None for o in found.options):
        return ["Drafts: no plan that drafts keeps every limit."]
    lines = [_answer(found)]
    lines += [_option(found, o) for o in found.options if o.plan is not None]
    if found.gains:
        of = found.best or found.options[0]
        told = ", ".join(f"{batch}: {gain:.2f}" for batch, gain in found.gains)
        lines.append(f"Output tokens/s with {_name(of)} over those without, by batch of the layout: {told}.")
    return lines


def _name(o: Option) -> str:
    dealt = f", cache over {o.ranks} ranks" if o.ranks > 1 else ""
    return f"{o.drafter.kind} of {o.drafter.tokens}{dealt}"


def _answer(found: SpeculationFound) -> str:
    if found.best is None:
        return (
            f"Drafts: none pays, by {found.column}; the best without has {figure(found.column, found.without or 0.0)}."
        )
    without = "no plan keeps every limit without" if found.without is None else (
        f"{found.best.ratio:.3g} times the best without, {figure(found.column, found.without)}"
    )  # fmt: skip
    return f"Drafts: {_name(found.best)}, by {found.column}: {figure(found.column, found.best.value)}, {without}."


def _option(found: SpeculationFound, o: Option) -> str:
    assert o.plan is not None and o.scores is not None
    plan = o.plan.row(0)
    words = " ".join(f"{a} {plan[a]}" for a in ("gpus", "dp", "tp", "ep", "batch"))
    low, high = RANGE
    span = f"{figure(found.column, o.low)} to {figure(found.column, o.high)}"
    return (
        f"{_name(o)}, accepted {', '.join(f'{chance:.2f}' for chance in o.drafter.acceptance)}: {words}: "
        f"{figure(found.column, o.value)} ({span} with {low:g} to {high:g} times the acceptance), "
        f"TTFT {o.scores.ttft_s[0]:.3g} s, TPOT {o.scores.tpot_s[0] * 1e3:.1f} ms."
    )
