"""Does splitting pay? The best split plan beside the best aggregated one, by the policy's deciding column."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from costmodel.columns import column
from costmodel.evaluate import evaluate
from costmodel.plans import Array, IntArray, Plans
from costmodel.scenario import Scenario
from costmodel.scores import COSTS, Scores
from search.evidence.measured.intervals import FIGURES as FIGURES_WITH_INTERVALS
from search.evidence.measured.intervals import SAME_AS, coverage_of, load_intervals
from search.optimizer.front import Objectives
from search.optimizer.recommend import Policy, best_feasible
from search.optimizer.space import Space
from search.optimizer.split.asked import FIGURES, Asked
from search.optimizer.split.at_rate import searched as search_split
from search.optimizer.split.fewer import Fewer, fewer, with_lower_rates
from search.optimizer.split.search import SplitFound, SplitPlans
from search.optimizer.ties import TIED

RATES = (0.25, 0.5, 2.0, 4.0)  # of the workload's requests a second
PROMPTS = (0.25, 0.5, 2.0, 4.0)  # of the workload's prompts: lengths at which the question is asked again
MOST_RESCORED = 30_000  # aggregated plans that are scored again for each; with more, those of the front alone
Interval = Callable[[str, Array], tuple[Array, Array]]  # of a figure and its values
INTERVALS = (*FIGURES_WITH_INTERVALS, *SAME_AS, *COSTS, "rate_headroom")


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
    """The winner, and the split plan's figure over the aggregated one's in ``column``, at prompts of ``isl`` tokens;
    ``None`` where a side has no plan that keeps the limits."""

    isl: int
    winner: str
    ratio: float | None
    column: str


@dataclass(frozen=True)
class RateTurn:
    """The same at ``requests_per_s``."""

    requests_per_s: float
    winner: str
    ratio: float | None
    column: str


@dataclass(frozen=True)
class Verdict:
    """``winner``: ``split`` or ``aggregated``; ``ratio`` of the split plan's figure to the aggregated one's, ``sure``:
    the one's interval does not reach the other's. A side without a feasible plan is ``None``. ``fewer``: where the
    accelerators that each needs decide."""

    column: str
    direction: str
    aggregated: Side | None
    split: Side | None
    winner: str
    ratio: float | None
    sure: bool
    turns: tuple[Turn, ...] = ()
    rates: tuple[RateTurn, ...] = ()
    fewer: Fewer | None = None

    @property
    def turning(self) -> tuple[Turn, ...]:
        """Lengths at which the other side wins."""
        return tuple(t for t in self.turns if t.winner != self.winner and t.ratio is not None)


def verdict_of(
    policy: Policy, plans: Plans, scores: Scores, coverage: IntArray, row: int | None, found: SplitFound
) -> Verdict | None:
    """``row`` of the best aggregated plan; ``None`` where neither side has a feasible one. Where the deciding column is
    alike, as at a rate that all plans keep up with, the first tie-break that is not decides."""
    name, direction = policy.first
    if found.best is not None and row is not None:
        name, direction = _apart(policy, plans, scores, row, found.best)
    one = None
    if row is not None:
        value = float(column(name, plans, scores)[row])
        most = scores.requests_per_s if scores.max_requests_per_s is None else scores.max_requests_per_s
        known = coverage[[row]]
        one = _side(name, value, lambda f, v: load_intervals().of(f, known, v), float(most[scores.feasible].max()))
    other = None
    if found.best is not None:
        value = float(found.best.column(name)[0])
        most = found.front.served.get("max_requests_per_s", found.front.figures.requests_per_s)
        other = _side(name, value, found.best.interval, float(most.max()))
    if one is None and other is None:
        return None
    ratio = None if one is None or other is None or one.value == 0.0 else other.value / one.value
    winner = _winner(one, other, direction)
    sure = one is None or other is None or (name in INTERVALS and (one.high < other.low or other.high < one.low))
    less = None
    if name == "gpus" and row is not None and other is not None:
        less = fewer(plans, scores, coverage, row, found)
        sure = less is not None and less.sure(winner)
    return Verdict(name, direction, one, other, winner, ratio, sure, fewer=less)


def _apart(policy: Policy, plans: Plans, scores: Scores, row: int, best: SplitPlans) -> tuple[str, str]:
    """The first of the policy's columns in which the two differ."""
    for name, direction in policy.columns.items():
        if name in FIGURES or name in best.served:
            one, other = float(column(name, plans, scores)[row]), float(best.column(name)[0])
            if abs(other - one) > TIED * max(abs(one), abs(other)):
                return name, direction
    return policy.first


