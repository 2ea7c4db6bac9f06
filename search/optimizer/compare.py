"""Which of several engines' searches to recommend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from costmodel.columns import column
from costmodel.plans import concatenate as join_plans
from costmodel.scores import concatenate as join_scores
from search.base.errors import InputError
from search.inputs.schema import Config
from search.optimizer.legal import NoLegalPlan
from search.optimizer.outcome import Compared, Outcome
from search.optimizer.recommend import best_feasible, overlap
from search.optimizer.ties import TIED


def none_of(names: Sequence[str], errors: Sequence[NoLegalPlan]) -> InputError:
    """The error where no compared engine takes any plan."""
    first = errors[0]
    why = "; ".join(f"{error.engine}: {error.why}" for error in errors)
    return InputError(
        f"space: none of its {first.size} points is a legal plan for model {first.model!r} and any of the engines "
        f"{', '.join(names)}; {why}"
    )


def chosen(config: Config, names: Sequence[str], found: Sequence[Outcome | NoLegalPlan]) -> Outcome:
    """The outcome whose recommended plan the policy prefers, as it would among plans of one engine; where none has a
    feasible plan, the one whose nearest plan misses its limits by least. Ties go to the engine named first."""
    outcomes = [one for one in found if isinstance(one, Outcome)]
    best = _best([one for one in outcomes if one.choice is not None]) or min(outcomes, key=_excess)
    beside = []
    for name, one in zip(names, found, strict=True):
        if isinstance(one, Outcome):
            beside.append(_beside(name, one, best))
        else:
            beside.append(Compared(name, None, one.why))
    return replace(best, compared=tuple(beside), asked=config)


def _best(outcomes: Sequence[Outcome]) -> Outcome | None:
    """By the policy among their recommended plans, all of which keep their limits."""
    if not outcomes:
        return None
    rows = [[one.choice.recommended] for one in outcomes if one.choice is not None]
    plans = join_plans([one.plans.take(row) for one, row in zip(outcomes, rows, strict=True)])
    scores = join_scores([one.scores.take(row) for one, row in zip(outcomes, rows, strict=True)])
    known = np.concatenate([one.coverage[row] for one, row in zip(outcomes, rows, strict=True)])
    place = best_feasible(plans, scores, outcomes[0].policy, known)
    return outcomes[0 if place is None else place]


def _excess(outcome: Outcome) -> float:
    return float(np.maximum(outcome.scores.violations, 0.0).sum(axis=0).min())


def _beside(name: str, one: Outcome, best: Outcome) -> Compared:
    if one.choice is None or best.choice is None:
        return Compared(name, one)
    figure, direction = best.policy.first
    values = np.array(
        [float(column(figure, o.plans, o.scores)[o.choice.recommended]) for o in (best, one) if o.choice is not None]
    )
    gain = float(values[1] / values[0] - 1.0) * (1.0 if direction == "max" else -1.0)
    known = np.array([best.coverage[best.choice.recommended], one.coverage[one.choice.recommended]])
    apart = not overlap(0, 1, values, figure, direction, known)
    return Compared(name, one, "", 0.0 if abs(gain) <= TIED else gain, apart)
