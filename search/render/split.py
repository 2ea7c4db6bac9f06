"""Split plans as programs read them: ``split.csv`` and the part of ``summary.json``."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np

from search.inputs.split.machines import POOLS
from search.optimizer.front import non_dominated
from search.optimizer.outcome import Outcome
from search.optimizer.split.asked import AT_A_RATE, FIGURES
from search.optimizer.split.search import SplitPlans, costs_of

OF_POOL = ("hardware", "instances", "gpus", "tp", "ep", "pp", "sp", "attn_dp", "memory_bytes_per_gpu")
INTERVALS = ("ttft_s", "tpot_s", "output_tokens_per_s")
OWN = ("transfer_s", "link_share", "link_bytes_per_s", "in_flight")


def header(at_rate: bool = False) -> list[str]:
    """Columns of ``split.csv``; ``at_rate``: requests arrive at one."""
    names = [f"prefill_{n}" for n in OF_POOL] + ["prefill_tokens", "prefill_used"]
    names += [f"decode_{n}" for n in OF_POOL] + ["decode_batch", "decode_drafter", "decode_drafts", "decode_cp"]
    for name in FIGURES:
        names += [name, *((f"{name}_low", f"{name}_high") if name in INTERVALS else ())]
    return [*names, *OWN, *(AT_A_RATE if at_rate else ()), "joint_front", "recommended"]


def split_csv(outcome: Outcome) -> str:
    """The front of split plans, the best by the policy first. ``joint_front``: no aggregated plan of ``pareto.csv``
    dominates it either."""
    found = outcome.split
    assert found is not None
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header(outcome.scenario.demand is not None))
    if len(found.front):
        writer.writerows(zip(*_columns(outcome, found.front), strict=True))
    return text.getvalue()


def _drafts(front: SplitPlans) -> list[list[Any]]:
    """Kind and number of the drafts of each plan's decode instances."""
    known = [None, *front.drafters]
    chosen = [known[i] for i in front.decode.drafter[front.d].tolist()]
    return [["none" if c is None else c.kind for c in chosen], [0 if c is None else c.tokens for c in chosen]]


def _columns(outcome: Outcome, front: SplitPlans) -> list[list[Any]]:
    p, d = front.prefill, front.decode
    table: list[list[Any]] = []
    prefill, decode = front.pools
    for pool, on, rows, instances in ((p, prefill, front.p, front.x), (d, decode, front.d, front.y)):
        plans = pool.plans.take(rows)
        table += [
            [on.accelerator.name] * len(front),
            instances.tolist(),
            *(getattr(plans, n).tolist() for n in OF_POOL[2:-1]),
        ]
        table.append(pool.memory_bytes[rows].tolist())
        if pool is p:
            table += [p.budget[rows].tolist(), p.used[rows].tolist()]
        else:
            table += [plans.batch.tolist(), *_drafts(front), d.ranks[rows].tolist()]
    for name in FIGURES:
        values = front.column(name)
        table.append(["" if np.isnan(v) else v for v in values.tolist()])
        if name in INTERVALS:
            table += [bound.tolist() for bound in front.interval(name, values)]
    table += [getattr(front.figures, name).tolist() for name in OWN]
    if outcome.scenario.demand is not None:
        table += [front.served[name].tolist() for name in AT_A_RATE]
    others = outcome.objectives.costs(outcome.plans.take(outcome.front), outcome.scores.take(outcome.front))
    own = costs_of(front, outcome.objectives)
    joint = non_dominated(np.concatenate([own, others]))[: len(front)]
    verdict = outcome.drafted or outcome.verdict
    wins = verdict is not None and verdict.winner == "split"
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
            "hardware": dict(zip(POOLS, (own.accelerator.name for own in found.front.pools), strict=True)),
            "pairs": found.pairs,
            "winner": v.winner if v else None,
            "ratio": v.ratio if v else None,
            "sure": v.sure if v else None,
            **({"simulated": dict(found.simulated)} if found.simulated is not None else {}),
            "winner_with_drafts": outcome.drafted.winner if outcome.drafted else None,
        }
    }
