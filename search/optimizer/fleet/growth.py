"""The same fleet with other traffic: what it takes to serve everybody whole."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from costmodel.plans import IntArray
from search.optimizer.fleet import exact, milp
from search.optimizer.fleet.choices import Choices
from search.optimizer.fleet.problem import Problem, complete

FACTORS = (1.0, 1.25, 1.5, 2.0, 3.0)  # on the planned traffic
QUICK = 10**8  # steps of the dynamic programme that take a second


@dataclass(frozen=True)
class Grown:
    """At ``factor`` times the planned traffic: accelerators by pool and the least cost that serves everybody, ``None``
    where the pools or budgets do not hold it."""

    factor: float
    gpus: IntArray | None
    cost: float | None


def grown(factor: float, problem: Problem) -> Grown:
    """``problem`` of that traffic."""
    whole = replace(problem, members=tuple(_whole(m) for m in problem.members))
    front = exact.solve(whole) if exact.steps(whole)[1] <= QUICK else milp.solve(whole)
    if not len(front) or not complete(whole, front.picks[-1].tolist()):
        return Grown(factor, None, None)
    picks = front.picks[-1:]
    return Grown(factor, whole.gpus(picks)[0], float(whole.cost(picks)[0]))


def _whole(member: Choices) -> Choices:
    """Nothing, and what serves all."""
    rows = np.flatnonzero((member.share >= 1.0) | (np.arange(len(member)) == 0))
    given = tuple(member.deployments[i] for i in rows)
    return Choices(member.name, member.gpus[rows], member.share[rows], member.kind[rows], given)
