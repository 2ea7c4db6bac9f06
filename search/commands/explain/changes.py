"""What would help a plan most: other degrees or another batch, a limit relaxed, an input improved. Each by
``evaluate``."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from costmodel.columns import column
from costmodel.evaluate import evaluate
from costmodel.plans import AXES, IntArray, Plans
from costmodel.plans import concatenate as join_plans
from costmodel.scenario import Scenario
from costmodel.scores import Scores
from search.optimizer.outcome import Outcome
from search.optimizer.sensitivity.situations import figures, gain
from search.optimizer.sensitivity.table import RESOURCES
from search.optimizer.sensitivity.units import units

LEAST_GAIN = 1e-6  # relative; below it nothing helps
LIMIT_KEYS = {"memory": "memory_fraction", "ttft": "ttft_s", "tpot": "tpot_s", "requests": "min_requests_per_s"}
MARGIN = 1e-9  # relative: a limit set to what a plan needs must not fail by rounding


@dataclass(frozen=True)
class Change:
    """``kind`` ``plan``, ``limit`` or ``input``; ``text`` says what changes; ``plan`` the axes after it; ``gain`` the
    relative improvement of the policy's deciding column over the explained plan; ``figures`` after it."""

    kind: str
    text: str
    plan: dict[str, int]
    gain: float
    figures: dict[str, float]


def helping(outcome: Outcome, plan: Plans, scores: Scores, *, legal: bool) -> list[Change]:
    """The changes after which the plan is legal and feasible, the largest gain first: the best of each kind of change.
    Of a plan that is so already only those that gain."""
    found = _moves(outcome, plan, scores)
    if legal:
        found += [*_relaxed(outcome, plan, scores), *_improved(outcome, plan, scores)]
    kept = [c for c in found if c.gain > LEAST_GAIN] if legal and scores.feasible[0] else found
    return sorted(kept, key=lambda c: -c.gain)


def neighbours(plans: Plans, one: Plans) -> tuple[IntArray, NDArray[np.bool_]]:
    """Rows of the legal ``plans`` that differ from ``one`` in one axis, or in two degrees that must change together
    because one of them alone is not legal; and which axes differ, of shape (7, rows)."""
    row = one.row(0)
    differs = np.stack([getattr(plans, a) != row[a] for a in AXES])
    count = differs.sum(axis=0)
    single = count == 1
    pairs = (count == 2) & ~differs[AXES.index("batch")]
    alone = np.zeros(len(plans), dtype=np.int64)  # of a pair's two changes, how many are legal by themselves
    for i, axis in enumerate(AXES):
        legal = getattr(plans, axis)[single & differs[i]]
        alone += differs[i] & np.isin(getattr(plans, axis), legal)
    rows = np.flatnonzero(single | (pairs & (alone < 2)))
    return rows, differs[:, rows]


def _moves(outcome: Outcome, plan: Plans, scores: Scores) -> list[Change]:
    """The best feasible neighbour of each set of axes that change."""
    rows, differs = neighbours(outcome.legal.plans, plan)
    near = outcome.legal.plans.take(rows)
    if len(near) == 0:
        return []
    found = evaluate(outcome.scenario, near)
    groups = np.array([1 << i for i in range(len(AXES))]) @ differs
    best = []
    for group in np.unique(groups[found.feasible]):
        members = np.flatnonzero((groups == group) & found.feasible)
        row = _first(outcome, near, found, members)
        changed = [a for i, a in enumerate(AXES) if differs[i, row]]
        best.append(_change(outcome, "plan", _steps(plan, near.row(row), changed), near, found, row, plan, scores))
    return best


def _first(outcome: Outcome, plans: Plans, scores: Scores, rows: IntArray) -> int:
    return int(rows[outcome.policy.order(plans.take(rows), scores.take(rows))[0]])


def _steps(plan: Plans, after: dict[str, int], changed: list[str]) -> str:
    before = plan.row(0)
    return ", ".join(f"{a} {before[a]} → {after[a]}" for a in changed)


def _change(
    outcome: Outcome, kind: str, text: str, plans: Plans, found: Scores, row: int, plan: Plans, scores: Scores
) -> Change:
    base = float(column(outcome.policy.first[0], plan, scores)[0])
    better = gain(outcome.policy.first, plans, found, row, base)
    return Change(kind, text, plans.row(row), better, figures(found, row))


def _batches(outcome: Outcome, plan: Plans) -> Plans:
    """The plan, and the same layout with every other batch of the space that is legal."""
    legal = outcome.legal.plans
    row = plan.row(0)
    same = np.all([getattr(legal, a) == row[a] for a in AXES if a != "batch"], axis=0)
    return join_plans([plan, legal.take(same & (legal.batch != row["batch"]))])


def _let_in(outcome: Outcome, plan: Plans, scores: Scores, changed: Scenario, text: str, kind: str) -> list[Change]:
    """The plan, or a batch of its layout that only the change makes feasible, whichever is best in the scenario."""
    batches = _batches(outcome, plan)
    before, after = evaluate(outcome.scenario, batches), evaluate(changed, batches)
    new = after.feasible & ~before.feasible
    new[0] = after.feasible[0]
    rows = np.flatnonzero(new)
    if len(rows) == 0:
        return []
    row = _first(outcome, batches, after, rows)
    if row:
        text += f", with {_steps(plan, batches.row(row), ['batch'])}"
    return [_change(outcome, kind, text, batches, after, row, plan, scores)]


def _relaxed(outcome: Outcome, plan: Plans, scores: Scores) -> list[Change]:
    """Each limit a unit looser. The only limit that a plan misses is relaxed as far as the plan needs."""
    scenario = outcome.scenario
    missed = [i for i, v in enumerate(scores.violations[:, 0]) if v > 0.0]
    if missed:
        return _as_needed(outcome, plan, scores, missed)
    changes: list[Change] = []
    for unit in units(scenario):
        if unit.kind == "limit":
            text = f"{unit.key} {unit.before:.4g} → {unit.after:.4g}"
            changes += _let_in(outcome, plan, scores, unit.scenario, text, "limit")
    return changes


def _as_needed(outcome: Outcome, plan: Plans, scores: Scores, missed: list[int]) -> list[Change]:
    if len(missed) > 1:
        return []
    scenario, name = outcome.scenario, scores.limits[missed[0]]
    key, excess = LIMIT_KEYS[name], float(scores.violations[missed[0], 0])
    before = float(getattr(scenario.limits, key))
    after = before * (1.0 - excess) * (1.0 - MARGIN) if name == "requests" else before * (1.0 + excess) * (1.0 + MARGIN)
    if name == "memory" and after > 1.0:
        return []  # more than the accelerator has
    changed = replace(scenario, limits=replace(scenario.limits, **{key: after}))  # type: ignore[arg-type]
    text = f"limits.{key} {before:.4g} → {after:.4g}, as the plan needs"
    found = evaluate(changed, plan)
    return [_change(outcome, "limit", text, plan, found, 0, plan, scores)] if found.feasible[0] else []


def _improved(outcome: Outcome, plan: Plans, scores: Scores) -> list[Change]:
    """Each resource a unit larger."""
    changes: list[Change] = []
    for unit in units(outcome.scenario):
        if unit.kind == "resource":
            step = "1 GB more" if unit.name == "memory" else f"{(unit.factor - 1.0) * 100:+.0f} %"
            changes += _let_in(outcome, plan, scores, unit.scenario, f"{RESOURCES[unit.name]} {step}", "input")
    return changes
