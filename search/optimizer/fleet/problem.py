"""The choice between everybody's choices, in numbers: no model, plan or price is named below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from costmodel.plans import Array, IntArray
from search.optimizer.fleet.choices import Choices

SAME = 1e-9  # of served shares: rounding


@dataclass(frozen=True)
class Budget:
    """At most ``most`` of what an accelerator of each pool takes ``each`` of."""

    name: str
    each: Array
    most: float


@dataclass(frozen=True)
class Problem:
    """``counts`` accelerators a pool; ``charges`` for one of each, what is to be least; ``weights`` of the members."""

    counts: IntArray
    charges: Array
    budgets: tuple[Budget, ...]
    members: tuple[Choices, ...]
    weights: Array

    @property
    def whole(self) -> float:
        """What is served when everybody is."""
        return float(np.sum(self.weights))

    def gpus(self, picks: IntArray) -> IntArray:
        """Accelerators by pool, shape (n, pools), of ``picks`` of shape (n, members)."""
        return np.sum([m.gpus[picks[:, i]] for i, m in enumerate(self.members)], axis=0)

    def cost(self, picks: IntArray) -> Array:
        return np.asarray(self.gpus(picks) @ self.charges)

    def served(self, picks: IntArray) -> Array:
        """Weighted share of the traffic that is served, 0 to 1."""
        shares = [w * m.share[picks[:, i]] for i, (m, w) in enumerate(zip(self.members, self.weights, strict=True))]
        return np.asarray(np.sum(shares, axis=0) / self.whole)

    def excess(self, picks: IntArray) -> Array:
        """How far pools and budgets are exceeded, relative to them, shape (n, pools + budgets)."""
        gpus = self.gpus(picks)
        over = [gpus[:, k] / self.counts[k] - 1.0 for k in range(len(self.counts))]
        over += [gpus @ b.each / b.most - 1.0 for b in self.budgets]
        return np.stack(over, axis=1)

    def kept(self, picks: IntArray) -> np.ndarray:
        """True where nothing is exceeded."""
        return np.asarray(np.all(self.excess(picks) <= SAME, axis=1))


@dataclass(frozen=True)
class Front:
    """Fleets that serve more the more they cost, ascending: ``picks`` of shape (n, members). ``whole``: all of the
    front is here, not its last member alone. The last one serves most."""

    picks: IntArray
    method: str
    whole: bool

    def __len__(self) -> int:
        return len(self.picks)


def complete(problem: Problem, picks: Sequence[int]) -> bool:
    """Whether everybody is served whole."""
    return all(m.share[p] >= 1.0 for m, p in zip(problem.members, picks, strict=True))
