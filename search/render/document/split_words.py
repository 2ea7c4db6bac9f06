"""Split plans as people read them: lines of the terminal and of ``plan.md``."""

from __future__ import annotations

from search.optimizer.outcome import Outcome
from search.optimizer.split.search import SplitPlans
from search.optimizer.split.verdict import Side, Verdict, layout_of
from search.render.document.formats import figure


def plan_in_words(best: SplitPlans) -> str:
    """``2 x prefill (8 GPUs: tp 8 ep 8) and 3 x decode (16 GPUs: tp 2 ep 16, batch 128)``."""
    p, d = best.prefill.plans.row(int(best.p[0])), best.decode.plans.row(int(best.d[0]))
    which = int(best.decode.drafter[best.d[0]])
    drafts = f", {best.drafters[which - 1].kind} of {best.drafters[which - 1].tokens}" if which else ""
    return (
        f"{best.x[0]} x prefill ({p['gpus']} GPUs: {layout_of(p)}) and {best.y[0]} x decode ({d['gpus']} GPUs: "
        f"{layout_of(d)}, batch {d['batch']}{drafts})"
    )


def verdict_lines(outcome: Outcome) -> list[str]:
    """What the terminal and ``plan.md`` say; empty where split plans were not asked for."""
    found, verdict = outcome.split, outcome.verdict
    if found is None:
        return []
    if verdict is None and outcome.drafted is None:
        return ["Split or aggregated: neither has a plan that keeps every limit."]
    lines = [_answer(verdict, "Split or aggregated")] if verdict is not None else []
    if outcome.drafted is not None:
        lines.append(_answer(outcome.drafted, "With drafts on either side"))
    if found.best is not None:
        f = found.best.figures
        lines += [
            f"Best split plan: {plan_in_words(found.best)}. TTFT "
            f"{f.ttft_s[0]:.3g} s, TPOT {f.tpot_s[0] * 1e3:.1f} ms, {f.in_flight[0]:,.0f} requests in flight.",
            f"The link must carry {f.link_bytes_per_s[0] / 1e9:.3g} GB/s at one accelerator ({f.link_share[0]:.1%} of "
            f"it); the cache's journey takes {f.transfer_s[0] * 1e3:.3g} ms of the TTFT.",
        ]
    if verdict is None:
        return lines
    if verdict.aggregated is not None and verdict.split is not None:
        low, high = sorted([verdict.aggregated.requests_per_s, verdict.split.requests_per_s])
        faster = "split" if verdict.split.requests_per_s > verdict.aggregated.requests_per_s else "aggregated"
        lines.append(f"Up to {low:.3g} requests/s both keep the limits; from there to {high:.3g} only {faster} does.")
    lines.append(_turning(verdict))
    return lines


def _answer(v: Verdict, what: str) -> str:
    if v.aggregated is None or v.split is None:
        return f"{what}: {v.winner}; the other has no plan that keeps every limit."
    how = "the intervals are apart" if v.sure else "the intervals overlap: not sure"
    return (
        f"{what}: {v.winner}, by {v.column}. Best aggregated {_of(v.column, v.aggregated)}, best split "
        f"{_of(v.column, v.split)}: {v.ratio:.3g} times; {how}."
    )


def _of(name: str, side: Side | None) -> str:
    assert side is not None
    return f"{figure(name, side.value)} ({figure(name, side.low)} to {figure(name, side.high)})"


def _turning(v: Verdict) -> str:
    told = ", ".join(f"{t.isl} tokens: {t.winner}" + (f" ({t.ratio:.2f})" if t.ratio else "") for t in v.turns)
    said = "the answer turns" if v.turning else "the answer is the same at every length tried"
    return f"With prompts of other lengths {said}: {told}." if told else "No other length of prompts keeps the limits."
