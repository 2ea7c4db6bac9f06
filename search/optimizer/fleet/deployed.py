"""What was chosen, as it runs: the traffic of each deployment, and its latencies with and without the spares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from costmodel.evaluate import evaluate
from costmodel.scores import Scores
from costmodel.serving.rate.figures import at_statistic
from search.optimizer.fleet.choices import Deployment


@dataclass(frozen=True)
class Latency:
    """``ttft_s`` and ``tpot_s`` in the statistic that their limits bound."""

    ttft_s: float
    tpot_s: float


@dataclass(frozen=True)
class Deployed:
    """A ``deployment`` of ``member`` (its number) that carries ``requests_per_s`` of the planned traffic; ``all_up``
    with every replica, ``failed`` with the spares lost, as one replica has it."""

    member: int
    deployment: Deployment
    requests_per_s: float
    ttft_statistic: str
    tpot_statistic: str
    all_up: Latency
    failed: Latency
    memory_utilization: float

    @property
    def used(self) -> float:
        """Share of what its replicas carry that is asked of them when all are up."""
        return self.requests_per_s / (self.deployment.count * self.deployment.replica.carried)


def deployed(member: int, wanted: float, given: Sequence[Deployment]) -> list[Deployed]:
    """The deployments of one member, which share what is served in proportion to what they carry."""
    carried = sum(d.requests_per_s for d in given)
    served = min(wanted, carried)
    return [_deployed(member, d, served * d.requests_per_s / carried) for d in given]


def _deployed(member: int, d: Deployment, rate: float) -> Deployed:
    limits = d.replica.scenario.limits
    up, down = (_scores(d, rate / count) for count in (d.count, d.count - d.spare))
    names = (limits.ttft_statistic, limits.tpot_statistic)
    return Deployed(
        member, d, rate, *names, _latency(up, *names), _latency(down, *names), float(up.memory_utilization[0])
    )  # fmt: skip


def _scores(d: Deployment, rate: float) -> Scores:
    scenario = d.replica.scenario
    if scenario.demand is not None:
        scenario = replace(scenario, demand=replace(scenario.demand, requests_per_s=rate, headroom=False))
    return evaluate(scenario, d.replica.plan)


def _latency(scores: Scores, ttft: str, tpot: str) -> Latency:
    first = "burst_ttft_s" if ttft == "burst" else at_statistic("ttft_s", ttft)
    return Latency(float(getattr(scores, first)[0]), float(getattr(scores, at_statistic("tpot_s", tpot))[0]))
