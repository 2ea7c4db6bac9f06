"""Limits at the unfavourable ends of the figures' intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from costmodel.memory.device import usable_bytes
from costmodel.plans import IntArray, Plans
from costmodel.scenario import Limits, Scenario
from costmodel.scores import Scores
from search.evidence.measured.intervals import load_intervals
from search.optimizer.recommend import LAYOUT, Policy

CONFIDENCE = 0.8  # share of draws below which a recommended plan is called a coin flip


def bounded(limits: Limits, usable: float) -> dict[str, tuple[str, float]]:
    """By limit that is set: the figure that it bounds, and the bound; ``usable`` bytes of the accelerator."""
    bounds = {
        "memory": ("memory_bytes_per_gpu", limits.memory_fraction * usable),
        "ttft": (_figure("ttft_s", limits.ttft_statistic), limits.ttft_s),
        "tpot": (_figure("tpot_s", limits.tpot_statistic), limits.tpot_s),
        "e2e": (_figure("e2e_s", limits.e2e_statistic), limits.e2e_s),
        "goodput": ("goodput", limits.goodput),
        "overflow": ("overflow_risk", limits.overflow_risk),
        "requests": ("requests_per_s", limits.min_requests_per_s),
    }
    return {name: (figure, bound) for name, (figure, bound) in bounds.items() if bound is not None}


def _figure(name: str, statistic: str) -> str:
    return {"burst": f"burst_{name}", "mean": name}.get(statistic, f"{name}_{statistic}")


COUNTED = ("memory", "goodput", "overflow")  # limits on figures without an interval


def hardened(scenario: Scenario, scores: Scores, coverage: IntArray) -> Scores:
    """The scores with the violations of figures at the unfavourable ends of their intervals."""
    violations = scores.violations.copy()
    set_ = bounded(scenario.limits, usable_bytes(scenario.accelerator))
    for i, limit in enumerate(scores.limits):
        if limit not in set_ or limit in COUNTED:
            continue
        low, high = load_intervals().of(set_[limit][0], coverage, np.ones(len(scores)))
        v = violations[i]
        violations[i] = 1.0 - (1.0 - v) * low if limit == "requests" else (1.0 + v) * high - 1.0
    return replace(scores, violations=violations)


def likely(plans: Plans, hard: Scores, policy: Policy, most: int) -> IntArray:
    """At most ``most`` rows, ascending, that may be the best sure plan: those that keep the ``hardened`` limits, of
    each layout its best ones in turn. Smaller batches of every layout are among them, not only those next to a limit:
    of a layout the first five, then ever fewer."""
    rows = np.flatnonzero(hard.feasible)
    order = rows[policy.order(plans.take(rows), hard.take(rows))]
    _, group = np.unique(np.stack([getattr(plans, axis)[order] for axis in LAYOUT]), axis=1, return_inverse=True)
    by_group = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[by_group], prepend=-1))
    turn = np.empty(len(order), dtype=np.int64)
    turn[by_group] = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    steps = np.unique(np.round(4.0 * 2.0 ** (np.arange(64) / 4.0)).astype(np.int64))
    wanted = np.flatnonzero((turn < 5) | np.isin(turn, steps))
    picked = wanted[np.argsort(turn[wanted], kind="stable")][:most]
    return np.sort(order[picked])
