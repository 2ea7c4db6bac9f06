"""Whether a plan exists, who takes it, and the nearest plans that are legal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from costmodel.engine import ENGINES
from costmodel.plans import AXES, Plans
from search.optimizer.outcome import Outcome
from search.optimizer.recommend import LAYOUT
from search.optimizer.refused import refused
from search.optimizer.rules.facts import Facts
from search.optimizer.rules.rule import Rule

MOST_NEAREST = 3


@dataclass(frozen=True)
class Legality:
    """``broken`` the rule by which the layout does not exist at all; ``refusals`` by engine the first rule that it
    breaks, ``None`` where it takes the plan; ``legal`` for the run's engine; ``off_axis`` axes of the space that lack
    the plan's value; ``nearest`` rows of the run's legal plans, only for a plan that is not one of them."""

    broken: Rule | None
    refusals: dict[str, Rule | None]
    legal: bool
    off_axis: tuple[str, ...]
    nearest: tuple[int, ...]


def legality(outcome: Outcome, plan: Plans, facts: Facts) -> Legality:
    """The verdict on one plan."""
    found = refused(plan, facts)[0]
    legal = not found.by(outcome.engine)
    row = plan.row(0)
    off_axis = tuple(axis for axis in AXES if row[axis] not in outcome.space.axes[axis])
    return Legality(
        found.layout, {e: found.first(e) for e in ENGINES}, legal, off_axis, () if legal else nearest(outcome, plan)
    )


def nearest(outcome: Outcome, plan: Plans) -> tuple[int, ...]:
    """Scored plans (all legal ones, or those that the study asked for) whose degrees lie fewest doublings away, the
    batch counted like a degree; one of each layout, the better by the policy where they lie equally far."""
    plans = outcome.plans
    distance = np.sum([np.abs(np.log2(getattr(plans, a) / getattr(plan, a)[0])) for a in AXES], axis=0)
    place = np.empty(len(plans))
    place[outcome.policy.order(plans, outcome.scores)] = np.arange(len(plans))
    order = np.lexsort([place, np.round(distance, 9)])
    _, first = np.unique(np.stack([getattr(plans, a)[order] for a in LAYOUT]), axis=1, return_index=True)
    return tuple(int(order[i]) for i in np.sort(first)[:MOST_NEAREST])
