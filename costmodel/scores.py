"""What ``evaluate`` returns: one row a plan."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from costmodel.plans import Array

# Figures that a calibration puts an interval around.
PREDICTED = ("ttft_s", "burst_ttft_s", "tpot_s", "output_tokens_per_s", "output_tokens_per_s_per_gpu", "requests_per_s")
# Figures that need a price or a power of the accelerator, and the field that gives it (costmodel/cost.py).
COSTS = {"usd_per_million_output_tokens": "price_per_hour", "joules_per_output_token": "power_w"}
# Figures that only requests at a rate have.
TRAFFIC = (
    *(f"ttft_s_p{p}" for p in (50, 90, 95, 99)), *(f"tpot_s_p{p}" for p in (50, 90, 95, 99)),
    "e2e_s", *(f"e2e_s_p{p}" for p in (50, 90, 95, 99)), "goodput", "requests_in_flight", "seat_wait_chance",
    "overflow_risk", "preemptions_per_s", "prefill_again", "capacity_requests_per_s", "max_requests_per_s",
    "rate_headroom",
)  # fmt: skip
# Figures that only a workload with block hashes has: what each plan's own cache finds of its prompts.
PREFIXES = ("prefix_hit", "prefix_capacity_tokens", "prefix_bytes_per_gpu")


@dataclass(frozen=True)
class Scores:
    """Arrays of shape (n,); docs/formats.md says what each figure means.

    ``violations`` of shape (limits, n) is how far each limit is missed, relative to it: at most zero where it is kept.
    ``limits`` names its rows, in the order in which a plan is counted as removed. The figures of ``COSTS`` are ``None``
    where the accelerator's price or power is unknown, those of ``TRAFFIC`` in the closed loop, those of ``PREFIXES``
    without block hashes.
    """

    ttft_s: Array
    burst_ttft_s: Array
    tpot_s: Array
    output_tokens_per_s: Array
    output_tokens_per_s_per_gpu: Array
    requests_per_s: Array
    weights_bytes_per_gpu: Array
    kv_cache_bytes_per_gpu: Array
    activation_bytes_per_gpu: Array
    reserve_bytes_per_gpu: Array
    memory_bytes_per_gpu: Array
    memory_utilization: Array
    kv_capacity_tokens: Array
    kv_capacity_tokens_low: Array
    kv_capacity_tokens_high: Array
    starts_probability: Array
    admitted_batch: Array
    decode_mfu: Array
    decode_bandwidth_utilization: Array
    prefill_mfu: Array
    limit_ttft_s: Array
    limit_burst_ttft_s: Array
    limit_tpot_s: Array
    limit_output_tokens_per_s: Array
    share_of_limit: Array
    limits: tuple[str, ...]
    violations: NDArray[np.float64]
    usd_per_million_output_tokens: Array | None = None
    joules_per_output_token: Array | None = None
    ttft_s_p50: Array | None = None
    ttft_s_p90: Array | None = None
    ttft_s_p95: Array | None = None
    ttft_s_p99: Array | None = None
    tpot_s_p50: Array | None = None
    tpot_s_p90: Array | None = None
    tpot_s_p95: Array | None = None
    tpot_s_p99: Array | None = None
    e2e_s: Array | None = None
    e2e_s_p50: Array | None = None
    e2e_s_p90: Array | None = None
    e2e_s_p95: Array | None = None
    e2e_s_p99: Array | None = None
    goodput: Array | None = None
    requests_in_flight: Array | None = None
    seat_wait_chance: Array | None = None
    overflow_risk: Array | None = None
    preemptions_per_s: Array | None = None
    prefill_again: Array | None = None
    capacity_requests_per_s: Array | None = None
    max_requests_per_s: Array | None = None
    rate_headroom: Array | None = None
    prefix_hit: Array | None = None
    prefix_capacity_tokens: Array | None = None
    prefix_bytes_per_gpu: Array | None = None

    def __len__(self) -> int:
        return len(self.ttft_s)

    @property
    def feasible(self) -> NDArray[np.bool_]:
        """True where every limit is kept."""
        return np.all(self.violations <= 0.0, axis=0)

    @property
    def costs(self) -> tuple[str, ...]:
        """The figures of ``COSTS`` that are known."""
        return tuple(name for name in COSTS if getattr(self, name) is not None)

    @property
    def traffic(self) -> tuple[str, ...]:
        """The figures of ``TRAFFIC``, where requests arrive at a rate, and of ``PREFIXES``, where they have hashes."""
        return tuple(name for name in (*TRAFFIC, *PREFIXES) if getattr(self, name) is not None)

    def first_violated(self) -> NDArray[np.int64]:
        """Index into ``limits`` of the first one missed; -1 where all are kept."""
        missed = self.violations > 0.0
        return np.where(missed.any(axis=0), missed.argmax(axis=0), -1)

    def take(self, index: object) -> Scores:
        """The rows at ``index``."""
        columns = {name: getattr(self, name)[index] for name in (*FIGURES, *self.costs, *self.traffic)}
        return Scores(**columns, limits=self.limits, violations=self.violations[:, index])  # type: ignore[index]


FIGURES = tuple(f.name for f in fields(Scores) if f.name not in ("limits", "violations", *COSTS, *TRAFFIC, *PREFIXES))


def concatenate(parts: list[Scores]) -> Scores:
    """One ``Scores`` out of several, in order."""
    names = (*FIGURES, *parts[0].costs, *parts[0].traffic)
    columns = {name: np.concatenate([getattr(p, name) for p in parts]) for name in names}
    return Scores(**columns, limits=parts[0].limits, violations=np.concatenate([p.violations for p in parts], axis=1))
