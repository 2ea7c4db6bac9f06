"""Values of the parts about requests at a rate: the chosen plan's latencies over the rate, its queue in the simulation,
and which plan wins where."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from costmodel.plans import Array, Plans
from costmodel.scenario import Scenario
from costmodel.serving.own_hits import curves
from costmodel.serving.rate.figures import bounded
from search.optimizer.outcome import Outcome
from search.optimizer.verify import Verified
from search.render.document.traffic_values import crossing_values, winner_values
from search.render.report.view import ReportValues

LATENCIES = ("ttft_s", "tpot_s", "e2e_s")
SHOWN = ("", "_p50", "_p90", "_p99")
SHARES = np.array(
    [0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.76, 0.82, 0.87, 0.91, 0.94, 0.96, 0.98]
)  # of the capacity
POINTS = 400  # of a history


def rate_values(outcome: Outcome, row: int) -> ReportValues:
    """Keys ``knee.``, ``queue.`` and ``regime.`` of the plan in ``row``; none in the closed loop."""
    scenario, scores = outcome.scenario, outcome.scores
    if scenario.demand is None or scores.capacity_requests_per_s is None:
        return {}
    carried = float(scores.capacity_requests_per_s[row])
    values = _knee(scenario, outcome.plans.take([row]), carried)
    values |= {"knee.wanted": scenario.demand.requests_per_s, "knee.capacity": carried}
    limited = bool(bounded(scenario.limits)) or scenario.limits.goodput is not None
    if limited and scores.max_requests_per_s is not None:
        values["knee.most"] = float(scores.max_requests_per_s[row])
    for verified in outcome.verified:
        if verified.row == row:
            values |= _simulated(verified)
    return values | _regimes(outcome)


def _knee(scenario: Scenario, plan: Plans, carried: float) -> ReportValues:
    """Latencies at rates up to nearly the capacity, and the limits on them."""
    assert scenario.demand is not None
    wanted = scenario.demand.requests_per_s
    rates = sorted({*(carried * SHARES).tolist(), *([wanted] if wanted < carried else [])})
    ((_, curve),) = curves(scenario, plan)
    points = [curve.at(rate, [0]).figures for rate in rates]
    values: ReportValues = {"knee.rate": tuple(rates)}
    for name in LATENCIES:
        for statistic in SHOWN:
            key = f"{name}{statistic}"
            values[f"knee.{key}"] = tuple(float(point[key][0]) for point in points)
    for name, statistic, bound in bounded(scenario.limits):
        values |= {f"knee.limit.{name}.statistic": statistic, f"knee.limit.{name}.value": bound}
    return values


def _simulated(verified: Verified) -> ReportValues:
    """What the simulation says at the wanted rate, and its first run over time."""
    values: ReportValues = {
        f"knee.simulated.{name}{statistic}": verified.figures[f"{name}{statistic}"]
        for name in LATENCIES
        for statistic in SHOWN
    }
    points = thinned(verified.history)
    if len(points):
        for i, name in enumerate(("seconds", "running", "waiting", "cache")):
            values[f"queue.{name}"] = tuple(points[:, i].tolist())
        values["queue.most_waiting"] = float(verified.history[:, 2].max())
        values["queue.most_cache"] = float(verified.history[:, 3].max())
        values["queue.preemptions"] = verified.preemptions
        values["queue.seeds"] = verified.seeds
    return values


def thinned(points: Array) -> Array:
    """At most so many points as a picture shows; of each stretch the one where most wait."""
    if len(points) <= POINTS:
        return points
    edges = np.linspace(0, len(points), POINTS + 1).astype(int)
    return points[[low + int(np.argmax(points[low:high, 2])) for low, high in pairwise(edges.tolist())]]


def _regimes(outcome: Outcome) -> ReportValues:
    """The winners in the order of how much of the map they have."""
    found = outcome.regimes
    if found is None:
        return {}
    names, cells = np.unique(found.winner[found.winner >= 0], return_counts=True)
    names = names[np.argsort(-cells, kind="stable")]
    place = {int(name): i for i, name in enumerate(names)} | {-1: -1}
    values: ReportValues = {
        "regime.figure": found.figure,
        "regime.rate": tuple(found.rates.tolist()),
        "regime.bound": tuple(found.bounds.tolist()),
        "regime.cell": tuple(place[int(w)] for w in found.winner.ravel()),
    }
    if found.own is not None:
        values["regime.own"] = found.own
    for i, name in enumerate(names.tolist()):
        values |= {f"regime.plan.{i}.{k}": v for k, v in winner_values(outcome, name).items()}
    return values | crossing_values(outcome)
