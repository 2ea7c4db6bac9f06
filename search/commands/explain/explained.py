"""Everything that is said about one plan of a run."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.breakdown import Part, breakdown
from costmodel.columns import column
from costmodel.evaluate import evaluate
from costmodel.plans import READING_ORDER, Plans
from costmodel.scores import PREDICTED, Scores
from search.commands.explain.changes import Change, helping
from search.commands.explain.legality import Legality, legality
from search.commands.explain.standing import Standing, standing
from search.evidence.measured.intervals import CLASSES, coverage_of, load_intervals
from search.optimizer.outcome import Outcome
from search.optimizer.rules.facts import facts_of
from search.optimizer.starting import Starting, of_plan


@dataclass(frozen=True)
class Verdict:
    """``scores`` to ``changes`` are ``None`` or empty for a layout that does not exist. ``known`` names the class of
    the plan's intervals; ``recommended``: the run recommends it; ``apart``: its interval of the deciding figure does
    not reach the recommended plan's prediction (``None`` where one of them is missing); ``starting``: by every rule of
    starts, those that need the memory too."""

    name: str
    plan: Plans
    legality: Legality
    recommended: bool
    scores: Scores | None = None
    known: str = ""
    standing: Standing | None = None
    apart: bool | None = None
    time: tuple[Part, ...] = ()
    changes: tuple[Change, ...] = ()
    starting: Starting | None = None


def explain(outcome: Outcome, plan: Plans, name: str) -> Verdict:
    """The verdict on one plan, which need be neither feasible, nor legal, nor in the space."""
    legal = legality(outcome, plan, facts_of(outcome.scenario))
    chosen = outcome.choice is not None and outcome.plans.row(outcome.choice.recommended) == plan.row(0)
    if legal.broken is not None:
        return Verdict(name, plan, legal, chosen)
    scores = evaluate(outcome.scenario, plan)
    known = coverage_of(outcome.scenario, plan, scores)
    return Verdict(
        name, plan, legal, chosen, scores, CLASSES[int(known[0])],
        standing(outcome, plan, scores), None if chosen else _apart(outcome, plan, scores),
        tuple(breakdown(outcome.scenario, plan)), tuple(helping(outcome, plan, scores, legal=legal.legal)),
        of_plan(plan, outcome.scenario, {e: rule for e, rule in legal.refusals.items() if rule is not None}),
    )  # fmt: skip


def interval(outcome: Outcome, plan: Plans, scores: Scores, figure: str) -> tuple[float, float] | None:
    """The 80 % interval of a figure of one plan; ``None`` where it has none."""
    if figure not in PREDICTED:
        return None
    known = coverage_of(outcome.scenario, plan, scores)
    low, high = load_intervals().of(figure, known, getattr(scores, figure))
    return float(low[0]), float(high[0])


def _apart(outcome: Outcome, plan: Plans, scores: Scores) -> bool | None:
    if outcome.choice is None:
        return None
    name, direction = outcome.policy.first
    found = interval(outcome, plan, scores, name)
    if found is None:
        return None
    best = float(column(name, outcome.plans, outcome.scores)[outcome.choice.recommended])
    return found[1] < best if direction == "max" else found[0] > best


def axes_words(plan: dict[str, int]) -> str:
    """A plan in one line."""
    return ", ".join(f"{axis} {plan[axis]}" for axis in READING_ORDER)
