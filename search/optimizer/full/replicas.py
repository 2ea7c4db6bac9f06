"""Replicas that exist, each once: plans that differ in how many replicas they have are the same replica, scored once.

What a replica does depends on its own layout, and on the whole deployment only through the tiers that hold all of it
(``costmodel.cluster.Cluster.members``). So plans of one replica layout whose ``gpus`` fit the same tiers have the same
latencies and memory, and put out ``dp`` times as much.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from costmodel.engine import ENGINES
from costmodel.plans import IntArray, Plans
from costmodel.plans import concatenate as join_plans
from costmodel.scenario import Scenario
from search.optimizer.layouts import BUILT_BY, layouts
from search.optimizer.legal import first_broken
from search.optimizer.rules.facts import Facts
from search.optimizer.rules.registry import engine_rules, engines_of, general_rules
from search.optimizer.rules.rule import Mask, Rule
from search.optimizer.space import Space

REFUSED = "every engine"  # where any will do: whose rules keep a plan out


@dataclass(frozen=True)
class Built:
    """Layouts of a space that exist for a model on a cluster, and points that the general rules remove."""

    plans: Plans
    removed: dict[str, int]


def built(space: Space, facts: Facts) -> Built:
    """By construction (``search.optimizer.layouts``)."""
    later, batches = general_rules()[len(BUILT_BY) :], len(space.axes["batch"])
    removed = {rule.name: 0 for rule in general_rules()}
    found = []
    for piece in layouts(space, facts):
        broken = first_broken(later, piece.plans, facts)
        for name, n in piece.removed.items():
            removed[name] += n * batches
        for i, rule in enumerate(later):
            removed[rule.name] += int(np.count_nonzero(broken == i)) * batches
        found.append(piece.plans.take(broken == len(later)))
    return Built(join_plans(found), removed)


@dataclass(frozen=True)
class Replicas:
    """``plans`` with the fewest replicas of each kind, batch 0; of each, from ``starts`` on, how many replicas there
    may be (``dp``). The first ``batches`` values of the space's axis are legal. ``removed``: points by the rule that
    keeps them out."""

    plans: Plans
    starts: IntArray
    dp: IntArray
    batches: IntArray
    removed: dict[str, int]

    def __len__(self) -> int:
        return len(self.plans)

    @property
    def counts(self) -> IntArray:
        """Plans of each at one batch."""
        return np.diff(self.starts, append=len(self.dp))

    @property
    def legal(self) -> int:
        return int((self.counts * self.batches).sum())

    def at(self, rows: IntArray, batch: IntArray) -> Plans:
        """One of each."""
        return replace(self.plans.take(rows), batch=batch)

    def deployments(self, rows: IntArray) -> tuple[IntArray, IntArray]:
        """All of each of ``rows``: places in ``rows``, and in ``dp``."""
        counts = self.counts[rows]
        place = np.repeat(np.arange(len(rows)), counts)
        inside = np.arange(len(place)) - np.repeat(np.cumsum(counts) - counts, counts)
        return place, self.starts[rows][place] + inside

    def deployed(self, at: IntArray, batch: IntArray) -> Plans:
        """Plans at places of ``dp``."""
        plans = self.at(np.searchsorted(self.starts, at, side="right") - 1, batch)
        return replace(plans, gpus=plans.gpus // plans.dp * self.dp[at], dp=self.dp[at])


def replicas_of(space: Space, found: Built, scenario: Scenario, facts: Facts, engine: str) -> Replicas:
    """Of the layouts that ``engine`` (or, for ``any``, some engine) takes."""
    values = np.array(space.axes["batch"], dtype=np.int64)
    wanted = engines_of(engine)
    removed = dict(found.removed)
    legal = np.zeros(len(found.plans), dtype=np.int64)
    for name in wanted:
        taken, by_rule = _taken(engine_rules(name), found.plans, values, facts)
        legal = np.maximum(legal, taken)
        if len(wanted) == 1:
            removed |= by_rule
    if len(wanted) > 1:
        removed[REFUSED] = len(legal) * len(values) - int(legal.sum())
    kept = np.flatnonzero(legal)
    plans, legal = found.plans.take(kept), legal[kept]
    fits = sum((plans.gpus <= tier.size).astype(np.int64) for tier in scenario.cluster.tiers)
    key = np.stack([plans.gpus // plans.dp, plans.pp, plans.sp, plans.tp, plans.ep, fits, legal])
    order = np.lexsort([plans.dp, *key[::-1]])
    new = np.any(np.diff(key[:, order], axis=1, prepend=-1) != 0, axis=0)
    starts = np.flatnonzero(new)
    first = order[starts]
    return Replicas(plans.take(first), starts, plans.dp[order], legal[first], {k: n for k, n in removed.items() if n})


def _taken(rules: Sequence[Rule], plans: Plans, batches: IntArray, facts: Facts) -> tuple[IntArray, dict[str, int]]:
    """How many batches of each layout the rules leave, and what each removes. A rule that reads the batch refuses it
    from some size on."""
    left = np.full(len(plans), len(batches), dtype=np.int64)
    removed: dict[str, int] = {}
    with np.errstate(divide="ignore", invalid="ignore"):
        for rule in rules:
            rows = np.flatnonzero(left)
            those = plans.take(rows)
            if rule.reads_batch:
                kept = np.minimum(left[rows], _first_refused(rule, those, batches, facts))
            else:
                kept = np.where(rule.keeps(those, facts), left[rows], 0)
            removed[rule.name] = removed.get(rule.name, 0) + int((left[rows] - kept).sum())
            left[rows] = kept
    return left, removed


def _first_refused(rule: Rule, plans: Plans, batches: IntArray, facts: Facts) -> IntArray:
    def kept(rows: IntArray, place: IntArray) -> Mask:
        return rule.keeps(replace(plans.take(rows), batch=batches[place]), facts)

    return first_without(kept, np.full(len(plans), len(batches), dtype=np.int64))


def first_without(holds: Callable[[IntArray, IntArray], Mask], stops: IntArray) -> IntArray:
    """For each row the first place from 0 on at which ``holds(rows, places)`` ends, by bisection; its stop where it
    never does."""
    low, high = np.zeros_like(stops), stops.copy()
    while len(rows := np.flatnonzero(low < high)):
        middle = (low[rows] + high[rows]) // 2
        good = holds(rows, middle)
        low[rows] = np.where(good, middle + 1, low[rows])
        high[rows] = np.where(good, high[rows], middle)
    return low


def takes(plans: Plans, facts: Facts) -> np.ndarray:
    """Shape (engines, n): which engine takes each plan."""
    verdicts = [first_broken(engine_rules(name), plans, facts) == len(engine_rules(name)) for name in ENGINES]
    return np.stack(verdicts)
