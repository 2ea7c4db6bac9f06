"""Plans at other rates than the one that is wanted: what does not hang on the rate is worked out once.

What a prefix cache finds of a trace is that of the wanted rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from costmodel.memory import Memory
from costmodel.plans import Array, IntArray, Plans
from costmodel.scenario import Scenario
from costmodel.serving.rate.figures import AtRate, excess, goodput
from costmodel.serving.rate.latency import latencies
from costmodel.serving.rate.overflow import overflow_risk
from costmodel.serving.rate.steps import decoding


@dataclass(frozen=True, eq=False)
class Point:
    """Plans at one rate: ``figures`` by name, infinite beyond the capacity; ``missed`` by limit, how far each is beyond
    it, relative to it (``stable`` is 1 beyond the capacity)."""

    figures: dict[str, Array]
    missed: dict[str, Array]

    def kept(self, but: str = "") -> NDArray[np.bool_]:
        """Who keeps every limit, one perhaps left out, shape (plans,)."""
        return np.all(np.stack([v <= 0.0 for name, v in self.missed.items() if name != but]), axis=0)


@dataclass(frozen=True, eq=False)
class Curves:
    """``found``: ``plans`` at some rate, of which server, load and capacity stay."""

    scenario: Scenario
    plans: Plans
    held: Memory
    found: AtRate

    def at(self, requests_per_s: float, rows: Any) -> Point:
        """The plans in ``rows`` at a rate of the whole deployment; figures and limits of shape (rows,)."""
        rows = np.asarray(rows, dtype=np.int64)
        replicas = self.plans.dp[rows]
        rate = requests_per_s / replicas
        stable = np.flatnonzero(requests_per_s < self.found.capacity[rows])
        figures, limits = self._figures(rows[stable], rate[stable]), self.scenario.limits
        whole = {name: _spread(stable, len(rows), np.inf, values) for name, values in figures.items()}
        missed = {"stable": _spread(stable, len(rows), 1.0, -1.0)} | excess(whole, limits)
        if limits.goodput is not None:
            whole["goodput"][whole["goodput"] == np.inf] = 0.0
            missed["goodput"] = 1.0 - whole["goodput"] / limits.goodput
        if limits.overflow_risk is not None:
            missed["overflow"] = whole["overflow_risk"] / limits.overflow_risk - 1.0
        return Point(whole, missed)

    def _figures(self, rows: IntArray, rate: Array) -> dict[str, Array]:
        server, plans = self.found.server.take(rows), self.plans.take(rows)
        load = self.found.load.take(rows).at(rate)
        now = decoding(server, load)
        found = latencies(server, load, now, self.found.capacity[rows] / plans.dp)
        figures = {}
        for name, mixture in (("ttft_s", found.ttft), ("tpot_s", found.tpot), ("e2e_s", found.e2e)):
            figures[name] = mixture.mean
            figures |= {f"{name}_p{p}": values for p, values in mixture.percentiles().items()}
        inside = np.minimum(rate * now.stay_s(load.mix) / server.groups, server.seats)
        tokens = np.broadcast_to(self.held.kv_capacity_tokens, self.plans.dp.shape)[rows]
        figures["overflow_risk"] = overflow_risk(
            load.mix, inside, found.seats.spread, np.ceil(plans.batch / plans.attn_dp), tokens,
            reserved=self.scenario.engine.output_reserved >= 1.0,
        )  # fmt: skip
        if self.scenario.limits.goodput is not None:
            figures["goodput"] = goodput(found, self.scenario.limits)
        return figures


def _spread(rows: IntArray, size: int, otherwise: float, values: Any) -> Array:
    whole = np.full(size, otherwise)
    whole[rows] = values
    return whole
