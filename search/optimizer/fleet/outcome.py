"""What a fleet's search found: the record that everything which people read is made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from costmodel.plans import IntArray
from search.inputs.fleet.records import HOURS_A_MONTH, Fleet
from search.optimizer.fleet.choices import Deployment
from search.optimizer.fleet.deployed import Deployed
from search.optimizer.fleet.growth import Grown
from search.optimizer.fleet.problem import Front, Problem
from search.optimizer.fleet.replicas import Found
from search.optimizer.fleet.study import FleetStudy


@dataclass(frozen=True)
class FleetOutcome:
    """``found`` by member and pool (numbers), absent where the member may not use the pool; ``cost``: the figure that
    is least (``usd_per_hour``, ``power_w`` or ``gpus``). ``chosen``: the fleet that is recommended, ``None`` where what
    was asked for cannot be had; ``most``: the one that serves most, ``None`` where nobody can be served at all.
    ``deployed`` of the chosen one."""

    fleet: Fleet
    found: dict[tuple[int, int], Found]
    problem: Problem
    cost: str
    front: Front
    chosen: IntArray | None
    most: IntArray | None
    deployed: tuple[Deployed, ...]
    study: FleetStudy | None
    growth: tuple[Grown, ...]
    assumptions: tuple[str, ...]
    seconds: dict[str, float]

    def deployments(self, picks: IntArray, member: int) -> tuple[Deployment, ...]:
        return self.problem.members[member].deployments[int(picks[member])]

    def share(self, picks: IntArray, member: int) -> float:
        """Of a member's traffic that is served."""
        return float(self.problem.members[member].share[int(picks[member])])

    def gpus(self, picks: IntArray) -> IntArray:
        """Accelerators taken, by pool."""
        return np.asarray(self.problem.gpus(picks[None, :])[0])

    def served(self, picks: IntArray) -> float:
        return float(self.problem.served(picks[None, :])[0])

    def usd_per_hour(self, picks: IntArray) -> float | None:
        """``None`` where a pool that is used has no price."""
        return self._sum(picks, "price_per_hour")

    def usd_per_month(self, picks: IntArray) -> float | None:
        hourly = self.usd_per_hour(picks)
        return None if hourly is None else hourly * HOURS_A_MONTH

    def power_w(self, picks: IntArray) -> float | None:
        """At most: the sum of the limits that boards enforce on themselves."""
        return self._sum(picks, "power_w")

    def _sum(self, picks: IntArray, name: str) -> float | None:
        total = 0.0
        for pool, gpus in zip(self.fleet.pools, self.gpus(picks).tolist(), strict=True):
            each = getattr(pool, name)
            if gpus and each is None:
                return None
            total += gpus * (each or 0.0)
        return total
