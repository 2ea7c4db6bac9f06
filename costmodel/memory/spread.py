"""How sure the bytes of the cache are, and so whether a server starts."""

from __future__ import annotations

from typing import Any

import numpy as np

from costmodel.memory.device import usable_bytes
from costmodel.memory.normal import normal_cdf
from costmodel.memory.server import Server
from costmodel.memory.working import Working
from costmodel.scenario import Scenario
from costmodel.working_memory import GIB

CENTRAL_80 = 1.2816  # standard deviations on either side of a normal's middle 80 %
# How far each term is off, as a share of it (one standard deviation), and what is off whatever it is: docs/memory.md.
SPREAD = {"activations": 0.2, "encoder": 0.5, "libraries": 0.3, "graphs": 0.8}
SPREAD_WEIGHTS = 0.012
SPREAD_FOUR_BITS = 0.04  # which modules a quantiser to four bits leaves alone differs from checkpoint to checkpoint
SPREAD_BYTES = 0.25 * GIB
SPREAD_SHARE = 0.008


def chance(scenario: Scenario, server: Server, spare: Any, deviation: Any, needs: Working) -> Any:
    """The probability that ``spare`` bytes, known with one standard ``deviation``, are not below zero, and that what
    comes after the cache fits too."""
    return normal_cdf(spare / deviation) * _captures(scenario, server, needs)


def spread_bytes(scenario: Scenario, server: Server, weights: Any, needs: Working) -> Any:
    """One standard deviation of the bytes available for cache: the terms' own, which are independent, and one that
    grows with the accelerator."""
    total = usable_bytes(scenario.accelerator)
    loose = SPREAD_FOUR_BITS if scenario.model.quantization.default.bits <= 4 else SPREAD_WEIGHTS
    squares = (loose * weights) ** 2 + SPREAD_BYTES**2 + (SPREAD_SHARE * total) ** 2 + server.unsure_bytes**2
    for name in ("activations", "encoder", "libraries"):
        squares = squares + (SPREAD[name] * getattr(needs, name)) ** 2
    squares = squares + (SPREAD["graphs"] * needs.graphs * scenario.engine.memory.graphs_counted) ** 2
    return np.sqrt(squares)


def _captures(scenario: Scenario, server: Server, needs: Working) -> Any:
    """The chance that what comes after the cache still fits: graphs that the engine does not count, beside a context
    that lies outside its share and room that the profile run's tensors have left."""
    constants = scenario.engine.memory
    late = needs.graphs * (1.0 - constants.graphs_counted) + needs.outside
    if server.share != "all":
        return 1.0
    left = usable_bytes(scenario.accelerator) * (1.0 - server.fraction) - server.taken_bytes - late
    left = left + needs.activations + needs.encoder
    deviation = np.sqrt(SPREAD_BYTES**2 + (SPREAD["graphs"] * needs.graphs) ** 2)
    return normal_cdf(left / deviation)
