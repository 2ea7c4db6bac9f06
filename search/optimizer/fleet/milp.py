"""The best fleet by mixed-integer programming, where the table of ``exact`` would be too large: a choice a member (the
multiple-choice knapsack problem), by HiGHS without a gap."""

from __future__ import annotations

import numpy as np

from costmodel.plans import Array
from search.base.errors import InputError
from search.optimizer.fleet.problem import SAME, Front, Problem

MOST_S = 300.0


def solve(problem: Problem) -> Front:
    """First what is served is made most, then what it costs least."""
    owner = np.repeat(np.arange(len(problem.members)), [len(m) for m in problem.members])
    gpus = np.concatenate([m.gpus for m in problem.members])
    worth = np.concatenate([w * m.share for m, w in zip(problem.members, problem.weights, strict=True)])
    rows = [(gpus[:, k].astype(float), float(n)) for k, n in enumerate(problem.counts)]
    rows += [(gpus @ b.each, b.most) for b in problem.budgets]
    first = _solved(-worth, owner, rows)
    most = float(worth @ first)
    price = gpus @ problem.charges + SAME * gpus.sum(axis=1)  # of equal cost the fewest accelerators
    second = _solved(price, owner, [*rows, (-worth, -(most - SAME * problem.whole))])
    starts = np.searchsorted(owner, np.arange(len(problem.members)))
    picks = np.flatnonzero(second > 0.5) - starts
    return Front(picks[None, :], "mixed-integer programme", False)


def _solved(price: Array, owner: np.ndarray, rows: list[tuple[Array, float]]) -> Array:
    """Exactly one of each owner's choices, every row's sum at most its bound."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_matrix

    n = len(price)
    one = csr_matrix((np.ones(n), (owner, np.arange(n))), shape=(int(owner.max()) + 1, n))
    limits = [LinearConstraint(one, 1.0, 1.0)]
    limits += [LinearConstraint(csr_matrix(row), -np.inf, bound) for row, bound in rows]
    options = {"mip_rel_gap": 0.0, "time_limit": MOST_S}
    found = milp(price, constraints=limits, integrality=np.ones(n), bounds=Bounds(0.0, 1.0), options=options)
    if found.x is None or found.status != 0:
        raise InputError(f"fleet: the solver gave no optimum ({found.message}); give fewer accelerators or models")
    return np.round(found.x)
