"""The plans that are ranked again in every situation: all scored ones where they are few, else those that can win."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from costmodel.columns import column
from costmodel.evaluate import evaluate
from costmodel.plans import Array, IntArray, Plans
from costmodel.scenario import Scenario
from costmodel.scores import Scores
from search.evidence.measured.intervals import coverage_of
from search.optimizer.hardened import hardened, likely
from search.optimizer.outcome import Outcome
from search.optimizer.recommend import LAYOUT, Policy, best_feasible, replica_layout
from search.optimizer.sensitivity.inputs import INPUTS, scaled
from search.optimizer.sensitivity.records import Range

SHARE_OF_SURE = 3  # one place in so many
MOST_CORNERED = 100_000  # plans scored in the corners; beyond it those with the best deciding column


@dataclass(frozen=True)
class Pool:
    """``plans`` to rank under ``policy``; ``place`` of the recommended one among them; ``total`` plans that the search
    scored."""

    plans: Plans
    place: int
    policy: Policy
    total: int

    def ranked(self, scenario: Scenario) -> tuple[Scores, int | None]:
        """The pool's scores in a scenario, and the plan that would be recommended there, if any is feasible."""
        scores = evaluate(scenario, self.plans)
        return scores, self.best(scenario, scores)

    def best(self, scenario: Scenario, scores: Scores) -> int | None:
        known = coverage_of(scenario, self.plans, scores)
        return best_feasible(self.plans, scores, self.policy, known)


def pool(outcome: Outcome, ranges: Sequence[Range], most: int) -> Pool:
    """At most ``most`` plans, but always the recommended one. Where not all fit, the layouts that come first in one of
    three corners (as configured, every range at its worse end, every range at its better end), each with the batches
    between its best ones there: what wins in some situation between the corners is near what wins in one of them. Of
    plans that differ in the number of replicas, those that win there. A third of the places is for plans that may be
    the best sure one."""
    assert outcome.choice is not None
    chosen, plans = outcome.choice.recommended, outcome.plans
    if len(plans) <= most:
        return Pool(plans, chosen, outcome.policy, len(plans))
    hard = hardened(outcome.scenario, outcome.scores, outcome.coverage)
    sure = likely(plans, hard, outcome.policy, most // SHARE_OF_SURE)
    rows = np.unique([chosen, *sure, *_contenders(outcome, ranges, most - 1 - len(sure))])
    return Pool(plans.take(rows), int(np.searchsorted(rows, chosen)), outcome.policy, outcome.counted.scored)


def _contenders(outcome: Outcome, ranges: Sequence[Range], most: int) -> list[int]:
    """At most ``most`` rows beside the recommended one."""
    assert outcome.choice is not None
    scenario, chosen = outcome.scenario, outcome.choice.recommended
    near = np.argsort(_cost(outcome.policy, outcome.plans, outcome.scores), kind="stable")
    near = np.union1d(near[:MOST_CORNERED], [chosen])
    plans = outcome.plans.take(near)
    _, layouts = np.unique(np.stack([getattr(plans, a) for a in LAYOUT]), axis=1, return_inverse=True)
    _, replicas = np.unique(np.stack(replica_layout(plans)), axis=1, return_inverse=True)
    first, low, high = (np.full(layouts.max() + 1, fill) for fill in (len(near), np.iinfo(np.int64).max, -1))
    for ends in ({}, _ends(ranges, worse=True), _ends(ranges, worse=False)):
        scores = evaluate(scaled(scenario, ends), plans) if ends else outcome.scores.take(near)
        order = outcome.policy.order(plans, scores)
        order = order[scores.feasible[order]]
        _, place = np.unique(replicas[order], return_index=True)
        best = order[np.sort(place)]  # one plan of each layout of a replica, the best first
        found = layouts[best]
        first[found] = np.minimum(first[found], np.arange(len(best)))
        low[found] = np.minimum(low[found], plans.batch[best])
        high[found] = np.maximum(high[found], plans.batch[best])
    between = (plans.batch >= low[layouts]) & (plans.batch <= high[layouts])
    mine = layouts == layouts[np.searchsorted(near, chosen)]
    turn = np.where(mine, -1, first[layouts])
    wanted = np.flatnonzero(between)
    wanted = wanted[np.lexsort([np.abs(plans.batch[wanted] - outcome.plans.batch[chosen]), turn[wanted]])]
    rows = near[wanted]
    return rows[rows != chosen][:most].tolist()


def _ends(ranges: Sequence[Range], *, worse: bool) -> dict[str, float]:
    """Every range at its worse, or at its better end."""
    return {r.name: r.low if worse == (INPUTS[r.name].helps > 0) else r.high for r in ranges}


def _cost(policy: Policy, plans: Plans, scores: Scores) -> Array:
    name, direction = policy.first
    values = column(name, plans, scores)
    return -values if direction == "max" else values


def same_layout(plans: Plans, place: int) -> IntArray:
    """1 where a plan's replicas are laid out as those of the plan at ``place``."""
    return np.all([shape == shape[place] for shape in replica_layout(plans)], axis=0).astype(np.int64)
