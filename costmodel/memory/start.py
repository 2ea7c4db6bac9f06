"""Whether a server starts, and with how much cache: the arithmetic of an engine's own start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr

from costmodel.memory.cache import blocks, request
from costmodel.memory.device import usable_bytes
from costmodel.memory.held import available_bytes
from costmodel.memory.server import Server
from costmodel.memory.weights import loaded_bytes
from costmodel.memory.working import Working, working
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.stages import Stages
from costmodel.working_memory import GIB

CENTRAL_80 = 1.2816  # standard deviations on either side of a normal's middle 80 %
# How far each term is off, as a share of it (one standard deviation), and what is off whatever it is: docs/memory.md.
SPREAD = {"weights": 0.01, "activations": 0.3, "encoder": 0.5, "libraries": 0.3, "graphs": 0.6}
SPREAD_BYTES = 0.25 * GIB
SPREAD_SHARE = 0.008


@dataclass(frozen=True)
class Start:
    """Figures of one accelerator of each plan, shape (n,). ``available_kv_bytes`` with its 80 % interval ``low`` to
    ``high``; ``needed_bytes`` of the longest request; ``kv_tokens`` as the engine logs them: the longest request's
    length times how many of them fit; ``cache_blocks`` over all layers that share a block table; ``starts``;
    ``starts_probability`` that the longest request fits."""

    weights_bytes: Any
    available_kv_bytes: Any
    low: Any
    high: Any
    needed_bytes: Any
    kv_tokens: Any
    cache_blocks: Any
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
    needs = working(scenario, layout, setting, server)
    available = available_bytes(scenario, server, weights, needs)
    length = blocks(server.length, scenario.engine.block_tokens) / server.cache_ranks
    one = request(scenario, setting, stages, length, server.tokens)
    given = np.floor(np.maximum(available, 0.0) / one.block_bytes)
    if server.cache_blocks is not None:
        given = np.full_like(given, float(server.cache_blocks))
    tokens = np.floor(given * one.block_bytes / np.maximum(one.bytes, 1.0) * server.length)
    deviation = spread_bytes(scenario, server, weights, needs)
    probability = ndtr((available - one.bytes) / deviation) * _captures(scenario, server, weights, needs, available)
    return Start(
        weights_bytes=weights,
        available_kv_bytes=available,
        low=available - CENTRAL_80 * deviation,
        high=available + CENTRAL_80 * deviation,
        needed_bytes=one.bytes,
        kv_tokens=tokens,
        cache_blocks=given,
        starts=probability >= 0.5,
        starts_probability=probability,
        terms=needs,
    )


def spread_bytes(scenario: Scenario, server: Server, weights: Any, needs: Working) -> Any:
    """One standard deviation of the bytes available for cache: the terms' own, which are independent, and one that
    grows with the accelerator."""
    total = usable_bytes(scenario.accelerator)
    squares = (SPREAD["weights"] * weights) ** 2 + SPREAD_BYTES**2 + (SPREAD_SHARE * total) ** 2
    for name in ("activations", "encoder", "libraries", "graphs"):
        squares = squares + (SPREAD[name] * getattr(needs, name)) ** 2
    return np.sqrt(squares)


def _captures(scenario: Scenario, server: Server, weights: Any, needs: Working, available: Any) -> Any:
    """The chance that what comes after the cache still fits: graphs that the engine does not count, beside a context
    that lies outside its share."""
    constants = scenario.engine.memory
    late = needs.graphs * (1.0 - constants.graphs_counted) + needs.outside
    if server.share != "all":
        return np.ones_like(weights)
    left = usable_bytes(scenario.accelerator) * (1.0 - server.fraction) - server.taken_bytes - late
    deviation = np.sqrt(SPREAD_BYTES**2 + (SPREAD["graphs"] * needs.graphs) ** 2)
    return ndtr(left / deviation)
