"""The exact front over every variant, without a list of plans.

Variant by variant, replicas that exist are looked at in ranges of batches. A range is left where more of its sequences
do not fit, where all of it misses a limit, or where some plan of the front is better than all of it could be
(``costmodel.serving.floors``); else it is cut, and what is left of the shortest ranges is scored.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from costmodel.evaluate import evaluate
from costmodel.memory.device import usable_bytes
from costmodel.plans import IntArray, Plans
from costmodel.serving.floors import Floors, floors, has_floors
from search.optimizer.full.bounds import best_costs, bounded, misses, multiplied
from search.optimizer.full.front import Front
from search.optimizer.full.replicas import Replicas, first_without
from search.optimizer.full.variants import Variant
from search.optimizer.held import fit_in

BOUNDS = ("memory_grows_with_batch", "replicas_are_alike", "floors_miss_a_limit", "front_beats_floors")
MEMORY, ALIKE, MISSED, DOMINATED = BOUNDS
PROBES = 6  # batches of each replica that are scored first, so that there is a front to compare with
FACTORS = (2.0, 1.2, 1.05)  # of the last batch of a range over its first, each time round
SHORT = 6  # plans of a range that are scored rather than bounded
PIECE = 1 << 14


@dataclass
class Count:
    """Plans of one variant: ``legal`` ones, of them ``scored``, of those ``feasible``, and those that each bound spared
    (``replicas_are_alike``: more replicas of scored ones). All of them are one or the other."""

    legal: int = 0
    scored: int = 0
    feasible: int = 0
    spared: dict[str, int] = field(default_factory=lambda: dict.fromkeys(BOUNDS, 0))

    @property
    def numbers(self) -> IntArray:
        """As an array, which other processes send."""
        return np.array([self.legal, self.scored, self.feasible, *self.spared.values()])

    @classmethod
    def of(cls, numbers: IntArray) -> Count:
        legal, scored, feasible, *spared = numbers.tolist()
        return cls(legal, scored, feasible, dict(zip(BOUNDS, spared, strict=True)))


@dataclass(frozen=True)
class Ranges:
    """Batches from place ``first`` to before ``stop`` of the replicas ``rows``."""

    rows: IntArray
    first: IntArray
    stop: IntArray

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, which: IntArray) -> Ranges:
        return Ranges(self.rows[which], self.first[which], self.stop[which])

    @property
    def sizes(self) -> IntArray:
        return self.stop - self.first

    def each(self) -> tuple[IntArray, IntArray]:
        """Row and place of every batch, range by range."""
        sizes = self.sizes
        inside = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return np.repeat(self.rows, sizes), np.repeat(self.first, sizes) + inside

    def cut(self, factor: float) -> Ranges:
        """The same batches in ranges that grow by ``factor`` from a replica's first batch on."""
        edges = [0, 1]
        most = int(self.stop.max(initial=1))
        while edges[-1] < most:
            edges.append(max(edges[-1] + 1, int(edges[-1] * factor)))
        at = np.array(edges, dtype=np.int64)
        low = np.searchsorted(at, self.first, side="right") - 1
        high = np.searchsorted(at, self.stop, side="left")
        parts = np.maximum(high - low, 0)
        which = np.repeat(np.arange(len(self)), parts)
        piece = low[which] + np.arange(len(which)) - np.repeat(np.cumsum(parts) - parts, parts)
        first = np.maximum(at[piece], self.first[which])
        stop = np.minimum(at[np.minimum(piece + 1, len(at) - 1)], self.stop[which])
        return Ranges(self.rows[which], first, stop)


def probes(stops: IntArray) -> IntArray:
    """Places before each of ``stops`` that are scored first, from the first batch to the last, denser at the low end,
    shape (n, ``PROBES``)."""
    shares = np.linspace(0.0, 1.0, PROBES)
    return np.round(stops[:, None].astype(float) ** shares[None, :] - 1.0).astype(np.int64)


