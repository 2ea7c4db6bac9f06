"""Leading plans under simulated traffic: what the analytic figures promise is tried request by request.

The plans that the policy ranks first, one of each layout, serve the workload's requests in the event simulation over
several seeds; the recommendation is taken among those that keep their limits there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from costmodel.plans import Array, IntArray, Plans
from costmodel.scenario import Scenario
from costmodel.scores import Scores
from costmodel.serving.rate.distribution import PERCENTILES
from costmodel.serving.rate.figures import at_statistic, bounded
from costmodel.serving.simulation.deployment import Deployment
from costmodel.serving.simulation.requests import Requests
from search.base.workers import LOCAL, Workers
from search.inputs.schema import Config, VerifyConfig
from search.inputs.traffic import Traffic, read_traffic
from search.optimizer.recommend import LAYOUT, Policy

LIMIT = "simulation"
AT_A_RATE = 5  # plans, where nobody says how many
TURNS = 3  # times as many are tried until one keeps its limits
WARM = 1.0  # times the requests in flight come before those that count, and after them: the server is as full as ever
SETTLED = 2  # times as many come before those that count in the closed loop
FILL = 3  # times the requests that count come before them at most to fill prefix caches
AS_SCORED = 60  # plans that are scored while a request is simulated
MOST = 20  # times the requests that count are simulated at most


@dataclass(frozen=True)
class Verified:
    """One plan simulated: ``figures`` by the names of ``costmodel.scores.TRAFFIC`` (and ``ttft_s``, ``tpot_s``), pooled
    over ``seeds`` runs of ``requests`` that count; ``missed``: how far the worst limit is, relative to it (0: all
    kept). ``history``: of the first run, as ``costmodel.serving.simulation.requests.Served`` has it."""

    row: int
    figures: dict[str, float]
    missed: float
    preemptions: int
    seeds: int
    requests: int
    history: Array = field(default_factory=lambda: np.zeros((0, 4)), compare=False)

    def analytic(self, scores: Scores) -> dict[str, float]:
        """The same figures by formulas, as far as ``scores`` has them: in the closed loop no percentiles."""
        known = {name: getattr(scores, name) for name in self.figures}
        return {name: float(values[self.row]) for name, values in known.items() if values is not None}

    @property
    def kept(self) -> bool:
        return self.missed <= 0.0


def without_headroom(scenario: Scenario, columns: Iterable[str]) -> Scenario:
    """The scenario without the search for the most requests within the limits, unless ``columns`` ask for it: many
    situations are scored much faster so."""
    if scenario.demand is None or not {"max_requests_per_s", "rate_headroom"}.isdisjoint(columns):
        return scenario
    return replace(scenario, demand=replace(scenario.demand, headroom=False))


def asked_for(config: Config, scenario: Scenario) -> int:
    """How many plans are to be simulated."""
    usual = 0 if scenario.demand is None else AT_A_RATE
    return usual if config.verify.top is None else config.verify.top


def verify(
    config: Config, scenario: Scenario, plans: Plans, scores: Scores, policy: Policy, workers: Workers = LOCAL
) -> tuple[Verified, ...]:
    """The first plans by the policy that keep every limit, in that order, and more of them while none keeps its limits;
    none where nothing is feasible, or in the closed loop where nobody asks for some. Fewer where somebody asked to
    end."""
    top = asked_for(config, scenario)
    if not top:
        return ()
    simulating = Simulating(config.verify, scenario, read_traffic(config.workload))
    rows = _leading(plans, scores, policy)[: TURNS * top].tolist()
    pieces = (_piece(config.verify, scenario, plans, scores, row) for row in rows)
    hired = workers.worth(min(top, len(rows)) * config.verify.seeds * config.verify.requests * AS_SCORED)
    found: list[Verified] = []
    for one in hired.map(simulating, pieces, len(rows), "simulation"):
        found.append(one)
        if len(found) >= top and any(v.kept for v in found):
            break
    return tuple(found)


class Piece(NamedTuple):
    """The ``plan`` of a ``row``, and requests that come ``before`` and ``after`` those that count."""

    plan: Plans
    row: int
    before: int
    after: int


def _piece(config: VerifyConfig, scenario: Scenario, plans: Plans, scores: Scores, row: int) -> Piece:
    if scores.requests_in_flight is None:
        around = int(plans.dp[row] * plans.batch[row])
        before = SETTLED * around
    else:
        before = around = int(np.ceil(WARM * scores.requests_in_flight[row]))
    if scores.prefix_capacity_tokens is not None:  # those that fill the caches
        caches = float(scores.prefix_capacity_tokens[row] * plans.dp[row] * plans.attn_dp[row])
        before += int(min(np.ceil(caches / scenario.lengths.isl), FILL * config.requests))
    return Piece(plans.take([row]), row, before, around)


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
    rows = np.flatnonzero(scores.feasible)
    order = rows[policy.order(plans.take(rows), scores.take(rows))]
    layouts = np.stack([getattr(plans, axis)[order] for axis in LAYOUT])
    _, first = np.unique(layouts, axis=1, return_index=True)
    return order[np.sort(first)]


@dataclass(frozen=True)
class _Run:
    """Of the requests of a run that count: TTFT, TPOT and end-to-end seconds, their prompts and what was found of them;
    ``preemptions`` of the whole run."""

    latencies: tuple[Array, Array, Array]
    prompt_tokens: float
    hit_tokens: float
    preemptions: int
    history: Array


@dataclass(frozen=True)
class Simulating:
    """Simulates a piece; a function without memory."""

    config: VerifyConfig
    scenario: Scenario
    traffic: Traffic

    def __call__(self, piece: Piece) -> Verified:
        config, limits, parts = self.config, self.scenario.limits, list(self._runs(piece))
        ttft, tpot, e2e = (np.concatenate([part.latencies[i] for part in parts]) for i in range(3))
        figures = statistics("ttft_s", ttft) | statistics("tpot_s", tpot) | statistics("e2e_s", e2e)
        if self.scenario.lengths.prefixes is not None:
            figures["prefix_hit"] = sum(p.hit_tokens for p in parts) / sum(p.prompt_tokens for p in parts)
        kept = np.ones(len(ttft), dtype=bool)
        missed = 0.0
        values = {"ttft_s": ttft, "tpot_s": np.nan_to_num(tpot), "e2e_s": e2e}
        for name, statistic, bound in bounded(limits):
            kept &= values[name] <= bound
            missed = max(missed, figures[at_statistic(name, statistic)] / bound - 1.0)
        figures["goodput"] = float(kept.mean())
        if limits.goodput is not None:
            missed = max(missed, 1.0 - figures["goodput"] / limits.goodput)
        again = sum(p.preemptions for p in parts)
        return Verified(piece.row, figures, missed, again, config.seeds, config.requests, parts[0].history)

    def _runs(self, piece: Piece) -> Iterator[_Run]:
        config, plan = self.config, piece.plan
        size = min(config.requests + piece.before + piece.after, MOST * config.requests)
        drawn = self.traffic.windows(size, config.seeds)
        longest = max(int(np.max(r.prompt_tokens + r.answer_tokens)) for r in drawn)
        deployment = Deployment.of(self.scenario, plan, longest)
        in_flight = int(plan.batch[0]) if self.scenario.demand is None else None
        for seed, requests in enumerate(drawn):
            if in_flight:
                requests = _of_all_ages(requests, in_flight * int(plan.dp[0]), seed)
            served = deployment.serve(requests, in_flight=in_flight)
            first = min(piece.before, len(requests) // 2)
            late = slice(first, max(len(requests) - piece.after, first + 1))
            tpot = served.tpot_s(requests.answer_tokens)
            yield _Run(
                (served.ttft_s[late], tpot[late], served.e2e_s[late]), float(requests.prompt_tokens[late].sum()),
                float(served.hit_tokens[late].sum()), int(served.preemptions.sum()), served.history,
            )  # fmt: skip


def _of_all_ages(requests: Requests, inside: int, seed: int) -> Requests:
    """The first ``inside`` have some of their answer behind them: a loop whose requests all begin at once would go on
    in waves."""
    answers = requests.answer_tokens.copy()
    left = np.random.default_rng(seed).random(len(answers[:inside]))
    answers[:inside] = np.maximum(np.ceil(answers[:inside] * left), 1)
    return replace(requests, answer_tokens=answers)


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
