"""Variants as units of work, which anybody may do anywhere.

They go in waves. All of one wave are compared with the front of the waves before it and with their own plans, so that
neither who works nor how many do changes a count; each wave is as long as all before it together, so that nearly all
have a good front to be compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from costmodel.plans import Array, IntArray
from search.base import interrupt
from search.base.workers import Workers
from search.optimizer.front import Objectives, pareto_front
from search.optimizer.full.front import AXES, Front
from search.optimizer.full.replicas import Built, Replicas, built, replicas_of
from search.optimizer.full.search import Count, search_variant
from search.optimizer.full.variants import Variant
from search.optimizer.rules.facts import Facts
from search.optimizer.space import Space

FIRST = 2  # variants of the first wave


class Unit(NamedTuple):
    """One variant, and costs of the ``front`` so far."""

    variant: Variant
    front: Array


class Result(NamedTuple):
    """``Count.numbers``, points that each rule removes (names and numbers as text: they are larger than an
    integer), and its plans that the front so far does not dominate, by ``AXES`` with their costs."""

    counts: IntArray
    removed: np.ndarray
    costs: Array
    plans: IntArray


@dataclass(frozen=True)
class Searched:
    """One variant: its count, and points that each rule removes."""

    variant: Variant
    count: Count
    removed: dict[str, int]


@dataclass(frozen=True)
class Searching:
    """Searches a unit of the ``space``; a function without memory."""

    space: Space
    objectives: Objectives

    def __call__(self, unit: Unit) -> Result:
        replicas = replicas_for(self.space, unit.variant)
        front = Front(self.objectives, unit.front)
        batches = np.array(self.space.axes["batch"], dtype=np.int64)
        count = search_variant(unit.variant, replicas, batches, front)
        removed = np.array([[*replicas.removed], [str(n) for n in replicas.removed.values()]], dtype=str)
        return Result(count.numbers, removed, *front.own(replicas))


def search_units(
    space: Space, objectives: Objectives, variants: Sequence[Variant], workers: Workers
) -> tuple[tuple[Searched, ...], IntArray]:
    """What was found of each variant, and the front: which variant, then ``AXES``. Of the first variants alone where
    somebody asked to end."""
    searched: list[Searched] = []
    costs, members = np.zeros((0, len(objectives.names))), np.zeros((0, 1 + len(AXES)), dtype=np.int64)
    for wave in waves(len(variants)):
        parts = [(costs, members)]
        units = (Unit(variants[i], costs) for i in wave)
        for found in workers.kept(Searching(space, objectives), units, len(wave), "everything"):
            one, number = Result(*found), len(searched)
            names, numbers = one.removed.tolist()
            removed = {name: int(n) for name, n in zip(names, numbers, strict=True)}
            searched.append(Searched(variants[number], Count.of(one.counts), removed))
            parts.append((one.costs, np.insert(one.plans, 0, number, axis=1)))
            if len(one.plans):
                interrupt.worthwhile()
        costs, members = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        on = pareto_front(costs, np.ones(len(costs), dtype=bool))
        costs, members = costs[on], members[on]
        if len(searched) <= wave[-1]:
            break
    return tuple(searched), members


def waves(many: int) -> list[range]:
    """Runs of ``many`` variants."""
    edges = [0]
    while edges[-1] < many:
        edges.append(min(max(2 * edges[-1], FIRST), many))
    return [range(*edge) for edge in pairwise(edges)]


def replicas_for(space: Space, variant: Variant) -> Replicas:
    """The general rules ask for the model and the cluster alone: layouts are built once for variants that agree."""
    facts = variant.facts
    alike = replace(facts, max_batched_tokens=0, cache="", hold_steps=0.0, weight_block=0, block_dense=(), block_tp=())
    return replicas_of(space, _built(tuple(space.axes.items()), alike), variant.scenario, facts, variant.engine)


@lru_cache(maxsize=4)
def _built(axes: tuple[tuple[str, tuple[int, ...]], ...], facts: Facts) -> Built:
    return built(Space(dict(axes)), facts)
