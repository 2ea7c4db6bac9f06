"""The values of the search: the front, the ledger, Optuna's share, and the ends of the axes."""

from __future__ import annotations

import numpy as np

from costmodel.columns import column
from costmodel.engine import ENGINES
from costmodel.plans import IntArray
from costmodel.scores import COSTS
from search.optimizer.outcome import Outcome
from search.optimizer.recommend import axis_ends
from search.optimizer.ties import settled
from search.render.document.view import Values

MOST_ROWS = 4
SHOWN = (
    "output_tokens_per_s",
    "output_tokens_per_s_per_gpu",
    "ttft_s",
    "burst_ttft_s",
    "tpot_s",
    "memory_utilization",
    "share_of_limit",
)


def search_values(outcome: Outcome) -> Values:
    """Keys ``front.``, ``ledger.``, ``optuna.``, ``axis_end.``, ``passed_over.`` and the deciding column."""
    return _front(outcome) | ledger_values(outcome) | _ends(outcome) | _deciding(outcome)


def _front(outcome: Outcome) -> Values:
    """Plans that differ only in dp are one row: ``low`` and ``high`` over its members."""
    plans, scores, front = outcome.plans, outcome.scores, outcome.front
    ranked = front[outcome.policy.order(plans.take(front), scores.take(front))]
    groups: dict[tuple[int, ...], list[int]] = {}
    for row in ranked.tolist():
        plan = plans.row(row)
        key = (plan["gpus"] // plan["dp"], *(plan[a] for a in ("pp", "sp", "tp", "ep", "batch")))
        groups.setdefault(key, []).append(row)
    best_in = _best_in(outcome, ranked)
    wanted = _select(list(groups.values()), set(best_in))
    values: Values = {"front.plans": len(front), "front.rows": len(groups)}
    if len(wanted) < len(groups):
        values["front.left_out"] = len(groups) - len(wanted)
    for i, members in enumerate(wanted):
        values |= {f"front.{i}.{k}": v for k, v in _front_row(outcome, members, best_in).items()}
    return values


def _select(groups: list[list[int]], always: set[int]) -> list[list[int]]:
    """The first ``MOST_ROWS``, of which the last ones give way to rows that must be shown."""
    must = [i for i, g in enumerate(groups) if always & set(g)]
    rest = [i for i in range(len(groups)) if i not in must]
    return [groups[i] for i in sorted(must + rest[: max(MOST_ROWS - len(must), 0)])]


def _best_in(outcome: Outcome, ranked: IntArray) -> dict[int, list[str]]:
    """Rows with the best value of an objective, the first by the policy where several share it."""
    best: dict[int, list[str]] = {}
    costs = outcome.objectives.costs(outcome.plans.take(ranked), outcome.scores.take(ranked))
    for i, name in enumerate(outcome.objectives.names if len(ranked) else []):
        best.setdefault(int(ranked[int(np.argmin(settled(costs[:, i])))]), []).append(name)
    return best


def _front_row(outcome: Outcome, members: list[int], best_in: dict[int, list[str]]) -> Values:
    plans, scores = outcome.plans, outcome.scores
    first = plans.row(members[0])
    values: Values = {a: first[a] for a in ("pp", "sp", "tp", "ep", "batch")}
    values["replica_gpus"] = first["gpus"] // first["dp"]
    costs = [name for name in COSTS if name in outcome.objectives.names]
    for name in ("dp", "gpus", *SHOWN, *costs):
        found = column(name, plans, scores)[members]
        values |= {f"{name}_low": float(found.min()), f"{name}_high": float(found.max())}
    values["engines"] = ", ".join(e for e, takes in zip(ENGINES, outcome.engines[:, members[0]], strict=True) if takes)
    notes = [f"best {n}" for m in members for n in best_in.get(m, [])]
    if outcome.choice is not None and outcome.choice.recommended in members:
        notes.insert(0, "recommended")
    values["note"] = ", ".join(notes)
    return values


def ledger_values(outcome: Outcome) -> Values:
    """How many plans each rule and each limit removed, and what the sampler did."""
    counted = outcome.counted
    values: Values = {
        "ledger.space": outcome.space.size,
        "ledger.legal": len(outcome.legal),
        "ledger.scored": counted.scored,
        "ledger.feasible": counted.feasible,
        "ledger.front": len(outcome.front),
        "ledger.exact": "yes" if outcome.exact else "no",
    }
    for i, (rule, n) in enumerate(sorted(outcome.legal.removed.items(), key=lambda item: -item[1])):
        values |= {f"rule.{i}.name": rule, f"rule.{i}.removed": n}
    for i, limit in enumerate(outcome.scores.limits):
        values |= {f"missed.{i}.limit": limit, f"missed.{i}.removed": counted.missed[i]}
    strategy = outcome.config.strategy
    values |= {"optuna.sampler": strategy.sampler, "optuna.seed": strategy.seed}
    if outcome.study is not None:
        values |= {"optuna.trials": outcome.study.trials, "optuna.repeats": outcome.study.repeats}
        if outcome.study.hypervolume_share is not None:
            values["optuna.share"] = outcome.study.hypervolume_share
    return values


def _ends(outcome: Outcome) -> Values:
    """Axes at whose end the recommended plan stands, where the end could be moved."""
    assert outcome.choice is not None
    values: Values = {}
    ends = axis_ends(outcome.plans.row(outcome.choice.recommended), outcome.space.axes)
    for i, (axis, value, side) in enumerate(ends):
        values |= {f"axis_end.{i}.axis": axis, f"axis_end.{i}.value": value, f"axis_end.{i}.side": side}
    return values


NOT_APART = "the intervals overlap, so the model cannot tell the two apart"


def _deciding(outcome: Outcome) -> Values:
    """The policy's first column, for the recommended plan, the runner-up, the baselines and a plan passed over."""
    assert outcome.choice is not None
    name, _ = outcome.policy.first
    found = column(name, outcome.plans, outcome.scores)
    best = float(found[outcome.choice.recommended])
    values: Values = {"deciding.column": name, "deciding.recommended": best}
    second = outcome.choice.runner_up
    if second is not None:
        values |= {"deciding.runner_up": float(found[second]), "deciding.lead": best / float(found[second]) - 1.0}
        values["deciding.apart"] = "its interval stays apart" if outcome.choice.runner_up_apart else NOT_APART
    passed = outcome.choice.passed_over
    if passed is not None:
        values["deciding.passed_over"] = float(found[passed])
        values |= {f"passed_over.{axis}": degree for axis, degree in outcome.plans.row(passed).items()}
    for i, baseline in enumerate(outcome.baselines):
        other = float(column(name, baseline.plan, baseline.scores)[0])
        values |= {f"deciding.baseline.{i}.value": other, f"deciding.baseline.{i}.lead": best / other - 1.0}
    return values