def _winner(one: Side | None, other: Side | None, direction: str) -> str:
    """Aggregated where both are alike: it has one kind of server and no link to watch."""
    if one is None or other is None:
        return "split" if one is None else "aggregated"
    better, worse = (other.value, one.value) if direction == "max" else (one.value, other.value)
    return "split" if better - worse > TIED * abs(worse) else "aggregated"


def _side(name: str, value: float, interval: Interval, rate: float) -> Side:
    if name == "rate_headroom":  # of the requests that it carries, by their interval
        low, high = interval("max_requests_per_s", np.array([1.0 + value]))
        return Side(value, float(low[0]) - 1.0, float(high[0]) - 1.0, rate)
    if name not in INTERVALS:
        return Side(value, value, value, rate)
    low, high = interval(name, np.array([value]))
    return Side(value, float(low[0]), float(high[0]), rate)


def with_turns(
    verdict: Verdict, scenario: Scenario, space: Space, asked: Asked,
    objectives: Objectives, policy: Policy, plans: Plans, front: IntArray,
) -> Verdict:  # fmt: skip
    """The same question at other lengths of prompts: all aggregated plans scored again, all split ones searched."""
    again = plans if len(plans) <= MOST_RESCORED else plans.take(front)
    turns = []
    for factor in PROMPTS:
        isl = max(round(scenario.lengths.isl * factor), 1)
        lengths = scenario.lengths.times(prompt=factor)
        there = replace(scenario, lengths=lengths)
        scores = evaluate(there, again)
        known = coverage_of(there, again, scores)
        row = best_feasible(again, scores, policy, known) if scores.feasible.any() else None
        found = search_split(there, space, asked, objectives, policy)
        asked_there = verdict_of(policy, again, scores, known, row, found)
        if asked_there is not None:
            turns.append(Turn(isl, asked_there.winner, asked_there.ratio, asked_there.column))
    return replace(verdict, turns=tuple(turns))


def with_rates(
    verdict: Verdict, scenario: Scenario, space: Space, asked: Asked,
    objectives: Objectives, policy: Policy, plans: Plans, front: IntArray,
) -> Verdict:  # fmt: skip
    """The same question at other rates."""
    assert scenario.demand is not None
    again = plans if len(plans) <= MOST_RESCORED else plans.take(front)
    turns: list[RateTurn] = []
    lower: list[SplitPlans] = []
    for factor in RATES:
        rate = scenario.demand.requests_per_s * factor
        there = replace(scenario, demand=replace(scenario.demand, requests_per_s=rate))
        scores = evaluate(there, again)
        known = coverage_of(there, again, scores)
        row = best_feasible(again, scores, policy, known) if scores.feasible.any() else None
        found = search_split(there, space, asked, objectives, policy)
        if factor < 1.0:
            lower.append(found.front)
        asked_there = verdict_of(policy, again, scores, known, row, found)
        if asked_there is not None:
            turns.append(RateTurn(rate, asked_there.winner, asked_there.ratio, asked_there.column))
    less = with_lower_rates(verdict.fewer, lower)
    sure = verdict.sure if less is None else less.sure(verdict.winner)
    return replace(verdict, rates=tuple(turns), fewer=less, sure=sure)


def layout_of(plan: Mapping[str, int]) -> str:
    """An instance in words: its degrees above one."""
    return " ".join(f"{a} {plan[a]}" for a in ("tp", "ep", "pp", "sp") if plan[a] > 1 or a == "tp")
