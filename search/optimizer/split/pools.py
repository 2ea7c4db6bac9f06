"""Instances of one pool: which there are, what each comes to, and which of them can be part of a best plan.

A joint plan's throughput grows with each pool's, its times grow with the pool's times, cargo and load of the links
(``costmodel.serving.split.joint``), and its accelerators are those of both pools. So an instance that another one of as
many accelerators equals or beats in all of these never makes a better plan, whatever the other pool and the ratio: each
pool is cut down to the front of its own figures before the pools meet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from costmodel.drafts.drafting import with_drafter
from costmodel.memory import memory
from costmodel.memory.device import usable_bytes
from costmodel.plans import Array, IntArray, Plans, concatenate
from costmodel.scenario import Scenario
from costmodel.serving.split.joint import DecodePoint, PrefillPoint, decode_point, prefill_point
from costmodel.serving.split.journey import Cargo
from costmodel.serving.split.prefill import prefill_only
from costmodel.stages import Stages
from search.optimizer.decode_context import may_deal
from search.optimizer.front import pareto_front
from search.optimizer.legal import legal_plans
from search.optimizer.rules.facts import facts_of
from search.optimizer.space import Space
from search.optimizer.speculation.asked import drafting
from search.optimizer.speculation.rules import beside_dealt
from search.optimizer.split.asked import Asked
from search.optimizer.split.transfer import receives, sends


@dataclass(frozen=True)
class PrefillPool:
    """Instances at working points, arrays of shape (n,): ``plans`` (``dp`` and ``batch`` 1), token ``budget``,
    utilisation ``used``; ``memory_bytes`` of an accelerator."""

    plans: Plans
    budget: IntArray
    used: Array
    memory_bytes: Array
    point: PrefillPoint

    def take(self, i: IntArray) -> PrefillPool:
        return PrefillPool(
            self.plans.take(i), self.budget[i], self.used[i], self.memory_bytes[i], self.point.take(i)
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.plans)

    @property
    def costs(self) -> Array:
        """Own figures that a joint plan's depend on, each the better the smaller, shape (n, figures), throughput
        first. A longer own prefill hides more of the journey: it is a figure of its own, the better the larger."""
        p = self.point
        unit = p.cargo.total_bytes / p.cargo.ranks  # what a rank sends for every copy that is asked for
        return np.stack([-p.rate_per_s, p.ttft_s, -p.own_s, unit, p.rate_per_s / p.groups * unit], axis=1)


@dataclass(frozen=True)
class DecodePool:
    """Instances with their ``plans.batch`` sequences (``dp`` 1), arrays of shape (n,); ``drafter``: 0 for none, else
    one more than the place in ``Asked.drafters``; ``ranks`` over which a sequence's cache is dealt."""

    plans: Plans
    memory_bytes: Array
    drafter: IntArray
    ranks: IntArray
    point: DecodePoint

    def take(self, i: IntArray) -> DecodePool:
        return DecodePool(self.plans.take(i), self.memory_bytes[i], self.drafter[i], self.ranks[i], self.point.take(i))

    def __len__(self) -> int:
        return len(self.plans)

    @property
    def costs(self) -> Array:
        """As for ``PrefillPool``."""
        p = self.point
        each = p.rate_per_s / p.groups
        return np.stack(
            [-p.rate_per_s, p.tpot_s, p.join_s, p.cargo.bytes, p.cargo.copies, each * p.cargo.bytes], axis=1
        )


def prefilling(scenario: Scenario, space: Space, asked: Asked) -> Plans:
    """Instances that may prefill, one of each layout; ``scenario`` is the pool's own."""
    axes = dict(space.axes) | {"gpus": asked.prefill_sizes, "dp": (1,), "batch": (1,)}
    plans = legal_plans(Space(axes), facts_of(scenario), scenario.engine.name).plans
    return plans.take(sends(scenario, plans))


def decoding(scenario: Scenario, space: Space, asked: Asked) -> Plans:
    """Instances that may decode. Prompts are not split in it: ``sp`` is 1. No more groups than sequences: the others
    would stand idle. ``scenario`` is the pool's own."""
    axes = dict(space.axes) | {"gpus": asked.decode_sizes, "dp": (1,), "sp": (1,)}
    plans = legal_plans(Space(axes), facts_of(scenario), scenario.engine.name).plans
    return plans.take((plans.batch >= plans.attn_dp) & receives(scenario.engine.name, plans))


