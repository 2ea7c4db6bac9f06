"""A node more: the best plan that uses it. The layouts that the axes allow are spread over the larger deployment; a
number of replicas that fills it with the recommended replica is tried too, whether or not it is on the axis."""

from __future__ import annotations

import numpy as np

from costmodel.evaluate import evaluate
from costmodel.plans import Plans
from search.evidence.measured.intervals import coverage_of
from search.optimizer.legal import legal_plans
from search.optimizer.outcome import Outcome
from search.optimizer.recommend import best_feasible
from search.optimizer.rules.facts import facts_of
from search.optimizer.sensitivity.records import Best, Situation
from search.optimizer.sensitivity.situations import figures, gain
from search.optimizer.space import Space

MOST_POINTS = 50_000  # of the space with a node more; batches are thinned beyond it


def a_node_more(outcome: Outcome, plan: dict[str, int], base: float) -> Situation | None:
    """The best plan on ``gpus`` plus a node; ``None`` where the cluster connects no more or nothing is legal there."""
    gpus = plan["gpus"] + outcome.scenario.cluster.node_size
    if gpus > outcome.scenario.cluster.max_gpus:
        return None
    space = _space(outcome, plan, gpus)
    legal = legal_plans(space, facts_of(outcome.scenario), outcome.scenario.engine.name)
    best = _best(outcome, legal.plans, base) if len(legal) else None
    return None if not len(legal) else Situation(
        "resource", "node", "space.gpus", float(plan["gpus"]), float(gpus), "GPUs", None, (), best
    )  # fmt: skip


def _best(outcome: Outcome, plans: Plans, base: float) -> Best | None:
    scenario = outcome.scenario
    scores = evaluate(scenario, plans)
    known = coverage_of(scenario, plans, scores)
    row = best_feasible(plans, scores, outcome.policy, known)
    if row is None:
        return None
    return Best(plans.row(row), False, figures(scores, row), gain(outcome.policy.first, plans, scores, row, base))


def _space(outcome: Outcome, plan: dict[str, int], gpus: int) -> Space:
    axes = dict(outcome.space.axes)
    axes["gpus"] = (gpus,)
    replica = plan["gpus"] // plan["dp"]
    if gpus % replica == 0:
        axes["dp"] = tuple(sorted({*axes["dp"], gpus // replica}))
    layouts = Space({**axes, "batch": (plan["batch"],)}).size
    most = max(MOST_POINTS // layouts, 1)
    batches = np.array(axes["batch"])
    if len(batches) > most:
        batches = batches[np.unique(np.linspace(0, len(batches) - 1, most).astype(int))]
    axes["batch"] = tuple(sorted({*batches.tolist(), plan["batch"]}))
    return Space(axes)
