"""x instances that prefill and y that decode, together.

Throughput is the lesser of what the pools come to, each at a working point of its own: a utilisation of the prefill
instances, a number of sequences in each decode instance. The pool that could do more has less to do than its point
says, so its times are upper bounds there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.serving.split.decode import Decode, decode
from costmodel.serving.split.journey import Cargo, Link, cargo, journey
from costmodel.serving.split.prefill import Prefill, prefill


@dataclass(frozen=True)
class PrefillPoint:
    """One instance of each plan at a working point, arrays of shape (n,)."""

    gpus: Any
    rate_per_s: Any
    ttft_s: Any
    own_s: Any
    passes: Any
    groups: Any
    cargo: Cargo

    def take(self, i: Any) -> PrefillPoint:
        c = self.cargo
        rows = (self.gpus, self.rate_per_s, self.ttft_s, self.own_s, self.passes, self.groups)
        a, b, c0, d, e, f = (r[i] for r in rows)
        return PrefillPoint(a, b, c0, d, e, f, Cargo(c.bytes[i], c.ranks[i], c.total_bytes[i]))


@dataclass(frozen=True)
class DecodePoint:
    """One instance of each plan with its ``batch`` sequences, arrays of shape (n,)."""

    gpus: Any
    rate_per_s: Any
    tpot_s: Any
    join_s: Any
    stay_s: Any
    groups: Any
    cargo: Cargo

    def take(self, i: Any) -> DecodePoint:
        c = self.cargo
        rows = (self.gpus, self.rate_per_s, self.tpot_s, self.join_s, self.stay_s, self.groups)
        a, b, c0, d, e, f = (r[i] for r in rows)
        return DecodePoint(a, b, c0, d, e, f, Cargo(c.bytes[i], c.ranks[i], c.total_bytes[i]))


def prefill_point(scenario: Scenario, plans: Plans, used: Any) -> PrefillPoint:
    """Instances of ``plans`` at the utilisation ``used``, shape (n,), below 1."""
    pool: Prefill = prefill(scenario, plans)
    rate = used * pool.capacity_per_s
    return PrefillPoint(
        plans.gpus.astype(float), rate, pool.ttft_s(rate), pool.own_s(rate), pool.passes,
        plans.attn_dp.astype(float), cargo(scenario, plans),
    )  # fmt: skip


def decode_point(scenario: Scenario, plans: Plans) -> DecodePoint:
    """Instances of ``plans``, ``plans.batch`` sequences in each."""
    pool: Decode = decode(scenario, plans, plans.batch.astype(float))
    return DecodePoint(
        plans.gpus.astype(float), pool.rate_per_s, pool.tpot_s, pool.join_s, pool.stay_s,
        plans.attn_dp.astype(float), cargo(scenario, plans),
    )  # fmt: skip


@dataclass(frozen=True)
class Joint:
    """Arrays of the shape of ``x`` and ``y``. ``in_flight`` requests of the whole deployment by Little's law;
    ``link_bytes_per_s`` that the busier end of a journey carries on one accelerator."""

    gpus: Any
    requests_per_s: Any
    ttft_s: Any
    tpot_s: Any
    transfer_s: Any
    link_share: Any
    link_bytes_per_s: Any
    in_flight: Any


def joint(scenario: Scenario, link: Link, p: PrefillPoint, x: Any, d: DecodePoint, y: Any) -> Joint:
    """``x`` instances at ``p`` and ``y`` at ``d``, row by row."""
    rate = np.minimum(x * p.rate_per_s, y * d.rate_per_s)
    # Each end at its own pool's rate: where that is higher than the joint one, its queue is an upper bound.
    trip = journey(
        scenario, link, p.cargo, d.cargo, p.rate_per_s / p.groups, d.rate_per_s / d.groups, p.passes, p.own_s
    )
    transfer = trip.seconds
    ttft = p.ttft_s + transfer + d.join_s
    life = p.ttft_s + transfer + d.stay_s
    return Joint(
        x * p.gpus + y * d.gpus, rate, ttft, d.tpot_s, transfer, trip.link_share, trip.carried_bytes_per_s, rate * life
    )