def prefill_pool(scenario: Scenario, space: Space, asked: Asked) -> PrefillPool:
    """Every legal instance that fits, at every utilisation and token budget."""
    scenario, _ = asked.pools(scenario)
    plans = prefilling(scenario, space, asked)
    found = []
    for tokens in asked.tokens:
        engine = replace(scenario.engine, max_batched_tokens=tokens)
        own = replace(scenario, engine=engine, lengths=prefill_only(scenario.lengths))
        # Prompts of a pass, and as many again whose cache has not left yet.
        held = 2.0 * max(np.ceil(tokens / max(scenario.lengths.new, 1.0)), 1.0)
        kept = fits(own, plans, np.full(len(plans), held))
        fitting, bytes_each = plans.take(kept[0]), kept[1][kept[0]]
        for used in asked.used:
            n = len(fitting)
            point = prefill_point(replace(scenario, engine=engine), fitting, np.full(n, used))
            found.append(PrefillPool(fitting, np.full(n, tokens), np.full(n, used), bytes_each, point))
    return joined_prefill(found)


def decode_pool(scenario: Scenario, space: Space, asked: Asked) -> DecodePool:
    """Every legal instance whose sequences fit."""
    _, scenario = asked.pools(scenario)
    plans = decoding(scenario, space, asked)
    found = []
    for place, ranks, there, able in variants(scenario, plans, asked):
        kept, bytes_each = fits(there, able, np.ceil(able.batch / able.attn_dp))
        fitting = able.take(kept)
        point = decode_point(there, fitting)
        n = len(kept)
        found.append(DecodePool(fitting, bytes_each[kept], np.full(n, place), np.full(n, ranks), point))
    return found[0] if len(found) == 1 else joined_decode(found)


def variants(scenario: Scenario, plans: Plans, asked: Asked) -> Iterator[tuple[int, int, Scenario, Plans]]:
    """Each drafter, each number of ranks that share a cache, and both where the engine has them together, with the
    plans that may: place of the drafter as in ``DecodePool``, ranks, the scenario, the plans."""
    engine = scenario.engine.name
    for place, drafter in enumerate((None, *asked.drafters)):
        able = plans.take(drafting(drafter, plans, scenario.model, engine)) if drafter is not None else plans
        there = with_drafter(scenario, drafter)
        yield place, 1, there, able
        if drafter is not None and beside_dealt(drafter.kind, engine, pools=True) is not None:
            continue
        for ranks in asked.ranks:
            dealt = replace(there, decode_ranks=ranks)
            yield place, ranks, dealt, able.take(may_deal(scenario, ranks, able, pools=True))


def fits(scenario: Scenario, plans: Plans, sequences: Array) -> tuple[IntArray, Array]:
    """Rows whose groups hold so many sequences within the limit, and bytes of an accelerator of every row."""
    held = memory(scenario, scenario.layout(plans), Stages.of(scenario.model, plans.pp), sequences)
    total = np.broadcast_to(held.total_bytes, len(plans))
    most = scenario.limits.memory_fraction * usable_bytes(scenario.accelerator)
    return np.flatnonzero((total <= most) & (held.seats >= 1.0)), total


def own_front(gpus: IntArray, classes: IntArray, costs: Array) -> IntArray:
    """Rows of a pool that no other row of as many ``gpus`` and of its class (``transfer.Pairing``) equals or beats in
    all ``costs``; of equal ones the first."""
    alike = gpus * (classes.max(initial=0) + 1) + classes
    kept = []
    for label in np.unique(alike):
        rows = np.flatnonzero(alike == label)
        _, first = np.unique(costs[rows], axis=0, return_index=True)
        rows = rows[np.sort(first)]
        kept.append(rows[pareto_front(costs[rows], np.ones(len(rows), dtype=bool))])
    return np.concatenate(kept).astype(np.int64) if kept else np.zeros(0, dtype=np.int64)


def joined_decode(parts: list[DecodePool]) -> DecodePool:
    points = [part.point for part in parts]
    names = ("gpus", "rate_per_s", "tpot_s", "join_s", "stay_s", "groups")
    columns = {name: np.concatenate([getattr(p, name) for p in points]) for name in names}
    own = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in ("memory_bytes", "drafter", "ranks")
    }
    plans = concatenate([part.plans for part in parts])
    return DecodePool(plans, **own, point=DecodePoint(**columns, cargo=_cargo([p.cargo for p in points])))


def _cargo(parts: list[Cargo]) -> Cargo:
    return Cargo(**{n: np.concatenate([getattr(c, n) for c in parts]) for n in ("bytes", "ranks", "total_bytes")})


def joined_prefill(parts: list[PrefillPool]) -> PrefillPool:
    points = [part.point for part in parts]
    names = ("gpus", "rate_per_s", "ttft_s", "own_s", "passes", "groups")
    columns = {name: np.concatenate([getattr(p, name) for p in points]) for name in names}
    own = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ("budget", "used", "memory_bytes")}
    point = PrefillPoint(**columns, cargo=_cargo([p.cargo for p in points]))
    return PrefillPool(concatenate([part.plans for part in parts]), **own, point=point)
