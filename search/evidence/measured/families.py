"""Do predictions choose well? Rank correlation and decision regret inside each setting.

A setting is what layouts compete within: model, system, engine, precision, nominal lengths and regime.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from search.evidence.measured.errors import measured
from search.evidence.measured.predict import Prediction
from search.evidence.measured.rows import Measurement

TPOT_LIMITS_S = (0.015, 0.020, 0.030, 0.050, 0.100)
NEARLY = 1.05  # a limit missed by less: measurements repeat within 2 to 5 %


@dataclass(frozen=True)
class Option:
    """A measured row that can be chosen: seconds, and output tokens a second and GPU; a figure that is missing is
    NaN."""

    setting: tuple[object, ...]
    layout: tuple[object, ...]
    tpot_s: float
    speed: float
    predicted_tpot_s: float
    predicted_speed: float


@dataclass(frozen=True)
class Ranking:
    """Spearman's rank correlation of predicted with measured tokens/s/GPU over ``settings`` of three rows and more."""

    settings: int
    mean: float
    median: float
    worst: float


@dataclass(frozen=True)
class Regret:
    """Decisions taken by prediction, over settings with two layouts and more and the limits of ``TPOT_LIMITS_S``.

    ``decisions``: settings and limits where some row is predicted to keep the limit; the one predicted to be fastest
    of those is picked. ``abstained``: no row is predicted to keep it, and nothing is picked. ``hopeless``: decisions
    where no measured row keeps it; they count as a broken limit and have no loss. ``loss``: mean of
    max(0, 1 - the pick's measured tokens/s/GPU / the best among rows that truly keep the limit), a pick that breaks
    the limit included. ``loss_kept``: the same over picks that truly keep it (the definition that reproduces the
    peer's published 7.9 %). ``kept``: share of decisions whose pick's measured TPOT is at most the limit;
    ``nearly_kept``: at most 5 % above it.
    """

    settings: int
    decisions: int
    abstained: int
    hopeless: int
    loss: float
    loss_kept: float
    kept: float
    nearly_kept: float


def options(predictions: Iterable[Prediction]) -> list[Option]:
    """The rows that are predicted and measure tokens/s/GPU."""
    found = [option(p.measurement, p.tpot_s.value, p.tokens_per_s_per_gpu.value) for p in predictions]
    return [row for row in found if row is not None]


def option(m: Measurement, predicted_tpot_s: float, predicted_speed: float) -> Option | None:
    """A row with its prediction; ``None`` where tokens/s/GPU is not measured or not predicted."""
    speed = measured(m, "tokens_per_s_per_gpu")
    if not (math.isfinite(speed) and math.isfinite(predicted_speed)):
        return None
    layout = (m.gpus, m.tp, m.pp, m.attn_dp, m.ep, m.moe_tp)
    return Option((*m.setting, m.regime), layout, measured(m, "tpot_s"), speed, predicted_tpot_s, predicted_speed)


def _settings(rows: Iterable[Option]) -> list[list[Option]]:
    groups: dict[tuple[object, ...], list[Option]] = {}
    for row in rows:
        groups.setdefault(row.setting, []).append(row)
    return list(groups.values())


def ranks(values: Sequence[float]) -> np.ndarray:
    """Ranks from 1; equal values share the mean of theirs."""
    array = np.asarray(values, dtype=float)
    ordered = np.sort(array)
    below, through = np.searchsorted(ordered, array, "left"), np.searchsorted(ordered, array, "right")
    return (below + through + 1) / 2.0


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """Rank correlation; NaN where one of them does not vary."""
    left, right = ranks(a), ranks(b)
    left, right = left - left.mean(), right - right.mean()
    norm = math.sqrt(float(left @ left) * float(right @ right))
    return float(left @ right) / norm if norm > 0 else math.nan


def ranking(rows: Iterable[Option]) -> Ranking:
    """Rank correlation inside the settings."""
    groups = [g for g in _settings(rows) if len(g) > 2]
    found = [spearman([r.speed for r in g], [r.predicted_speed for r in g]) for g in groups]
    found = [value for value in found if math.isfinite(value)]
    if not found:
        return Ranking(0, math.nan, math.nan, math.nan)
    return Ranking(len(found), float(np.mean(found)), float(np.median(found)), min(found))


def regret(rows: Iterable[Option]) -> Regret:
    """Decision regret; rows that do not measure TPOT, or of which none is predicted, take no part."""
    known = [r for r in rows if math.isfinite(r.tpot_s) and math.isfinite(r.predicted_tpot_s)]
    groups = [g for g in _settings(known) if len({r.layout for r in g}) > 1]
    picks: list[tuple[float, Option, float]] = []  # limit, pick, best measured speed
    abstained = 0
    for group in groups:
        for limit in TPOT_LIMITS_S:
            promised = [r for r in group if r.predicted_tpot_s <= limit]
            if not promised:
                abstained += 1
                continue
            best = max((r.speed for r in group if r.tpot_s <= limit), default=math.nan)
            picks.append((limit, max(promised, key=lambda r: r.predicted_speed), best))
    losses = [(max(0.0, 1.0 - p.speed / best), p.tpot_s <= limit) for limit, p, best in picks if not math.isnan(best)]
    return Regret(
        settings=len(groups),
        decisions=len(picks),
        abstained=abstained,
        hopeless=len(picks) - len(losses),
        loss=_mean([loss for loss, _ in losses]),
        loss_kept=_mean([loss for loss, kept in losses if kept]),
        kept=_mean([p.tpot_s <= limit for limit, p, _ in picks]),
        nearly_kept=_mean([p.tpot_s <= limit * NEARLY for limit, p, _ in picks]),
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan
