"""Whether a server starts, and with how much cache: the arithmetic of an engine's own start."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from costmodel.drafts.drafting import cache_share, drafter_bytes
from costmodel.memory.cache import blocks, request
from costmodel.memory.held import available_bytes
from costmodel.memory.server import Server
from costmodel.memory.spread import CENTRAL_80, chance, spread_bytes
from costmodel.memory.weights import loaded_bytes
from costmodel.memory.working import Working, working
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.stages import Stages


@dataclass(frozen=True)
class Start:
    """Figures of one accelerator of each plan, shape (n,). ``available_kv_bytes`` with its 80 % interval ``low`` to
    ``high``; ``needed_bytes`` of the longest request; ``blocks`` of the
    cache (a recurrent layer's state takes one); ``kv_tokens`` as the engine logs them: the longest request's
    length times how many of them fit, with the same interval ``tokens_low`` to ``tokens_high``, which is a point where
    the cache's size is given; ``starts``; ``starts_probability`` that the longest request fits."""

    weights_bytes: Any
    available_kv_bytes: Any
    low: Any
    high: Any
    needed_bytes: Any
    blocks: Any
    kv_tokens: Any
    tokens_low: Any
    tokens_high: Any
    starts: Any
    starts_probability: Any
    terms: Working


def starting(scenario: Scenario, plans: Plans, server: Server | None = None) -> Start:
    """How servers of ``plans`` start; without ``server``, with each plan's batch and the workload's longest request."""
    server = server or Server.for_plans(scenario, plans)
    layout = scenario.layout(plans)
    setting = scenario.setting(layout)
    stages = Stages.of(scenario.model, plans.pp)
    weights = np.maximum(loaded_bytes(scenario, setting, stages) - server.host_bytes, 0.0)
    weights = weights + drafter_bytes(scenario, layout)
    needs = working(scenario, layout, setting, server)
    available = available_bytes(scenario, server, weights, needs)
    length = blocks(server.length, scenario.engine.block_tokens) / max(server.cache_ranks, scenario.decode_ranks)
    one = request(scenario, setting, stages, length, server.tokens, server.draft_tokens, server.draft_layers)
    if scenario.drafter is not None:
        share = cache_share(scenario, layout) * scenario.decode_ranks  # over which the length is dealt already
        one = replace(one, bytes=one.bytes * share, block_bytes=one.block_bytes * share)
    deviation = spread_bytes(scenario, server, weights, needs)
    fixed = server.cache_bytes is not None or server.cache_blocks is not None

    def given(deviations: float) -> Any:
        room = np.maximum(available + deviations * deviation * (not fixed), 0.0)
        held = np.floor(room / one.block_bytes)
        return held if server.cache_blocks is None else np.full_like(held, float(server.cache_blocks))

    def tokens(blocks: Any) -> Any:
        return np.floor(blocks * one.block_bytes / np.maximum(one.bytes, 1.0) * server.length)

    must = one.block_bytes if server.shortens else one.bytes
    probability = chance(scenario, server, available - must, deviation, needs)
    return Start(
        weights_bytes=weights,
        available_kv_bytes=available,
        low=available - CENTRAL_80 * deviation,
        high=available + CENTRAL_80 * deviation,
        needed_bytes=one.bytes,
        blocks=given(0.0),
        kv_tokens=tokens(given(0.0)),
        tokens_low=tokens(given(-CENTRAL_80)),
        tokens_high=tokens(given(CENTRAL_80)),
        starts=probability >= 0.5,
        starts_probability=probability,
        terms=needs,
    )
