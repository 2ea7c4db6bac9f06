"""Where a plan stands among the run's plans: its rank under the policy, and what dominates it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from costmodel.columns import column
from costmodel.plans import Array, Plans
from costmodel.plans import concatenate as join_plans
from costmodel.scores import Scores
from costmodel.scores import concatenate as join_scores
from search.optimizer.outcome import Outcome
from search.optimizer.ties import TIED, less

MOST_DOMINATING = 3


@dataclass(frozen=True)
class Dominator:
    """Row of a plan of the front that is at least as good in every objective and better in one; ``lead`` by objective:
    how much better, relative to the explained plan (0 where equal)."""

    row: int
    lead: dict[str, float]


@dataclass(frozen=True)
class Standing:
    """``rank`` among the ``feasible`` scored plans by the policy (of the explained plan put among them), ``None`` where
    it is not feasible itself; ``on_front`` no feasible plan dominates it; ``dominating`` plans of the front that do,
    and the ``dominators`` shown, the largest lead in the policy's deciding column first."""

    rank: int | None
    feasible: int
    on_front: bool
    dominating: int
    dominators: tuple[Dominator, ...]


def standing(outcome: Outcome, plan: Plans, scores: Scores) -> Standing:
    """The standing of one plan, which need not be in the space."""
    rows = np.flatnonzero(outcome.scores.feasible)
    rank = None
    if scores.feasible[0]:
        others = rows[~np.all([getattr(outcome.plans, a)[rows] == v for a, v in plan.row(0).items()], axis=0)]
        plans = join_plans([outcome.plans.take(others), plan])
        order = outcome.policy.order(plans, join_scores([outcome.scores.take(others), scores]))
        rank = int(np.flatnonzero(order == len(others))[0]) + 1
    costs = outcome.objectives.costs(outcome.plans.take(outcome.front), outcome.scores.take(outcome.front))
    mine = outcome.objectives.costs(plan, scores)[0]
    better = ~np.any(less(mine, costs), axis=1) & np.any(less(costs, mine), axis=1)
    dominating = outcome.front[better]
    shown = [Dominator(int(row), _leads(outcome, int(row), plan, scores)) for row in _leading(outcome, dominating)]
    on_front = rank is not None and len(dominating) == 0
    return Standing(rank, len(rows), on_front, len(dominating), tuple(shown))


def _leading(outcome: Outcome, rows: Array) -> Array:
    """The dominating plans that the policy likes most."""
    order = outcome.policy.order(outcome.plans.take(rows), outcome.scores.take(rows))
    return rows[order[:MOST_DOMINATING]]


def _leads(outcome: Outcome, row: int, plan: Plans, scores: Scores) -> dict[str, float]:
    leads = {}
    for name, direction in outcome.objectives.directions.items():
        theirs, mine = column(name, outcome.plans, outcome.scores)[row], column(name, plan, scores)[0]
        lead = float(theirs / mine - 1.0)
        leads[name] = 0.0 if abs(lead) <= TIED else lead * (1.0 if direction == "max" else -1.0)
    return leads
