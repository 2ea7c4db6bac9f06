"""Does splitting pay? The best split plan beside the best aggregated one, by the policy's deciding column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from costmodel.columns import column
from costmodel.evaluate import evaluate
from costmodel.lengths import FixedLengths
from costmodel.plans import IntArray, Plans
from costmodel.scenario import Scenario
from costmodel.scores import Scores
from search.evidence.measured.intervals import CLASSES, coverage_of, load_intervals
from search.optimizer.front import Objectives
from search.optimizer.recommend import Policy, best_feasible
from search.optimizer.rules.facts import Facts
from search.optimizer.space import Space
from search.optimizer.split.asked import Asked
from search.optimizer.split.search import SplitFound, search_split
from search.optimizer.ties import TIED

PROMPTS = (0.25, 0.5, 2.0, 4.0)  # of the workload's prompts: lengths at which the question is asked again
MOST_RESCORED = 30_000  # aggregated plans that are scored again for each; with more, those of the front alone
WITHOUT = ("gpus",)  # deciding columns that no interval surrounds


@dataclass(frozen=True)
class Side:
    """The deciding figure of a side's best plan with its 80 % interval, and the requests a second that a side reaches
    at most within the limits."""

    value: float
    low: float
    high: float
    requests_per_s: float


@dataclass(frozen=True)
class Turn:
    """The winner, and the split plan's figure over the aggregated one's, at prompts of ``isl`` tokens; ``None`` where a
    side has no plan that keeps the limits."""

    isl: int
    winner: str
    ratio: float | None


@dataclass(frozen=True)
class Verdict:
    """``winner``: ``split`` or ``aggregated``; ``ratio`` of the split plan's figure to the aggregated one's, ``sure``:
    the one's interval does not reach the other's. A side without a feasible plan is ``None``."""

    column: str
    direction: str
    aggregated: Side | None
    split: Side | None
    winner: str
    ratio: float | None
    sure: bool
    turns: tuple[Turn, ...] = ()

    @property
    def turning(self) -> tuple[Turn, ...]:
        """Lengths at which the other side wins."""
        return tuple(t for t in self.turns if t.winner != self.winner and t.ratio is not None)


def verdict_of(
    policy: Policy, plans: Plans, scores: Scores, coverage: IntArray, row: int | None, found: SplitFound
) -> Verdict | None:
    """``row`` of the best aggregated plan; ``None`` where neither side has a feasible one."""
    name, direction = policy.first
    one = None
    if row is not None:
        value = float(column(name, plans, scores)[row])
        one = _side(name, value, coverage[[row]], float(scores.requests_per_s[scores.feasible].max()))
    other = None
    if found.best is not None:
        value = float(found.best.column(name)[0])
        other = _side(name, value, np.array([CLASSES.index("split")]), float(found.front.figures.requests_per_s.max()))
    if one is None and other is None:
        return None
    ratio = None if one is None or other is None else other.value / one.value
    winner = _winner(one, other, direction)
    sure = one is None or other is None or one.high < other.low or other.high < one.low
    return Verdict(name, direction, one, other, winner, ratio, sure)


def _winner(one: Side | None, other: Side | None, direction: str) -> str:
    """Aggregated where both are alike: it has one kind of server and no link to watch."""
    if one is None or other is None:
        return "split" if one is None else "aggregated"
    gain = other.value / one.value - 1.0 if direction == "max" else one.value / other.value - 1.0
    return "split" if gain > TIED else "aggregated"


def _side(name: str, value: float, known: IntArray, rate: float) -> Side:
    if name in WITHOUT:
        return Side(value, value, value, rate)
    low, high = load_intervals().of(name, known, np.array([value]))
    return Side(value, float(low[0]), float(high[0]), rate)


def with_turns(
    verdict: Verdict, scenario: Scenario, facts: Facts, space: Space, asked: Asked,
    objectives: Objectives, policy: Policy, plans: Plans, front: IntArray,
) -> Verdict:  # fmt: skip
    """The same question at other lengths of prompts: all aggregated plans scored again, all split ones searched."""
    again = plans if len(plans) <= MOST_RESCORED else plans.take(front)
    turns = []
    for factor in PROMPTS:
        isl = max(round(scenario.lengths.isl * factor), 1)
        lengths = FixedLengths(isl, scenario.lengths.osl, scenario.lengths.prefix_hit)
        there = replace(scenario, lengths=lengths)
        longer = replace(facts, total_tokens=int(lengths.total))
        scores = evaluate(there, again)
        known = coverage_of(there, again, scores)
        row = best_feasible(again, scores, policy, known) if scores.feasible.any() else None
        found = search_split(there, longer, space, asked, objectives, policy)
        asked_there = verdict_of(policy, again, scores, known, row, found)
        if asked_there is not None:
            turns.append(Turn(isl, asked_there.winner, asked_there.ratio))
    return replace(verdict, turns=tuple(turns))


def layout_of(plan: Mapping[str, int]) -> str:
    """An instance in words: its degrees above one."""
    return " ".join(f"{a} {plan[a]}" for a in ("tp", "ep", "pp", "sp") if plan[a] > 1 or a == "tp")
