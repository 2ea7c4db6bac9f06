"""Split plans as people and programs read them: ``split.csv``, lines of the terminal, a section of ``plan.md``."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np

from search.evidence.measured.intervals import CLASSES, load_intervals
from search.optimizer.front import non_dominated
from search.optimizer.outcome import Outcome
from search.optimizer.split.asked import FIGURES
from search.optimizer.split.search import SplitPlans, costs_of
from search.optimizer.split.verdict import Side, Verdict, layout_of
from search.render.document.formats import figure

POOLS = ("prefill", "decode")
OF_POOL = ("instances", "gpus", "tp", "ep", "pp", "sp", "attn_dp", "memory_bytes_per_gpu")
INTERVALS = ("ttft_s", "tpot_s", "output_tokens_per_s")
OWN = ("transfer_s", "link_share", "link_bytes_per_s", "in_flight")


def header() -> list[str]:
    """Columns of ``split.csv``."""
    names = [f"prefill_{n}" for n in OF_POOL] + ["prefill_tokens", "prefill_used"]
    names += [f"decode_{n}" for n in OF_POOL] + ["decode_batch"]
    for name in FIGURES:
        names += [name, *((f"{name}_low", f"{name}_high") if name in INTERVALS else ())]
    return [*names, *OWN, "joint_front", "recommended"]


def split_csv(outcome: Outcome) -> str:
    """The front of split plans, the best by the policy first. ``joint_front``: no aggregated plan of ``pareto.csv``
    dominates it either."""
    found = outcome.split
    assert found is not None
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header())
    if len(found.front):
        writer.writerows(zip(*_columns(outcome, found.front), strict=True))
    return text.getvalue()


def _columns(outcome: Outcome, front: SplitPlans) -> list[list[Any]]:
    p, d = front.prefill, front.decode
    table: list[list[Any]] = []
    for pool, rows, instances in ((p, front.p, front.x), (d, front.d, front.y)):
        plans = pool.plans.take(rows)
        table += [instances.tolist(), *(getattr(plans, n).tolist() for n in OF_POOL[1:-1])]
        table.append(pool.memory_bytes[rows].tolist())
        if pool is p:
            table += [p.budget[rows].tolist(), p.used[rows].tolist()]
        else:
            table.append(plans.batch.tolist())
    known = np.full(len(front), CLASSES.index("split"))
    for name in FIGURES:
        values = front.column(name)
        table.append(["" if np.isnan(v) else v for v in values.tolist()])
        if name in INTERVALS:
            table += [bound.tolist() for bound in load_intervals().of(name, known, values)]
    table += [getattr(front.figures, name).tolist() for name in OWN]
    others = outcome.objectives.costs(outcome.plans.take(outcome.front), outcome.scores.take(outcome.front))
    own = costs_of(front, outcome.objectives)
    joint = non_dominated(np.concatenate([own, others]))[: len(front)]
    wins = outcome.verdict is not None and outcome.verdict.winner == "split"
    table.append([str(bool(j)).lower() for j in joint])
    table.append([str(wins and i == 0).lower() for i in range(len(front))])
    return table


def split_summary(outcome: Outcome) -> dict[str, Any]:
    """What ``summary.json`` says; nothing where split plans were not asked for."""
    found, v = outcome.split, outcome.verdict
    if found is None:
        return {}
    return {
        "split": {
            "front": len(found.front),
            "instances": dict(zip(POOLS, found.instances, strict=True)),
            "own_fronts": dict(zip(POOLS, found.kept, strict=True)),
            "pairs": found.pairs,
            "winner": v.winner if v else None,
            "ratio": v.ratio if v else None,
            "sure": v.sure if v else None,
        }
    }


def plan_in_words(best: SplitPlans) -> str:
    """``2 x prefill (8 GPUs: tp 8 ep 8) and 3 x decode (16 GPUs: tp 2 ep 16, batch 128)``."""
    p, d = best.prefill.plans.row(int(best.p[0])), best.decode.plans.row(int(best.d[0]))
    return (
        f"{best.x[0]} x prefill ({p['gpus']} GPUs: {layout_of(p)}) and {best.y[0]} x decode ({d['gpus']} GPUs: "
        f"{layout_of(d)}, batch {d['batch']})"
    )


def verdict_lines(outcome: Outcome) -> list[str]:
    """What the terminal and ``plan.md`` say; empty where split plans were not asked for."""
    found, verdict = outcome.split, outcome.verdict
    if found is None:
        return []
    if verdict is None:
        return ["Split or aggregated: neither has a plan that keeps every limit."]
    lines = [_answer(verdict)]
    if found.best is not None:
        f = found.best.figures
        lines += [
            f"Best split plan: {plan_in_words(found.best)}. TTFT "
            f"{f.ttft_s[0]:.3g} s, TPOT {f.tpot_s[0] * 1e3:.1f} ms, {f.in_flight[0]:,.0f} requests in flight.",
            f"The link must carry {f.link_bytes_per_s[0] / 1e9:.3g} GB/s at one accelerator ({f.link_share[0]:.1%} of "
            f"it); the cache's journey takes {f.transfer_s[0] * 1e3:.3g} ms of the TTFT.",
        ]
    if verdict.aggregated is not None and verdict.split is not None:
        low, high = sorted([verdict.aggregated.requests_per_s, verdict.split.requests_per_s])
        faster = "split" if verdict.split.requests_per_s > verdict.aggregated.requests_per_s else "aggregated"
        lines.append(f"Up to {low:.3g} requests/s both keep the limits; from there to {high:.3g} only {faster} does.")
    lines.append(_turning(verdict))
    return lines


def _answer(v: Verdict) -> str:
    if v.aggregated is None or v.split is None:
        return f"Split or aggregated: {v.winner}; the other has no plan that keeps every limit."
    how = "the intervals are apart" if v.sure else "the intervals overlap: not sure"
    return (
        f"Split or aggregated: {v.winner}, by {v.column}. Best aggregated {_of(v.column, v.aggregated)}, best split "
        f"{_of(v.column, v.split)}: {v.ratio:.3g} times; {how}."
    )


def _of(name: str, side: Side | None) -> str:
    assert side is not None
    return f"{figure(name, side.value)} ({figure(name, side.low)} to {figure(name, side.high)})"


def _turning(v: Verdict) -> str:
    told = ", ".join(f"{t.isl} tokens: {t.winner}" + (f" ({t.ratio:.2f})" if t.ratio else "") for t in v.turns)
    said = "the answer turns" if v.turning else "the answer is the same at every length tried"
    return f"With prompts of other lengths {said}: {told}." if told else "No other length of prompts keeps the limits."
