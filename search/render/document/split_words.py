"""Split plans as people read them: lines of the terminal and of ``plan.md``."""

from __future__ import annotations

from collections.abc import Mapping

from costmodel.serving.rate.figures import bounded
from search.optimizer.outcome import Outcome
from search.optimizer.split.fewer import Carried, Fewer
from search.optimizer.split.search import SplitFound, SplitPlans
from search.optimizer.split.verdict import RateTurn, Side, Turn, Verdict, layout_of
from search.render.document.formats import figure
from search.render.document.split_kinds import empty_pools, kinds_lines, nouns


def plan_in_words(best: SplitPlans) -> str:
    """``2 x prefill (8 GPUs: tp 8 ep 8) and 3 x decode (16 GPUs: tp 2 ep 16, batch 128)``."""
    one, other = nouns(best.scenario, best.pools)
    p, d = best.prefill.plans.row(int(best.p[0])), best.decode.plans.row(int(best.d[0]))
    drafts = f", {best.drafter.kind} of {best.drafter.tokens}" if best.drafter else ""
    ranks = int(best.decode.ranks[best.d[0]])
    drafts += f", cache over {ranks} ranks" if ranks > 1 else ""
    return (
        f"{best.x[0]} x prefill ({p['gpus']} {one}: {layout_of(p)}) and {best.y[0]} x decode ({d['gpus']} {other}: "
        f"{layout_of(d)}, batch {d['batch']}{drafts})"
    )


def verdict_lines(outcome: Outcome) -> list[str]:
    """What the terminal and ``plan.md`` say; empty where split plans were not asked for."""
    found, verdict = outcome.split, outcome.verdict
    if found is None:
        return []
    if verdict is None and outcome.drafted is None:
        return ["Split or aggregated: neither has a plan that keeps every limit.", *empty_pools(outcome)]
    lines = [_answer(verdict, "Split or aggregated")] if verdict is not None else []
    if outcome.drafted is not None:
        what = ["drafts"] * bool(outcome.speculation) + ["a dealt cache of decodes"] * bool(outcome.dealt)
        lines.append(_answer(outcome.drafted, f"With {' or '.join(what)} on either side"))
    if found.best is not None:
        f = found.best.figures
        lines += [
            f"Best split plan: {plan_in_words(found.best)}. TTFT "
            f"{f.ttft_s[0]:.3g} s, TPOT {f.tpot_s[0] * 1e3:.1f} ms, {f.in_flight[0]:,.0f} requests in flight.",
            f"The link must carry {f.link_bytes_per_s[0] / 1e9:.3g} GB/s at one accelerator ({f.link_share[0]:.1%} of "
            f"it); the cache's journey takes {f.transfer_s[0] * 1e3:.3g} ms of the TTFT.",
            *_served(found),
        ]
    lines += [*empty_pools(outcome), *kinds_lines(outcome)]
    if verdict is None:
        return lines
    if verdict.aggregated is not None and verdict.split is not None:
        low, high = sorted([verdict.aggregated.requests_per_s, verdict.split.requests_per_s])
        faster = "split" if verdict.split.requests_per_s > verdict.aggregated.requests_per_s else "aggregated"
        lines.append(f"Up to {low:.3g} requests/s both keep the limits; from there to {high:.3g} only {faster} does.")
    lines.append(_turning(verdict))
    if verdict.rates:
        told = ", ".join(f"{t.requests_per_s:.3g}: {t.winner}{_ratio(verdict, t)}" for t in verdict.rates)
        turns = any(t.winner != verdict.winner for t in verdict.rates)
        said = "the answer turns" if turns else "the answer is the same at every rate tried"
        lines.append(f"At other rates (requests/s) {said}: {told}.")
    return lines


def _served(found: SplitFound) -> list[str]:
    """Percentiles and the most that the best plan carries, where requests arrive at a rate; and the simulation."""
    best = found.best
    if best is None or not best.served:
        return []
    s = {name: float(values[0]) for name, values in best.served.items()}
    limits = [f"{name} {statistic} {figure(name, s[name if statistic == 'mean' else f'{name}_{statistic}'])} of "
              f"{figure(name, bound)}" for name, statistic, bound in bounded(best.scenario.limits)]  # fmt: skip
    lines = [
        f"At {best.figures.requests_per_s[0]:.3g} requests/s, p99: {_p99(s)}; it carries "
        f"{s['max_requests_per_s']:.3g} requests/s within the limits, {s['capacity_requests_per_s']:.3g} at most."
    ]
    if limits:
        lines.append(f"Of its limits: {', '.join(limits)}.")
    if found.simulated is not None:
        lines.append(f"Simulated request by request, p99: {_p99(found.simulated)}.")
    return lines


def _p99(values: Mapping[str, float]) -> str:
    told = (("TTFT", "ttft_s_p99"), ("TPOT", "tpot_s_p99"), ("end to end", "e2e_s_p99"))
    return ", ".join(f"{word} {figure(name, values[name])}" for word, name in told)


def _answer(v: Verdict, what: str) -> str:
    if v.aggregated is None or v.split is None:
        return f"{what}: {v.winner}; the other has no plan that keeps every limit."
    if v.fewer is not None:
        return _by_count(v, v.fewer, what)
    how = "the intervals are apart" if v.sure else "the intervals overlap: not sure"
    return (
        f"{what}: {v.winner}, by {v.column}. Best aggregated {_of(v.column, v.aggregated)}, best split "
        f"{_of(v.column, v.split)}: {v.ratio:.3g} times; {how}."
    )


def _by_count(v: Verdict, f: Fewer, what: str) -> str:
    """On fewer accelerators: what each side carries there."""

    def carried(c: Carried | None) -> str:
        return "is not known to carry any" if c is None else f"carries {c.value:.3g} ({c.low:.3g} to {c.high:.3g})"

    how = "sure" if v.sure else "not sure: an interval reaches what is wanted, or too little is known"
    return (
        f"{what}: {v.winner}, by gpus: {f.gpus} instead of {f.more} for {f.wanted:.3g} requests/s. On {f.gpus}, within "
        f"the limits, split {carried(f.split)} requests/s and aggregated {carried(f.aggregated)}; {how}."
    )


def _ratio(v: Verdict, turn: Turn | RateTurn) -> str:
    """Of the figures by which this turn was decided, where it is another than the verdict's."""
    if not turn.ratio:
        return ""
    return f" ({turn.ratio:.2f}{'' if turn.column == v.column else f' by {turn.column}'})"


def _of(name: str, side: Side | None) -> str:
    assert side is not None
    return f"{figure(name, side.value)} ({figure(name, side.low)} to {figure(name, side.high)})"


def _turning(v: Verdict) -> str:
    told = ", ".join(f"{t.isl} tokens: {t.winner}{_ratio(v, t)}" for t in v.turns)
    said = "the answer turns" if v.turning else "the answer is the same at every length tried"
    return f"With prompts of other lengths {said}: {told}." if told else "No other length of prompts keeps the limits."
