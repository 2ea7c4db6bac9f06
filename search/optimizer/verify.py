"""Leading plans under simulated traffic: what the analytic figures promise is tried request by request.

The plans that the policy ranks first, one of each layout, serve the workload's requests in the event simulation over
several seeds; the recommendation is taken among those that keep their limits there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from costmodel.plans import Array, IntArray, Plans
from costmodel.scenario import Scenario
from costmodel.scores import Scores
from costmodel.serving.rate.distribution import PERCENTILES
from costmodel.serving.rate.figures import bounded
from costmodel.serving.simulation.balancer import simulate
from costmodel.serving.simulation.deployment import request_seconds, scheduler_of
from costmodel.serving.simulation.replica import Replica
from costmodel.serving.step_table import StepTable
from search.inputs.checks import number
from search.inputs.schema import Config, VerifyConfig
from search.inputs.traffic import Traffic, read_traffic
from search.optimizer.recommend import LAYOUT, Policy

LIMIT = "simulation"
AT_A_RATE = 5  # plans, where nobody says how many
TURNS = 3  # times as many are tried until one keeps its limits
WARM = 1.0  # times the requests in flight come before those that count, and after them: the server is as full as ever
MOST = 20  # times the requests that count are simulated at most


@dataclass(frozen=True)
class Verified:
    """One plan simulated: ``figures`` by the names of ``costmodel.scores.TRAFFIC`` (and ``ttft_s``, ``tpot_s``), pooled
    over ``seeds`` runs of ``requests`` that count; ``missed``: how far the worst limit is, relative to it (0: all
    kept)."""

    row: int
    figures: dict[str, float]
    missed: float
    preemptions: int
    seeds: int
    requests: int

    @property
    def kept(self) -> bool:
        return self.missed <= 0.0


def without_headroom(scenario: Scenario, columns: Iterable[str]) -> Scenario:
    """The scenario without the search for the most requests within the limits, unless ``columns`` ask for it: many
    situations are scored much faster so."""
    if scenario.demand is None or not {"max_requests_per_s", "rate_headroom"}.isdisjoint(columns):
        return scenario
    return replace(scenario, demand=replace(scenario.demand, headroom=False))


def check_verify(config: VerifyConfig) -> None:
    """``InputError`` for what cannot be simulated."""
    if config.top is not None:
        number("verify.top", config.top, 0, 1000, open_low=False)
    number("verify.seeds", config.seeds, 1, 100, open_low=False)
    number("verify.requests", config.requests, 100, 1_000_000, open_low=False)


def verify(config: Config, scenario: Scenario, plans: Plans, scores: Scores, policy: Policy) -> tuple[Verified, ...]:
    """The first plans by the policy that keep every limit, in that order, and more of them while none keeps its limits;
    none in the closed loop, or where nothing is feasible. Plans of several pipeline stages are not simulated."""
    if scenario.demand is None:
        return ()
    top = AT_A_RATE if config.verify.top is None else config.verify.top
    traffic = read_traffic(config.workload)
    found: list[Verified] = []
    for row in _leading(plans, scores, policy)[: TURNS * top]:
        if len(found) >= top and any(v.kept for v in found):
            break
        assert scores.requests_in_flight is not None
        around = int(np.ceil(WARM * scores.requests_in_flight[row]))
        found.append(_simulated(config.verify, scenario, traffic, plans.take([row]), int(row), around))
    return tuple(found)


def with_verified(scores: Scores, verified: tuple[Verified, ...]) -> Scores:
    """The scores with one more limit, that a plan was simulated and kept its limits there; as they are where none
    did."""
    if not any(v.kept for v in verified):
        return scores
    missed = np.ones(len(scores))
    for v in verified:
        missed[v.row] = v.missed
    return replace(scores, limits=(*scores.limits, LIMIT), violations=np.vstack([scores.violations, missed]))


def _leading(plans: Plans, scores: Scores, policy: Policy) -> IntArray:
    rows = np.flatnonzero(scores.feasible & (plans.pp == 1))
    order = rows[policy.order(plans.take(rows), scores.take(rows))]
    layouts = np.stack([getattr(plans, axis)[order] for axis in LAYOUT])
    _, first = np.unique(layouts, axis=1, return_index=True)
    return order[np.sort(first)]


def _simulated(
    config: VerifyConfig, scenario: Scenario, traffic: Traffic, plan: Plans, row: int, around: int
) -> Verified:
    parts = list(_runs(config, scenario, traffic, plan, around))
    ttft, tpot, e2e = (np.concatenate([part[i] for part in parts]) for i in range(3))
    figures = statistics("ttft_s", ttft) | statistics("tpot_s", tpot) | statistics("e2e_s", e2e)
    kept = np.ones(len(ttft), dtype=bool)
    missed = 0.0
    values = {"ttft_s": ttft, "tpot_s": np.nan_to_num(tpot), "e2e_s": e2e}
    for name, statistic, bound in bounded(scenario.limits):
        kept &= values[name] <= bound
        missed = max(missed, figures[name if statistic == "mean" else f"{name}_{statistic}"] / bound - 1.0)
    figures["goodput"] = float(kept.mean())
    if scenario.limits.goodput is not None:
        missed = max(missed, 1.0 - figures["goodput"] / scenario.limits.goodput)
    return Verified(row, figures, missed, sum(int(p[3]) for p in parts), config.seeds, config.requests)


def _runs(
    config: VerifyConfig, scenario: Scenario, traffic: Traffic, plan: Plans, around: int
) -> Iterator[tuple[Array, Array, Array, int]]:
    """TTFT, TPOT and end-to-end seconds of the requests of each run that count, and its preemptions. ``around`` others
    come before them and after them."""
    scheduler, engine = scheduler_of(scenario, plan), scenario.engine
    size = min(config.requests + 2 * around, MOST * config.requests)
    drawn = [traffic.requests(size, seed) for seed in range(config.seeds)]
    longest = max(int(np.max(r.prompt_tokens + r.answer_tokens)) for r in drawn)
    table = StepTable.of(scenario, plan, scheduler.seats, longest)
    stream_s = engine.stream_token_s / engine.stream_interval
    for requests in drawn:
        blocks = None if requests.blocks is None else requests.block_tokens
        replicas = [Replica(table, scheduler, blocks, stream_s) for _ in range(int(plan.dp[0]))]
        served = simulate(replicas, requests, partial(request_seconds, engine))
        first = min(around, len(requests) // 3)
        late = slice(first, max(len(requests) - around, first + 1))
        tpot = served.tpot_s(requests.answer_tokens)
        yield served.ttft_s[late], tpot[late], served.e2e_s[late], int(served.preemptions.sum())


def statistics(name: str, values: Array) -> dict[str, float]:
    """Mean and percentiles (linear between order statistics) of those that are numbers."""
    known = values[~np.isnan(values)]
    if not len(known):
        known = np.zeros(1)
    if np.isinf(known).any():
        return {name: float("inf")} | {
            f"{name}_p{p}": float(np.quantile(known, p / 100, method="higher")) for p in PERCENTILES
        }
    found = np.percentile(known, PERCENTILES)
    return {name: float(known.mean())} | {f"{name}_p{p}": float(v) for p, v in zip(PERCENTILES, found, strict=True)}
