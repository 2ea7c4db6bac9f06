"""The front so far, while the plans of one variant are looked at."""

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
OTHER = -1  # in the place of the deployment of a plan of another variant


class Front:
    """``costs`` of feasible plans that nothing so far dominates, those that were there ``before`` and those of one
    variant; some that something does may wait among them until ``settle``. ``at`` and ``batch`` say which deployment
    of the variant's replicas each is."""

    def __init__(self, objectives: Objectives, before: Array | None = None) -> None:
        self.objectives = objectives
        self.costs: Array = np.zeros((0, len(objectives.names))) if before is None else before
        self.at: IntArray = np.full(len(self.costs), OTHER)
        self.batch: IntArray = np.zeros(len(self.costs), dtype=np.int64)
        self.grid = Grid(self.costs)
        self._settled = len(self.costs)

    def add(self, replicas: Replicas, rows: IntArray, plans: Plans, scores: Scores) -> None:
        """Plans of ``rows`` of the replicas, in all numbers."""
        good = np.flatnonzero(scores.feasible)
        if len(good) == 0:
            return
        plans, scores = plans.take(good), scores.take(good)
        place, at = replicas.deployments(rows[good])
        times = replicas.dp[at] / plans.dp[place]
        costs = multiplied(self.objectives, self.objectives.costs(plans, scores), place, times)
        open_ = np.flatnonzero(~self.grid.dominates(costs))
        if len(open_) == 0:
            return
        self.costs = np.concatenate([self.costs, costs[open_]])
        self.at = np.concatenate([self.at, at[open_]])
        self.batch = np.concatenate([self.batch, plans.batch[place[open_]]])
        if len(self.costs) > GROWN * self._settled + 200:
            self.settle()

    def settle(self) -> None:
        """Leave the front alone, each plan once."""
        if len(self.costs) == self._settled:
            return
        order = np.lexsort([np.arange(len(self.at)), self.batch, self.at])
        again = (np.diff(self.at[order]) == 0) & (np.diff(self.batch[order]) == 0) & (self.at[order[1:]] != OTHER)
        once = np.ones(len(self.at), dtype=bool)
        once[order[1:][again]] = False
        kept = np.flatnonzero(once)
        on = kept[pareto_front(self.costs[kept], np.ones(len(kept), dtype=bool))]
        if len(on) != self._settled or on[-1] >= self._settled:
            self.grid = Grid(self.costs[on])
        self.costs, self.at, self.batch = self.costs[on], self.at[on], self.batch[on]
        self._settled = len(on)

    def own(self, replicas: Replicas) -> tuple[Array, IntArray]:
        """Costs of the variant's plans on it, and the plans by ``AXES``."""
        own = np.flatnonzero(self.at != OTHER)
        plans = replicas.deployed(self.at[own], self.batch[own])
        return self.costs[own], np.stack([getattr(plans, axis) for axis in AXES], axis=1)
