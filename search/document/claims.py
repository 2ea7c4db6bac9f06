"""Judge what a plan claims of itself against what follows from the inputs.

Sizes and shares hold within ``TOLERANCE`` either way. Promises (throughput, latencies, capacities) hold when the
derived figure is at least as good as claimed, within ``TOLERANCE``. Degrees hold when they are equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from costmodel.scenario import Scenario
from costmodel.scores import COSTS
from search.baselines import Baseline
from search.document.formats import bytes_per_s, count, figure, gb, percent, seconds
from search.document.readings import Case, Meaning, others, primary
from search.front import PLAN_COLUMNS

TOLERANCE = 0.1
HIGHER = (
    "output_tokens_per_s",
    "output_tokens_per_s_per_gpu",
    "requests_per_s",
    "kv_capacity_tokens",
    "admitted_batch",
)
LOWER = ("ttft_s", "burst_ttft_s", "tpot_s", *COSTS)
HOLDS: Literal["holds"] = "holds"
FAILS: Literal["fails"] = "fails"
OTHERWISE: Literal["only under another reading"] = "only under another reading"


@dataclass(frozen=True)
class Verdict:
    """``claim`` is a figure's name, or a relation between claims. ``derived`` is the value under ``reading``, the
    reading that the verdict rests on; ``arithmetic`` says how it comes about, and where a claim fails, what else was
    tried. ``figure`` names the column whose unit both values have."""

    claim: str
    claimed: float
    derived: float
    verdict: Literal["holds", "fails", "only under another reading"]
    reading: str
    arithmetic: str
    figure: str


def judge(baseline: Baseline, scenario: Scenario) -> list[Verdict]:
    """Every claim of a baseline, then what its claims say of each other."""
    case = Case(scenario, baseline.plan, baseline.scores)
    verdicts = [_judge(case, name, claimed, baseline.claims) for name, claimed in baseline.claims.items()]
    return verdicts + list(_relations(case, baseline.claims))


def holds(name: str, claimed: float, derived: float) -> bool:
    """Whether a claim is borne out."""
    room = TOLERANCE * abs(claimed)
    if name in PLAN_COLUMNS:
        return derived == claimed
    if name in HIGHER:
        return derived >= claimed - room
    if name in LOWER:
        return derived <= claimed + room
    return abs(derived - claimed) <= room


def _judge(case: Case, name: str, claimed: float, claims: dict[str, float]) -> Verdict:
    meanings = [primary(case, name, set(claims)), *others(case, name)]
    if name == "decode_bandwidth_utilization":
        claimed_speed = list(_at_claimed_speed(case, claims))
        if claimed_speed:
            meanings[0] = replace(meanings[0], name="at the throughput that the model derives")
        meanings = claimed_speed + meanings
    for i, meaning in enumerate(meanings):
        if holds(name, claimed, meaning.value):
            text = meaning.arithmetic if i == 0 else f"{meanings[0].arithmetic}; but {meaning.arithmetic}"
            verdict = HOLDS if i == 0 else OTHERWISE
            return Verdict(name, claimed, meaning.value, verdict, meaning.name, text, name)
    first, rest = meanings[0], meanings[1:]
    tried = "".join(f"; {m.name}: {figure(name, m.value)}" for m in rest)
    return Verdict(name, claimed, first.value, FAILS, first.name, first.arithmetic + tried, name)


def _at_claimed_speed(case: Case, claims: dict[str, float]) -> Iterator[Meaning]:
    """A share of the bandwidth that is claimed together with a throughput which does not hold belongs to that
    throughput."""
    speed = claims.get("output_tokens_per_s")
    if speed and not holds("output_tokens_per_s", speed, case.score("output_tokens_per_s")):
        share, text = _needed(case, speed)
        yield Meaning("at the throughput that is claimed with it", share, text)


def _needed(case: Case, speed: float) -> tuple[float, str]:
    """The share of the peak bandwidth that a claimed throughput needs to read weights and cache."""
    step = case.in_flight / speed
    r, device = case.reading, case.scenario.accelerator
    share = r.peak_s / step
    rate = (r.weights_bytes + r.cache_bytes) / r.floor_s
    return share, (
        f"{count(speed)} tok/s with {case.in_flight} in flight is a step of {seconds(step)}, but reading "
        f"{gb(r.weights_bytes)} of weights and {gb(r.cache_bytes)} of cache at {bytes_per_s(rate)} takes "
        f"{seconds(r.floor_s)}: it needs {percent(share)} of the peak {bytes_per_s(device.memory_bytes_per_s)}"
    )


def _relations(case: Case, claims: dict[str, float]) -> Iterator[Verdict]:
    """Claims that must agree with each other, and with the hardware."""
    parts = [f"{p}_bytes_per_gpu" for p in ("weights", "kv_cache", "activation", "reserve")]
    total = claims.get("memory_bytes_per_gpu")
    if total is not None and all(p in claims for p in parts[:3]):
        given = [claims[p] for p in parts if p in claims]
        added = sum(given)
        text = " + ".join(f"{g / 1e9:.2f}" for g in given) + f" = {gb(added)}, claimed {gb(total)}"
        good = abs(added - total) <= 0.01 * max(total, added)
        name = "claimed parts add up to the claimed memory"
        yield _relation(name, total, added, good, text, "memory_bytes_per_gpu")
    share = claims.get("memory_utilization")
    if total is not None and share is not None:
        size = case.scenario.accelerator.memory_bytes
        good = abs(total / size - share) <= 0.01
        text = f"{gb(total)} of {gb(size)} is {percent(total / size)}, claimed {percent(share)}"
        name = "claimed memory is the claimed share"
        yield _relation(name, share, total / size, good, text, "memory_utilization")
    speed = claims.get("output_tokens_per_s")
    if speed:
        needed, text = _needed(case, speed)
        achieved = case.reading.peak_s / case.reading.floor_s
        name = "claimed throughput needs no more than the bandwidth achieved"
        yield _relation(name, achieved, needed, needed <= achieved * (1.0 + 1e-9), text, "decode_bandwidth_utilization")
    yield from _little(case, claims)


def _little(case: Case, claims: dict[str, float]) -> Iterator[Verdict]:
    """Little's law ties throughput to the two latencies."""
    if not {"output_tokens_per_s", "ttft_s", "tpot_s"} <= set(claims) or not claims["tpot_s"]:
        return
    lengths = case.scenario.lengths
    stay = claims["ttft_s"] + lengths.decodes * claims["tpot_s"]
    implied = case.in_flight * lengths.osl / stay
    speed = claims["output_tokens_per_s"]
    text = (
        f"{case.in_flight} × {lengths.osl} / ({seconds(claims['ttft_s'])} + {lengths.decodes} × "
        f"{seconds(claims['tpot_s'])}) = {count(implied)}, claimed {count(speed)}"
    )
    good = abs(implied - speed) <= TOLERANCE * speed
    yield _relation(
        "claimed throughput follows from the claimed latencies", speed, implied, good, text, "output_tokens_per_s"
    )


def _relation(claim: str, claimed: float, derived: float, good: bool, text: str, unit: str) -> Verdict:
    return Verdict(claim, claimed, derived, HOLDS if good else FAILS, "the claims against each other", text, unit)
