"""One unit more of each resource and of each limit that is set, as scenarios."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from costmodel.scenario import Scenario
from search.optimizer.sensitivity.inputs import scaled

MEMORY_BYTES = 1e9
MEMORY_FRACTION = 0.01
STEP = 0.1  # of a rate, or of a limit

Kind = Literal["resource", "limit"]


@dataclass(frozen=True)
class Unit:
    """``key`` of the configuration, from ``before`` to ``after`` in ``unit``: more of a resource, less of a demand."""

    kind: Kind
    name: str
    key: str
    before: float
    after: float
    unit: str
    scenario: Scenario

    @property
    def factor(self) -> float:
        return self.after / self.before


def units(scenario: Scenario) -> Iterator[Unit]:
    """Resources, then limits. Rates get a tenth more, latencies and demands a tenth less."""
    device, tier = scenario.accelerator, scenario.cluster.tiers[0]
    more, less = 1.0 + STEP, 1.0 - STEP
    larger = replace(device, memory_bytes=device.memory_bytes + MEMORY_BYTES)
    yield Unit(
        "resource", "memory", "hardware.memory_bytes", device.memory_bytes, larger.memory_bytes, "bytes",
        replace(scenario, accelerator=larger),
    )  # fmt: skip
    peak = device.peak(scenario.model.quantization.default.compute)
    for name, key, before, unit, factor in (
        ("bandwidth", "hardware.memory_bytes_per_s", device.memory_bytes_per_s, "bytes/s", more),
        ("compute", "hardware.peak_flops", peak, "FLOP/s", more),
        ("beta", "cluster.tiers[].bytes_per_s", tier.bytes_per_s, "bytes/s", more),
        ("alpha", "cluster.tiers[].latency_s", tier.latency_s, "s", less),
    ):
        if before > 0:
            yield Unit("resource", name, key, before, before * factor, unit, scaled(scenario, {name: factor}))
    yield from _limits(scenario)


def _limits(scenario: Scenario) -> Iterator[Unit]:
    limits = scenario.limits
    steps = [("memory", "memory_fraction", min(limits.memory_fraction + MEMORY_FRACTION, 1.0), "share")]
    for name, field, factor, unit in (
        ("ttft", "ttft_s", 1.0 + STEP, "s"),
        ("tpot", "tpot_s", 1.0 + STEP, "s"),
        ("requests", "min_requests_per_s", 1.0 - STEP, "requests/s"),
    ):
        if getattr(limits, field) is not None:
            steps.append((name, field, getattr(limits, field) * factor, unit))
    for name, field, after, unit in steps:
        before = getattr(limits, field)
        if after != before:
            changed = replace(limits, **{field: after})  # type: ignore[arg-type]
            yield Unit("limit", name, f"limits.{field}", before, after, unit, replace(scenario, limits=changed))
