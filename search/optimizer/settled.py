"""Runs of batches that surely miss a limit, and are counted under it without being scored.

The first limit that a plan misses is told by two bounds: bytes never fall with the batch, so all from some batch on
miss the limit on memory; before it the floor of the time to first token (``costmodel.serving.floors``) may lie beyond
its limit, for all of a range. No such plan is on the front. It is left out only if it can be nothing else either: if
its deciding column is surely worse than that of a covered plan that keeps every limit (which would be preferred without
any one limit, too), and than those of ``most_near`` plans. So every count and every answer is what scoring all gives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from costmodel.evaluate import evaluate
from costmodel.plans import Array, IntArray
from costmodel.scenario import Scenario
from costmodel.serving.floors import Floors, floors, has_floors
from search.evidence.measured.intervals import UNCOVERED, coverage_of
from search.optimizer.front import Objectives
from search.optimizer.full.bounds import best_costs, bounded
from search.optimizer.full.search import PIECE, SHORT, Ranges, probes
from search.optimizer.legal import Legal
from search.optimizer.recommend import NEAR, Policy

FACTORS = (2.0, 1.2)  # of the last batch of a range over its first, each time round


@dataclass(frozen=True)
class Settled:
    """``left`` to score: places of each layout's plans, counted from its first; by layout, ``memory`` and ``ttft``:
    plans that miss these limits first."""

    left: Ranges
    memory: IntArray
    ttft: IntArray


def settled(
    scenario: Scenario, policy: Policy, most_near: int, legal: Legal, stops: IntArray, fit: IntArray
) -> Settled:
    """Of each layout's plans before ``stops``, of which those before ``fit`` keep the limit on memory."""
    rows = np.arange(len(stops))
    memory, ttft = np.zeros_like(rows), np.zeros_like(rows)
    fit = np.minimum(fit, stops)
    ranges = _nonempty(Ranges(np.tile(rows, 2), np.append(np.zeros_like(fit), fit), np.append(fit, stops)))
    deciding = Objectives({policy.first[0]: policy.first[1]})
    if len(ranges) and has_floors(scenario) and bounded(deciding):
        search = _Search(scenario, deciding, legal)
        most = search.most(ranges, stops, most_near)
        for factor in FACTORS if np.isfinite(most) else ():
            ranges = ranges.cut(factor)
            beyond = ranges.first >= fit[ranges.rows]
            found, cost = search.bounds(ranges)
            late = _late(scenario, found)
            out = (beyond | late) & (cost > most) & (ranges.sizes > SHORT)
            np.add.at(memory, ranges.rows[out & beyond], ranges.sizes[out & beyond])
            np.add.at(ttft, ranges.rows[out & ~beyond], ranges.sizes[out & ~beyond])
            ranges = ranges.take(np.flatnonzero(~out))
    return Settled(ranges.take(np.lexsort([ranges.first, ranges.rows])), memory, ttft)


def places(legal: Legal, ranges: Ranges) -> IntArray:
    """In ``legal``, of all plans of the ranges."""
    rows, inside = ranges.each()
    return legal.starts[rows] + inside


@dataclass(frozen=True)
class _Search:
    scenario: Scenario
    deciding: Objectives
    legal: Legal

    def bounds(self, ranges: Ranges) -> tuple[Floors, Array]:
        """Floors of each range, and a deciding cost that no plan of it undercuts."""
        parts, costs = [], [np.zeros(0)]
        first = self.legal.starts[ranges.rows]
        for start in range(0, len(ranges), PIECE):
            part = slice(start, start + PIECE)
            plans = self.legal.at(first[part] + ranges.first[part])
            last = self.legal.at(first[part] + ranges.stop[part] - 1).batch
            parts.append(floors(self.scenario, plans, last))
            costs.append(best_costs(self.scenario, self.deciding, plans, parts[-1])[:, 0])
        names = ("ttft_s", "burst_ttft_s", "tpot_s", "output_tokens_per_s")
        return Floors(**{n: np.concatenate([getattr(p, n) for p in parts]) for n in names}), np.concatenate(costs)

    def most(self, ranges: Ranges, stops: IntArray, most_near: int) -> float:
        """A deciding cost beyond which nothing is asked of a plan that misses a limit; infinite where none is known."""
        rows = np.flatnonzero(stops)
        first = self.legal.starts[rows, None]
        feasible = self._costs(np.unique((first + probes(stops[rows])).ravel()), feasible=True)
        coarse = ranges.cut(FACTORS[0])
        order = np.argsort(self.bounds(coarse)[1], kind="stable")
        enough = np.searchsorted(np.cumsum(coarse.sizes[order]), 2 * most_near) + 1
        near = self._costs(places(self.legal, coarse.take(order[:enough])), feasible=False)
        if len(feasible) == 0 or len(near) < most_near:
            return np.inf
        best = feasible.min()
        return float(max(best + NEAR * abs(best), np.partition(near, most_near - 1)[most_near - 1]))

    def _costs(self, places: IntArray, *, feasible: bool) -> Array:
        """Deciding costs of all, or of those that keep every limit and are covered."""
        found = [np.zeros(0)]
        for start in range(0, len(places), PIECE):
            plans = self.legal.at(places[start : start + PIECE])
            scores = evaluate(self.scenario, plans)
            cost = self.deciding.costs(plans, scores)[:, 0]
            if feasible:
                known = coverage_of(self.scenario, plans, scores)
                cost = cost[scores.feasible & (known != UNCOVERED)]
            found.append(cost)
        return np.concatenate(found)


def _late(scenario: Scenario, found: Floors) -> NDArray[np.bool_]:
    """True where every plan of a range misses the limit on the time to first token."""
    limits = scenario.limits
    if limits.ttft_s is None or limits.ttft_statistic not in ("mean", "burst"):
        return np.zeros(len(found.ttft_s), dtype=bool)
    figure = found.burst_ttft_s if limits.ttft_statistic == "burst" else found.ttft_s
    return np.asarray(figure > limits.ttft_s)


def _nonempty(ranges: Ranges) -> Ranges:
    return ranges.take(np.flatnonzero(ranges.sizes))
