"""The uncertain inputs: what each is, and the same scenario with it scaled.

Scaling an accelerator's peaks and its bandwidth is the one way that serves every efficiency law: a law grants shares of
them, so a rate that is achieved 10 % less is a peak that is 10 % lower.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from costmodel.laws import ShapedLaw
from costmodel.scenario import Scenario
from search.base.errors import InputError
from search.inputs.derived import check_ranges
from search.inputs.schema import WIDEST, SensitivityConfig
from search.optimizer.sensitivity.records import Range


@dataclass(frozen=True)
class Input:
    """``scale(scenario, factor)`` is the scenario with the input ``factor`` times as large; ``helps`` 1 where more of
    it is better, -1 where it is worse; ``least`` and ``most`` factors that mean something (an imbalance below 1 or a
    share of a peak above 1 do not exist)."""

    label: str
    helps: int
    scale: Callable[[Scenario, float], Scenario]
    least: Callable[[Scenario], float] = lambda s: 0.0
    most: Callable[[Scenario], float] = lambda s: WIDEST


def _compute(s: Scenario, factor: float) -> Scenario:
    peaks = {dtype: peak * factor for dtype, peak in s.accelerator.peak_flops.items()}
    return replace(s, accelerator=replace(s.accelerator, peak_flops=peaks))


def _bandwidth(s: Scenario, factor: float) -> Scenario:
    return replace(s, accelerator=replace(s.accelerator, memory_bytes_per_s=s.accelerator.memory_bytes_per_s * factor))


def _alpha(s: Scenario, factor: float) -> Scenario:
    tiers = tuple(replace(t, latency_s=t.latency_s * factor) for t in s.cluster.tiers)
    return replace(s, cluster=replace(s.cluster, tiers=tiers))


def _beta(s: Scenario, factor: float) -> Scenario:
    tiers = tuple(replace(t, bytes_per_s=t.bytes_per_s * factor) for t in s.cluster.tiers)
    return replace(s, cluster=replace(s.cluster, tiers=tiers))


def _imbalance(s: Scenario, factor: float) -> Scenario:
    return replace(s, engine=replace(s.engine, expert_imbalance=s.engine.expert_imbalance * factor))


def _isl(s: Scenario, factor: float) -> Scenario:
    return replace(s, lengths=s.lengths.times(prompt=factor))


def _osl(s: Scenario, factor: float) -> Scenario:
    return replace(s, lengths=s.lengths.times(answer=factor))


def _shares(s: Scenario) -> tuple[float, float]:
    """Shares of the peak FLOP/s and bytes/s that the law grants at best. Of a shaped law the products' share: that of
    attention alone trades against its other constants and may stand at 1 (docs/laws.md)."""
    dtype = s.model.quantization.default.compute
    flops, rate = s.law.ceilings(s.accelerator, dtype)
    share = flops / s.accelerator.peak(dtype)
    if isinstance(s.law, ShapedLaw):
        share = s.law.rates.product_flops_per_s(s.accelerator, dtype, s.law.gemm.peak_share) / s.accelerator.peak(dtype)
    return share, rate / s.accelerator.memory_bytes_per_s


INPUTS: Mapping[str, Input] = {
    "compute": Input("compute efficiency (MFU)", 1, _compute, most=lambda s: 1.0 / _shares(s)[0]),
    "bandwidth": Input("bandwidth efficiency", 1, _bandwidth, most=lambda s: 1.0 / _shares(s)[1]),
    "alpha": Input("link latency (alpha)", -1, _alpha),
    "beta": Input("link rate (beta)", 1, _beta, most=lambda s: 1.0 / max(t.efficiency for t in s.cluster.tiers)),
    "imbalance": Input("expert imbalance", -1, _imbalance, least=lambda s: 1.0 / s.engine.expert_imbalance),
    "isl": Input("prompt length", -1, _isl),
    "osl": Input("answer length", -1, _osl),
}


def scaled(scenario: Scenario, factors: Mapping[str, float]) -> Scenario:
    """The scenario with each named input that many times as large; a factor of 1 leaves it as it is, to the bit."""
    for name, factor in factors.items():
        if factor != 1.0:
            scenario = INPUTS[name].scale(scenario, factor)
    return scenario


def read_ranges(config: SensitivityConfig, scenario: Scenario) -> tuple[Range, ...]:
    """The ranges of the configuration, cut to what can exist; ``InputError`` for what cannot be used.

    The imbalance of experts is left out where the model has none.
    """
    ranges = []
    for name, given in config.ranges.items():
        key = f"sensitivity.ranges.{name}"
        if name not in INPUTS:
            raise InputError(f"{key}: unknown input; allowed: {', '.join(INPUTS)}")
        check_ranges(key, given)
        low, high = given.low, given.high
        if name == "imbalance" and not scenario.model.has_experts:
            continue
        known = INPUTS[name]
        low, high = max(low, min(known.least(scenario), 1.0)), min(high, max(known.most(scenario), 1.0))
        ranges.append(Range(name, low, high, given.source))
    return tuple(ranges)