def search_variant(variant: Variant, replicas: Replicas, batches: IntArray, front: Front) -> Count:
    """Look at all plans of one variant, and add to the front what belongs there."""
    count = Count(legal=replicas.legal)
    scenario, objectives = variant.scenario, front.objectives
    stops = _fitting(variant, replicas, batches)
    count.spared[MEMORY] = int((replicas.counts * (replicas.batches - stops)).sum())
    rows = np.flatnonzero(stops)
    ranges = Ranges(rows, np.zeros_like(rows), stops[rows])
    if has_floors(scenario) and bounded(objectives):
        _probe(variant, replicas, batches, front, ranges)
        for factor in FACTORS:
            ranges = _left(variant, replicas, batches, front, ranges.cut(factor), count)
    each, places = ranges.each()
    for start in range(0, len(each), PIECE):
        those = each[start : start + PIECE]
        plans = replicas.at(those, batches[places[start : start + PIECE]])
        scores = evaluate(scenario, plans)
        front.add(replicas, those, plans, scores)
        count.scored += len(plans)
        count.feasible += int(scores.feasible.sum())
        count.spared[ALIKE] += int(replicas.counts[those].sum()) - len(plans)
    front.settle()
    return count


def _fitting(variant: Variant, replicas: Replicas, batches: IntArray) -> IntArray:
    """Of each replica the place after its last batch within the limit on memory: bytes never fall with the batch."""
    scenario = variant.scenario
    most = scenario.limits.memory_fraction * usable_bytes(scenario.accelerator)

    def fits(rows: IntArray, places: IntArray) -> np.ndarray:
        return fit_in(scenario, replicas.at(rows, batches[places]), most)

    return first_without(fits, replicas.batches)


def _probe(variant: Variant, replicas: Replicas, batches: IntArray, front: Front, ranges: Ranges) -> None:
    """Score a few batches of every replica that the front does not settle already."""
    if len(ranges) == 0:
        return
    places = np.unique(np.stack([np.repeat(ranges.rows, PROBES), probes(ranges.stop).ravel()]), axis=1)
    plans = replicas.at(places[0], batches[places[1]])
    for start in range(0, len(plans), PIECE):
        part = slice(start, start + PIECE)
        front.add(replicas, places[0][part], plans.take(part), evaluate(variant.scenario, plans.take(part)))
    front.settle()


def _left(
    variant: Variant, replicas: Replicas, batches: IntArray, front: Front, ranges: Ranges, count: Count
) -> Ranges:
    """The ranges that no bound settles; short ones are not bounded."""
    kept = [ranges.take(np.flatnonzero(ranges.sizes <= SHORT))]
    long = ranges.take(np.flatnonzero(ranges.sizes > SHORT))
    for start in range(0, len(long), PIECE):
        part = long.take(np.arange(start, min(start + PIECE, len(long))))
        plans = replicas.at(part.rows, batches[part.first])
        found = floors(variant.scenario, plans, batches[part.stop - 1])
        missed = misses(variant.scenario, found)
        beaten = ~missed & _beaten(variant, replicas, front, part, plans, found)
        deployed = replicas.counts[part.rows] * part.sizes
        count.spared[MISSED] += int(deployed[missed].sum())
        count.spared[DOMINATED] += int(deployed[beaten].sum())
        kept.append(part.take(np.flatnonzero(~missed & ~beaten)))
    whole = Ranges(*(np.concatenate([getattr(k, name) for k in kept]) for name in ("rows", "first", "stop")))
    order = np.lexsort([whole.first, whole.rows])
    return whole.take(order)


def _beaten(
    variant: Variant, replicas: Replicas, front: Front, ranges: Ranges, plans: Plans, found: Floors
) -> np.ndarray:
    """True where each deployment is dominated, were it as good as the floors of its range."""
    costs = best_costs(variant.scenario, front.objectives, plans, found)
    place, at = replicas.deployments(ranges.rows)
    times = replicas.dp[at] / plans.dp[place]
    dominated = front.grid.dominates(multiplied(front.objectives, costs, place, times))
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    return np.logical_and.reduceat(dominated, starts)
