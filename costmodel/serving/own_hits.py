"""What each plan's own prefix cache finds of a trace's prompts, and the lengths that are left for it to serve.

Requests come in turn to ``dp`` replicas, and in each to ``attn_dp`` groups, none of which knows of the others' caches:
each sees its part of the trace. What a group's cache has for blocks of prompts is all that answers in flight leave:
blocks of prompts that are served are found like any others, and those that nobody uses stay until room is lacking, the
longest unused going first (``prefix_hits``). Plans whose shares are within a level of each other have the same lengths,
each request with the tokens that are found of it, and are scored together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from costmodel.engine import Engine
from costmodel.memory import Memory, memory
from costmodel.plans import Array, IntArray, Plans, grouped, packed
from costmodel.scenario import Scenario
from costmodel.serving.mix import MixedLengths
from costmodel.serving.rate.curves import Curves
from costmodel.serving.rate.figures import at_rate, requests_inside
from costmodel.stages import Stages

STEP = 0.02  # of the logarithm of what is left to prefill, between two levels
COARSE = 0.2  # where requests in flight are counted, whose answers leave little less room for a few more of them


@dataclass(frozen=True, eq=False)
class OwnHits:
    """Arrays of shape (plans,): ``caches`` that share the trace, ``capacity_tokens`` of each that are left for prompts,
    ``blocks`` of it that the plan's level stands for, the ``share`` of all prompt tokens that is found, and
    ``idle_tokens`` of a cache that no request in flight uses; ``token_bytes`` of one on an accelerator."""

    scenario: Scenario
    caches: IntArray
    capacity_tokens: Array
    blocks: IntArray
    share: Array
    idle_tokens: Array
    token_bytes: Array

    @classmethod
    def of(cls, scenario: Scenario, plans: Plans, held: Memory, inside: Any) -> OwnHits:
        """With ``inside`` requests of a group in flight in the mean."""
        lengths = _lengths(scenario)
        trace = lengths.prefixes
        assert trace is not None
        own, whole = _in_flight(lengths, trace.block_tokens, scenario.engine)
        capacity = np.maximum(held.kv_capacity_tokens - inside * own, 0.0) + np.zeros(len(plans))
        size = np.floor(capacity / trace.block_tokens)
        caches, kept = plans.dp * plans.attn_dp, np.zeros(len(plans))
        blocks, share = np.zeros(len(plans), dtype=np.int64), np.zeros(len(plans))
        for count in np.unique(caches).tolist():
            rows = np.flatnonzero(caches == count)
            uses, curve = trace.of(count)
            wanted = np.rint(-np.log1p(-curve.share(size[rows] * curve.block_tokens)) / STEP)
            levels, of = np.unique(wanted, return_inverse=True)
            some = np.array([curve.enough(-np.expm1(-STEP * level)) if level else 0 for level in levels.tolist()])
            blocks[rows] = some[of]
            share[rows] = curve.share(some * curve.block_tokens)[of]
            kept[rows] = np.minimum(size[rows], uses.different)
        idle = np.maximum(kept * trace.block_tokens - inside * whole, 0.0)
        token = held.kv_cache_bytes / np.maximum(np.ceil(plans.batch / plans.attn_dp) * lengths.total, 1.0)
        return cls(scenario, caches, capacity, blocks, share, idle, token + np.zeros(len(plans)))

    def each(self) -> Iterator[tuple[IntArray, Scenario]]:
        """Rows of plans that are scored together, and the scenario with the lengths that they serve."""
        first, of = grouped(packed([self.caches, self.blocks]))
        for i, (caches, blocks) in enumerate(
            zip(self.caches[first].tolist(), self.blocks[first].tolist(), strict=True)
        ):
            yield np.flatnonzero(of == i), self._served(caches, blocks)

    def roughly(self) -> Iterator[tuple[IntArray, Scenario]]:
        """As ``each``, in few parts: as if one cache found as much."""
        trace = _lengths(self.scenario).prefixes
        assert trace is not None
        levels, of = np.unique(np.rint(-np.log1p(-self.share) / COARSE), return_inverse=True)
        for i, level in enumerate(levels.tolist()):
            blocks = trace.of(1)[1].enough(-np.expm1(-COARSE * level)) if level else 0
            yield np.flatnonzero(of == i), self._served(1, blocks)

    def _served(self, caches: int, blocks: int) -> Scenario:
        return replace(self.scenario, lengths=_lengths(self.scenario).left_by(caches, blocks))


def own_hits(scenario: Scenario, plans: Plans) -> OwnHits:
    """Of a workload whose prompts have block hashes. How many requests are in flight depends on what is found, and that
    on the room that they leave: at a rate they are counted with an empty house first."""
    held, seats = _memory(scenario, plans)
    if scenario.demand is None:
        return OwnHits.of(scenario, plans, held, seats)
    first = OwnHits.of(scenario, plans, held, 0.0)
    inside = np.zeros(len(plans))
    demand = replace(scenario.demand, headroom=False)
    for rows, own in first.roughly():
        some = plans.take(rows)
        inside[rows] = requests_inside(own, some, _memory(own, some)[0], demand)
    return OwnHits.of(scenario, plans, held, np.minimum(inside, seats))


def curves(scenario: Scenario, plans: Plans) -> list[tuple[IntArray, Curves]]:
    """Rows of plans, and what they are at any rate; one part of all where no prefix cache tells them apart."""
    assert scenario.demand is not None
    demand = replace(scenario.demand, headroom=False)
    every = np.arange(len(plans))
    parts = [(every, scenario)] if scenario.lengths.prefixes is None else list(own_hits(scenario, plans).each())
    found = []
    for rows, own in parts:
        some = plans.take(rows)
        held, _ = _memory(own, some)
        found.append((rows, Curves(own, some, held, at_rate(own, some, held, demand))))
    return found


def of_plan(scenario: Scenario, plan: Plans) -> Scenario:
    """The scenario with what one plan's own cache finds; as it is where nothing depends on that."""
    if scenario.lengths.prefixes is None:
        return scenario
    ((_, own),) = own_hits(scenario, plan.take([0])).each()
    return own


def _memory(scenario: Scenario, plans: Plans) -> tuple[Memory, Array]:
    """And sequences of a group that are admitted."""
    wanted = np.ceil(plans.batch / plans.attn_dp)
    held = memory(scenario, scenario.layout(plans), Stages.of(scenario.model, plans.pp), wanted)
    return held, held.admitted(wanted)


def _lengths(scenario: Scenario) -> MixedLengths:
    assert isinstance(scenario.lengths, MixedLengths)
    return scenario.lengths


def _in_flight(lengths: MixedLengths, block_tokens: float, engine: Engine) -> tuple[float, float]:
    """Tokens of a request in flight, in the mean over its decode steps: outside the whole blocks of its prompt, and in
    them. The last block of the engine's own is half full."""
    steps = np.maximum(lengths.answers - 1.0, 1.0)
    whole = np.floor(lengths.prompts / block_tokens) * block_tokens
    written = lengths.answers if engine.output_reserved >= 1.0 else steps / 2.0
    own = lengths.prompts - whole + written + (engine.block_tokens - 1.0) / 2.0
    return float(np.sum(steps * own) / steps.sum()), float(np.sum(steps * whole) / steps.sum())
