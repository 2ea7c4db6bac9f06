"""The front so far, of plans of any variant."""

from __future__ import annotations

import numpy as np

from costmodel.plans import Array, IntArray, Plans
from costmodel.scores import Scores
from search.optimizer.front import Objectives, pareto_front
from search.optimizer.full.bounds import multiplied
from search.optimizer.full.grid import Grid
from search.optimizer.full.replicas import Replicas

AXES = ("gpus", "dp", "pp", "sp", "tp", "ep", "batch")
GROWN = 1.1  # how much longer the front is, with what waits, when it is settled again


class Front:
    """``costs`` and ``members`` (the variant, then ``AXES``) of feasible plans that nothing so far dominates; some
    that something does may wait among them until ``settle``."""

    def __init__(self, objectives: Objectives) -> None:
        self.objectives = objectives
        self.costs: Array = np.zeros((0, len(objectives.names)))
        self.members: IntArray = np.zeros((0, 1 + len(AXES)), dtype=np.int64)
        self.grid = Grid(self.costs)
        self._settled, self._known = 0, self.members

    def add(self, variant: int, replicas: Replicas, rows: IntArray, plans: Plans, scores: Scores) -> None:
        """Plans of ``rows`` of the replicas, in all numbers."""
        good = np.flatnonzero(scores.feasible)
        if len(good) == 0:
            return
        plans, scores = plans.take(good), scores.take(good)
        place, dp = replicas.multiplied(rows[good])
        times = dp / plans.dp[place]
        costs = multiplied(self.objectives, self.objectives.costs(plans, scores), place, times)
        open_ = np.flatnonzero(~self.grid.dominates(costs))
        if len(open_) == 0:
            return
        place, dp = place[open_], dp[open_]
        each = plans.gpus // plans.dp
        columns = [np.full(len(place), variant), each[place] * dp, dp]
        columns += [getattr(plans, axis)[place] for axis in AXES[2:]]
        self.costs = np.concatenate([self.costs, costs[open_]])
        self.members = np.concatenate([self.members, np.stack(columns, axis=1)])
        if len(self.costs) > GROWN * self._settled + 200:
            self.settle()

    def settle(self) -> None:
        """Leave the front alone, each plan once."""
        if len(self.costs) == self._settled:
            return
        _, first = np.unique(self.members, axis=0, return_index=True)
        first = np.sort(first)
        costs, members = self.costs[first], self.members[first]
        on = pareto_front(costs, np.ones(len(costs), dtype=bool))
        self.costs, self.members = costs[on], members[on]
        if len(on) != self._settled or not np.array_equal(self.members, self._known):
            self.grid = Grid(self.costs)
        self._settled, self._known = len(on), self.members
