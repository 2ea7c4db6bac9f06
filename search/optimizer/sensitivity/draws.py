"""Seeded draws over all uncertain inputs at once: does the plan stay feasible, does it stay the best?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from costmodel.columns import column
from costmodel.evaluate import evaluate
from costmodel.plans import Array
from costmodel.scenario import Scenario
from search.base import interrupt
from search.base.workers import LOCAL, Workers
from search.evidence.measured.intervals import coverage_of
from search.optimizer.hardened import CONFIDENCE, hardened
from search.optimizer.recommend import best_feasible
from search.optimizer.sensitivity.inputs import scaled
from search.optimizer.sensitivity.pool import Pool, same_layout
from search.optimizer.sensitivity.records import FIGURES, SAFE, Draws, Range, Sure
from search.optimizer.sensitivity.situations import gain

QUANTILES = (0.1, 0.5, 0.9)
MOST_RIVALS = 3
TOGETHER = 8  # draws of one piece of work


def factors(ranges: Sequence[Range], count: int, seed: int) -> Array:
    """Shape (count, ranges). Half of the draws of an input lie below its configured value and half above, log-uniform
    between it and the end of the range; inputs are independent."""
    spread = 2.0 * np.random.default_rng(seed).random((count, len(ranges))) - 1.0
    low = np.log([r.low for r in ranges])
    high = np.log([r.high for r in ranges])
    return np.exp(np.where(spread < 0.0, -spread * low, spread * high))


@dataclass(frozen=True)
class Drawn:
    """One draw: which plans of the pool are ``feasible``, which is ``best``; the ``limits``, which of them the
    recommended plan has ``lost``, its figures (``mine``) and, where it is feasible, what it lacks to the ``best``."""

    feasible: NDArray[np.bool_]
    best: int | None
    limits: tuple[str, ...]
    lost: NDArray[np.bool_]
    mine: tuple[float, ...]
    shortfall: float | None


@dataclass(frozen=True)
class Drawing:
    """Ranks the pool in some draws, each a factor by input; a function without memory."""

    pool: Pool
    scenario: Scenario
    names: tuple[str, ...]

    def __call__(self, some: list[list[float]]) -> list[Drawn]:
        return [self._one(drawn) for drawn in some]

    def _one(self, drawn: list[float]) -> Drawn:
        pool = self.pool
        name, direction = pool.policy.first
        scores, best = pool.ranked(scaled(self.scenario, dict(zip(self.names, drawn, strict=True))))
        feasible, shortfall = scores.feasible, None
        if best is not None and feasible[pool.place]:
            values = column(name, pool.plans, scores)
            shortfall = (1.0 if direction == "max" else -1.0) * (1.0 - float(values[pool.place] / values[best]))
        mine = tuple(float(getattr(scores, figure)[pool.place]) for figure in FIGURES)
        return Drawn(feasible, best, scores.limits, scores.violations[:, pool.place] > 0.0, mine, shortfall)


def draw(
    pool: Pool, scenario: Scenario, ranges: Sequence[Range], base: float, count: int, seed: int,
    workers: Workers = LOCAL,
) -> Draws | None:  # fmt: skip
    """Rank the pool in each draw. ``base``: the recommended plan's deciding column as configured. ``None`` where
    somebody asked to end before all were drawn."""
    drawing = Drawing(pool, scenario, tuple(r.name for r in ranges))
    wanted = factors(ranges, count, seed).tolist()
    some = [wanted[i : i + TOGETHER] for i in range(0, count, TOGETHER)]
    parts = workers.worth(count * len(pool.plans)).map(drawing, some, len(some), "sensitivity")
    found = [one for part in parts for one in part]
    if interrupt.asked():
        return None
    feasible = np.array([one.feasible for one in found])
    winners, mine = [one.best for one in found], np.array([one.mine for one in found])
    shortfalls = [one.shortfall for one in found if one.shortfall is not None]
    lost = [one.lost for one in found]
    alike = same_layout(pool.plans, pool.place)
    own = [w for w in winners if w is not None and alike[w]]
    return Draws(
        count=count,
        feasible=float(np.mean(feasible[:, pool.place])),
        best=winners.count(pool.place) / count,
        layout=len(own) / count,
        missed={limit: float(share) for limit, share in zip(found[0].limits, np.mean(lost, axis=0), strict=True)},
        shortfall=_shortfall(shortfalls),
        quantiles={f: _quantiles(mine[:, i]) for i, f in enumerate(FIGURES)},
        rivals=_rivals(pool, [w for w in winners if w is not None and not alike[w]], count),
        robust=_robust(pool, scenario, base, np.mean(feasible, axis=0)),
        sure=_sure(pool, scenario, base, np.mean(feasible, axis=0)),
    )


def _quantiles(found: np.ndarray) -> tuple[float, ...]:
    """Between the draws; where the plan falls behind its arrivals in some, of the draws themselves."""
    if np.isfinite(found).all():
        return tuple(np.quantile(found, QUANTILES).tolist())
    return tuple(np.quantile(found, QUANTILES, method="inverted_cdf").tolist())


def _shortfall(found: list[float]) -> tuple[float, float]:
    # A plan that an uncovered one beats within its interval stays recommended: what it lacks to itself is nothing.
    high = np.maximum(found, 0.0) if found else np.zeros(1)
    return float(np.quantile(high, 0.5)), float(np.quantile(high, 0.9))


def _rivals(pool: Pool, winners: list[int], count: int) -> tuple[tuple[dict[str, int], float], ...]:
    layouts: dict[tuple[int, ...], Counter[int]] = {}
    for row in winners:
        plan = pool.plans.row(row)
        key = (plan["gpus"] // plan["dp"], *(plan[a] for a in ("pp", "sp", "tp", "ep")))
        layouts.setdefault(key, Counter())[row] += 1
    ranked = sorted(layouts.values(), key=lambda wins: -wins.total())[:MOST_RIVALS]
    return tuple((pool.plans.row(wins.most_common(1)[0][0]), wins.total() / count) for wins in ranked)


def _robust(pool: Pool, scenario: Scenario, base: float, shares: Array) -> tuple[dict[str, int], float, float] | None:
    safe = np.flatnonzero(shares >= SAFE)
    if len(safe) == 0:
        return None
    few = replace(pool, plans=pool.plans.take(safe))
    scores, best = few.ranked(scenario)
    if best is None:
        return None
    return few.plans.row(best), float(shares[safe[best]]), gain(pool.policy.first, few.plans, scores, best, base)


def _sure(pool: Pool, scenario: Scenario, base: float, shares: Array) -> Sure | None:
    scores = evaluate(scenario, pool.plans)
    known = coverage_of(scenario, pool.plans, scores)
    lacking = np.where(shares >= CONFIDENCE, 0.0, 1.0)
    violations = np.maximum(hardened(scenario, scores, known).violations, lacking)
    row = best_feasible(pool.plans, replace(scores, violations=violations), pool.policy, known)
    if row is None:
        return None
    price = gain(pool.policy.first, pool.plans, scores, row, base)
    return Sure(pool.plans.row(row), float(shares[row]), price)
