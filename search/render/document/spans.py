"""How far a claim may lie from what is derived and still hold.

Latencies and throughputs are predictions: their span is the 80 % interval (``search/evidence/measured/intervals.py``).
Bytes of weights and cache are counted: ``COUNTED`` either way. Activations and the engine's reserve are estimated:
``ESTIMATED`` either way; a sum of both kinds gets the sum of their spans. Shares of a rate have counted work in the
numerator and a predicted time below: the reciprocal of that time's interval. Degrees are exact.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from costmodel.columns import PLAN_COLUMNS
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.scores import COSTS, PREDICTED, Scores
from search.evidence.measured.intervals import CLASSES, coverage_of, load_intervals

COUNTED = 0.02
ESTIMATED = 0.1
HIGHER = (
    "output_tokens_per_s",
    "output_tokens_per_s_per_gpu",
    "requests_per_s",
    "kv_capacity_tokens",
    "admitted_batch",
)
LOWER = ("ttft_s", "burst_ttft_s", "tpot_s", *COSTS)
# Shares of a rate, by the figure whose interval their time has.
OVER_TIME = {"decode_mfu": "tpot_s", "decode_bandwidth_utilization": "tpot_s", "prefill_mfu": "ttft_s"}

Standing = Literal["holds", "holds, with room", "fails"]
HOLDS: Standing = "holds"
ROOM: Standing = "holds, with room"
FAILS: Standing = "fails"


def known(scenario: Scenario, plan: Plans, scores: Scores) -> str:
    """The class of situation that the intervals of one plan belong to."""
    return CLASSES[int(coverage_of(scenario, plan, scores)[0])]


def span(name: str, value: float, scenario: Scenario, plan: Plans, scores: Scores) -> tuple[float, float]:
    """(low, high) around a derived ``value`` of the figure ``name``."""
    if name in PLAN_COLUMNS:
        return value, value
    if name in PREDICTED or name in COSTS or name == "share_of_limit":
        return _interval("output_tokens_per_s" if name == "share_of_limit" else name, value, scenario, plan, scores)
    if name in OVER_TIME:
        low, high = _interval(OVER_TIME[name], 1.0, scenario, plan, scores)
        return value / high, value / low
    if name in ("weights_bytes_per_gpu", "kv_cache_bytes_per_gpu") or name.startswith("limit_"):
        return within(value, COUNTED)
    counted = _one(scores.weights_bytes_per_gpu)
    loose = ESTIMATED * (_one(scores.activation_bytes_per_gpu) + _one(scores.reserve_bytes_per_gpu))
    if name == "kv_capacity_tokens":
        return _one(scores.kv_capacity_tokens_low), _one(scores.kv_capacity_tokens_high)
    if name in ("memory_bytes_per_gpu", "memory_utilization"):
        room = COUNTED * (counted + _one(scores.kv_cache_bytes_per_gpu)) + loose
        return within(value, room / _one(scores.memory_bytes_per_gpu))
    low, high = within(value, ESTIMATED)
    if name == "admitted_batch":
        return float(math.floor(low)), float(min(math.ceil(high), max(value, _one(plan.batch))))
    return low, high


def within(value: float, share: float) -> tuple[float, float]:
    """``value`` less and more a share of it."""
    return value - share * abs(value), value + share * abs(value)


def standing(name: str, claimed: float, low: float, high: float) -> Standing:
    """Whether a claim is borne out. A promise that asks for less than the span holds with room; one that asks for more
    fails. A size or a share states a fact, and fails on either side."""
    if name in HIGHER and claimed < low:
        return ROOM
    if name in LOWER and claimed > high:
        return ROOM
    return HOLDS if low <= claimed <= high else FAILS


def physical_limit(name: str, scores: Scores) -> float | None:
    """What no layout of the plan's accelerators can beat; ``None`` for a figure that has no such limit."""
    if name in ("ttft_s", "burst_ttft_s", "tpot_s", "output_tokens_per_s"):
        return _one(getattr(scores, f"limit_{name}"))
    if name in ("output_tokens_per_s_per_gpu", "requests_per_s"):
        speed = _one(scores.output_tokens_per_s)
        return _one(getattr(scores, name)) * _one(scores.limit_output_tokens_per_s) / speed
    if name in COSTS:
        return _one(getattr(scores, name)) * _one(scores.output_tokens_per_s) / _one(scores.limit_output_tokens_per_s)
    return None


def beats(name: str, claimed: float, limit: float | None) -> bool:
    """Whether a claim is better than the physical limit, beyond rounding."""
    if limit is None or not math.isfinite(limit):
        return False
    return claimed < limit * (1.0 - COUNTED) if name in LOWER else claimed > limit * (1.0 + COUNTED)


def _interval(name: str, value: float, scenario: Scenario, plan: Plans, scores: Scores) -> tuple[float, float]:
    name_of, own = known(scenario, plan, scores), int(coverage_of(scenario, plan, scores)[0])
    classes = np.array([own if CLASSES[own] == name_of else CLASSES.index(name_of)])
    low, high = load_intervals().of(name, classes, np.array([value]))
    return float(low[0]), float(high[0])


def _one(values: object) -> float:
    return float(np.asarray(values, dtype=float).reshape(-1)[0])
