"""What plans come to at a rate: figures by name, for ``costmodel.evaluate``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from costmodel.memory import Memory
from costmodel.plans import Array, IntArray, Plans, grouped
from costmodel.scenario import Demand, Limits, Scenario
from costmodel.serving.mix import Mix
from costmodel.serving.rate.capacity import capacity, most
from costmodel.serving.rate.distribution import PERCENTILES, Mixture
from costmodel.serving.rate.latency import Latencies, latencies
from costmodel.serving.rate.load import Load
from costmodel.serving.rate.overflow import held_tokens, overflow_risk
from costmodel.serving.rate.preemptions import capacity_with_preemptions, full_at_capacity, sent_back
from costmodel.serving.rate.steps import Server, Steps, decoding
from costmodel.serving.rate.tables import PassTables

MANY = 1024.0  # seats of a group that are as good as any number
NEARLY = 0.03  # how close a guess is
NEARLY_FOUND = 1e-3  # and those who decode at a rate that is tried
BOUNDED = ("ttft_s", "tpot_s", "e2e_s")  # latencies that limits may bound


@dataclass(frozen=True)
class AtRate:
    """Arrays of shape (plans,). ``figures`` by the names of ``costmodel.scores.TRAFFIC``, and the means ``ttft_s`` and
    ``tpot_s``: infinite where the plan is ``unstable``. ``capacity``: requests a second of the deployment beyond which
    it is; ``inside``: requests of a group that have a seat, in the mean. ``steps`` and ``latencies`` of the stable
    plans, one of those that are the same server, whose rows are ``rows``."""

    figures: dict[str, Array]
    requests_per_s: float
    capacity: Array
    unstable: NDArray[np.bool_]
    inside: Array
    server: Server
    load: Load
    rows: IntArray
    steps: Steps
    latencies: Latencies


@dataclass(frozen=True)
class _Served:
    """``stable`` plans, of which ``which`` of the different servers each is, whose ``rows`` are in ``some`` at the load
    ``part`` with the steps ``now``; ``full`` the chance of a full cache at the capacity."""

    server: Server
    load: Load
    wanted: Array
    carried: Array
    full: Array
    unstable: NDArray[np.bool_]
    stable: IntArray
    which: IntArray
    rows: IntArray
    some: Server
    part: Load
    now: Steps

    @property
    def inside(self) -> Array:
        """Requests of a group that have a seat, in the mean."""
        found = np.where(self.unstable, self.server.seats, 0.0)
        stay, some = self.now.stay_s(self.load.mix), self.some
        found[self.stable] = np.minimum(self.part.rate * stay / some.groups, some.seats)[self.which]
        return found


def requests_inside(scenario: Scenario, plans: Plans, held: Memory, demand: Demand) -> Array:
    """``AtRate.inside`` alone."""
    return _served(scenario, plans, held, demand).inside


def _served(scenario: Scenario, plans: Plans, held: Memory, demand: Demand) -> _Served:
    mix, engine = Mix.of(scenario.lengths), scenario.engine
    groups, wanted = plans.attn_dp.astype(float), np.ceil(plans.batch / plans.attn_dp)
    reserved = engine.output_reserved >= 1.0
    fit = np.floor(held.kv_capacity_tokens / held_tokens(mix, reserved=reserved)[0])
    server = Server(PassTables.of_plans(scenario, plans, mix), engine, mix, groups, np.clip(fit, 1.0, wanted))
    rate = demand.requests_per_s / plans.dp
    load = Load.of(rate, demand.gap_cv**2 / plans.dp, mix)  # round robin: each replica gets every dp-th request
    carried, full = capacity(server, load), np.zeros(len(plans))
    if not reserved:
        full = full_at_capacity(server, wanted, held.kv_capacity_tokens)
        carried = capacity_with_preemptions(server, load, carried, full)
    unstable = rate >= carried
    stable = np.flatnonzero(~unstable)
    first, which = grouped(server.kinds[stable] + 1j * carried[stable])
    rows = stable[first]
    some, part = server.take(rows), load.take(rows)
    now = decoding(some, part, _unlimited(server, load)[some.tables.of])
    return _Served(server, load, wanted, carried, full, unstable, stable, which, rows, some, part, now)


def at_rate(scenario: Scenario, plans: Plans, held: Memory, demand: Demand) -> AtRate:
    """Serve plans at the demand. Those beyond their capacity are timed at it for their passes and have no latency."""
    served = _served(scenario, plans, held, demand)
    server, load, carried, unstable = served.server, served.load, served.carried, served.unstable
    stable, which, rows, part, now = served.stable, served.which, served.rows, served.part, served.now
    mix, rate, reserved, n = load.mix, load.rate, scenario.engine.output_reserved >= 1.0, len(plans)
    found = latencies(served.some, part, now, carried[rows])
    figures = {name: np.full(n, np.inf) for name in latency_names()}
    for name, mixture in _mixtures(found).items():
        figures[name][stable] = mixture.mean[which]
        for percent, values in mixture.percentiles().items():
            figures[f"{name}_p{percent}"][stable] = values[which]
    inside = served.inside
    spread = _at(stable, n, 1.0, found.seats.spread[which])
    figures |= {
        "goodput": _at(stable, n, 0.0, goodput(found, scenario.limits)[which]),
        "requests_in_flight": _at(stable, n, np.inf, (part.rate * found.stay_s * plans.dp[rows])[which]),
        "seat_wait_chance": _at(stable, n, 1.0, found.seats.chance[which]),
        "capacity_requests_per_s": carried * plans.dp,
        "max_requests_per_s": np.full(n, np.nan),
        "rate_headroom": np.full(n, np.nan),
        "overflow_risk": overflow_risk(mix, inside, spread, served.wanted, held.kv_capacity_tokens, reserved=reserved),
    }
    back = np.zeros(n) if reserved else sent_back(mix, np.where(unstable, served.full, figures["overflow_risk"]))
    figures |= {
        "preemptions_per_s": np.minimum(rate, carried) * plans.dp * back, "prefill_again": back / (1.0 + back),
    }  # fmt: skip
    if demand.headroom:
        limits = scenario.limits
        best = carried
        if bounded(limits) or limits.goodput is not None:
            one, of = grouped(server.kinds + 1j * carried)
            best = most(carried[one], _Missed(server.take(one), load.take(one), carried[one], limits))[of]
        figures["max_requests_per_s"] = best * plans.dp
        figures["rate_headroom"] = best / rate - 1.0
    return AtRate(
        figures, demand.requests_per_s, carried * plans.dp, unstable, inside, server, load, rows, now, found
    )  # fmt: skip


def _unlimited(server: Server, load: Load) -> Array:
    """Sequences of a group that would decode if seats were no matter, by layout: those of a layout have one rate."""
    layouts = server.tables.plain.shape[1]
    first, _ = grouped(server.tables.of)
    every = server.tables.of_layouts(np.arange(layouts))
    return decoding(
        server.of_layouts(every, server.tables.groups, np.full(layouts, MANY)), load.take(first), close=NEARLY
    ).decodes


def goodput(found: Latencies, limits: Limits) -> Array:
    """Share of the requests that keep every limit on a latency."""
    return kept_chance(_mixtures(found), limits, np.ones_like(found.own_s))


def kept_chance(mixtures: Mapping[str, Mixture], limits: Limits, share: Array) -> Array:
    """Of ``share`` of the requests the part that keeps every limit on a latency. Each of them rises with what comes, so
    that the chances are positively associated and their product is a lower bound (Esary, Proschan, Walkup, Annals of
    Mathematical Statistics 38, 1967)."""
    for name, _, bound in bounded(limits):
        if mixtures[name].anyone:
            share = share * mixtures[name].below(bound)
    return share


def excess(figures: Mapping[str, Array], limits: Limits) -> dict[str, Array]:
    """By limit on a latency that is set: how far the figure is beyond it, relative to it."""
    found = {}
    for name, statistic, bound in bounded(limits):
        found[name.removesuffix("_s")] = figures[at_statistic(name, statistic)] / bound - 1.0
    return found


def at_statistic(name: str, statistic: str) -> str:
    """The figure of a latency's statistic: the mean has the latency's own name."""
    return name if statistic == "mean" else f"{name}_{statistic}"


def bounded(limits: Limits) -> list[tuple[str, str, float]]:
    """Latencies that a limit bounds at a rate: figure, statistic, bound."""
    asked = [(name, getattr(limits, name.removesuffix("_s") + "_statistic"), getattr(limits, name)) for name in BOUNDED]
    return [(name, statistic, bound) for name, statistic, bound in asked if bound is not None and statistic != "burst"]


class _Missed:
    """How far the worst limit on latency is missed at a rate: the logarithm of the figure over its bound, or of the
    share of requests beyond it over the one that is allowed; at most 0 where all are kept."""

    def __init__(self, server: Server, load: Load, carried: Array, limits: Limits) -> None:
        self.server, self.load, self.carried, self.limits = server, load, carried, limits
        self.later = limits.goodput is not None or any(name != "ttft_s" for name, _, _ in bounded(limits))
        self.decodes, self.rate = np.zeros_like(load.rate), np.ones_like(load.rate)  # where one looked last

    def __call__(self, rate: Array, rows: IntArray) -> Array:
        server, load = self.server.take(rows), self.load.take(rows).at(rate)
        guess = self.decodes[rows] * rate / self.rate[rows] if np.all(self.decodes[rows]) else None
        now = decoding(server, load, guess, NEARLY_FOUND)
        self.decodes[rows], self.rate[rows] = now.decodes, rate
        found = latencies(server, load, now, self.carried[rows], later=self.later)
        mixtures, limits = _mixtures(found), self.limits
        worst = np.full_like(rate, -np.inf)
        for name, statistic, bound in bounded(limits):
            if not mixtures[name].anyone:
                continue
            if statistic == "mean":
                missed = np.log(mixtures[name].mean / bound)
            else:
                missed = _odds(1.0 - mixtures[name].below(bound), 1.0 - float(statistic[1:]) / 100.0)
            worst = np.maximum(worst, missed)
        if limits.goodput is not None:
            worst = np.maximum(worst, _odds(1.0 - goodput(found, limits), 1.0 - limits.goodput))
        return worst


def _odds(beyond: Array, allowed: float) -> Array:
    """Of a share beyond a bound and what is ``allowed``; what is far below that is all the same."""
    least = max(1e-3 * allowed, 1e-9)
    return np.log(np.maximum(beyond, least) / max(allowed, 2.0 * least))


def _mixtures(found: Latencies) -> dict[str, Mixture]:
    return {"ttft_s": found.ttft, "tpot_s": found.tpot, "e2e_s": found.e2e}


def latency_names() -> list[str]:
    """Figures of all latencies: means and percentiles."""
    return [name + end for name in BOUNDED for end in ("", *(f"_p{percent}" for percent in PERCENTILES))]


def _at(rows: IntArray, size: int, otherwise: float, values: Any) -> Array:
    whole = np.full(size, otherwise)
    whole[rows] = values
    return whole
