"""Each situation: what the recommended plan does in it, and which plan would be recommended instead."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from costmodel.columns import column
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.scores import Scores
from search.optimizer.sensitivity.inputs import scaled
from search.optimizer.sensitivity.pool import Pool
from search.optimizer.sensitivity.records import FIGURES, Best, Range, Situation
from search.optimizer.sensitivity.units import units
from search.optimizer.ties import TIED


def figures(scores: Scores, row: int) -> dict[str, float]:
    """The figures that situations are compared in."""
    return {name: float(getattr(scores, name)[row]) for name in FIGURES}


def missed(scores: Scores, row: int) -> tuple[str, ...]:
    """Limits that a plan misses."""
    return tuple(name for name, v in zip(scores.limits, scores.violations[:, row], strict=True) if v > 0.0)


def gain(policy_first: tuple[str, str], plans: Plans, scores: Scores, row: int, base: float) -> float:
    """Relative improvement of the deciding column over ``base``."""
    name, direction = policy_first
    change = float(column(name, plans, scores)[row]) / base - 1.0
    if abs(change) <= TIED:
        return 0.0
    return change if direction == "max" else -change


def situation(pool: Pool, scenario: Scenario, base: float, **what: object) -> Situation:
    """Score and rank the pool in a scenario; ``what`` names it."""
    scores, row = pool.ranked(scenario)
    best = None
    if row is not None:
        improved = gain(pool.policy.first, pool.plans, scores, row, base)
        best = Best(pool.plans.row(row), row == pool.place, figures(scores, row), improved)
    return Situation(**what, figures=figures(scores, pool.place), missed=missed(scores, pool.place), best=best)  # type: ignore[arg-type]


def at_the_ends(pool: Pool, scenario: Scenario, ranges: Sequence[Range], base: float) -> list[Situation]:
    """Each input at the low and at the high end of its range, the others as configured."""
    return [
        situation(
            pool, scaled(scenario, {r.name: end}), base,
            kind="range", name=r.name, key=f"sensitivity.ranges.{r.name}", before=1.0, after=end, unit="factor",
            source=r.source,
        )
        for r in ranges
        for end in (r.low, r.high)
    ]  # fmt: skip


def one_unit_more(pool: Pool, scenario: Scenario, base: float) -> list[Situation]:
    """One unit more of each resource and limit."""
    return [
        situation(
            pool, u.scenario, base, kind=u.kind, name=u.name, key=u.key, before=u.before, after=u.after, unit=u.unit
        )
        for u in units(scenario)
    ]


def deciding(pool: Pool, scores: Scores) -> float:
    """The deciding column of the recommended plan."""
    return float(np.asarray(column(pool.policy.first[0], pool.plans, scores))[pool.place])
