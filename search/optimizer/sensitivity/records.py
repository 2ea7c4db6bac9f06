"""What the analysis finds: records that an outcome carries to the documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FIGURES = ("output_tokens_per_s", "ttft_s", "burst_ttft_s", "tpot_s", "memory_utilization")
SAFE = 0.9  # share of draws in which a robust plan is feasible


@dataclass(frozen=True)
class Range:
    """An input and the factors between which its true value is taken to lie, around 1; ``source`` says why."""

    name: str
    low: float
    high: float
    source: str


@dataclass(frozen=True)
class Best:
    """The plan that would be recommended: its axes, whether it is the recommended one, its figures, and the relative
    gain in the policy's deciding column over the recommended plan as configured (above 0 is better)."""

    plan: dict[str, int]
    same: bool
    figures: dict[str, float]
    gain: float


@dataclass(frozen=True)
class Situation:
    """An input at an end of its range, or one unit more: ``key`` of the configuration from ``before`` to ``after`` in
    ``unit`` (1 and a factor for ranges). ``figures`` of the recommended plan, ``None`` where it is not itself asked
    about; ``missed`` the limits that it misses; ``best`` ``None`` where no plan is feasible."""

    kind: Literal["range", "resource", "limit"]
    name: str
    key: str
    before: float
    after: float
    unit: str
    figures: dict[str, float] | None
    missed: tuple[str, ...]
    best: Best | None
    source: str = ""


@dataclass(frozen=True)
class Sure:
    """The best plan that keeps every limit at the unfavourable end of its interval and in a share of the draws of at
    least ``CONFIDENCE``: its axes, ``share`` and ``gain`` in the deciding column over the recommended plan (below 0:
    what being sure costs)."""

    plan: dict[str, int]
    share: float
    gain: float


@dataclass(frozen=True)
class Draws:
    """Shares of ``count`` draws. ``layout``: the best plan has the recommended layout of a replica, whatever its batch
    and the number of replicas. ``missed`` by limit; ``shortfall``: median and 90th percentile of what the plan lacks
    to the best one of the draw in the deciding column, over draws in which it is feasible; ``quantiles`` by figure;
    ``rivals`` other layouts by the share of draws that they win, each as its most frequent plan. ``robust``: of the
    plans that are feasible in ``SAFE`` of the draws the best as configured, its share and its gain (below 0: what the
    safety costs) in the deciding column. ``sure``: the best of the ranked plans that pass both tests of
    ``search.optimizer.sure``, ``None`` where none does."""

    count: int
    feasible: float
    best: float
    layout: float
    missed: dict[str, float]
    shortfall: tuple[float, float]
    quantiles: dict[str, tuple[float, ...]]
    rivals: tuple[tuple[dict[str, int], float], ...]
    robust: tuple[dict[str, int], float, float] | None
    sure: Sure | None


@dataclass(frozen=True)
class Sensitivity:
    """``plan`` and its ``figures`` as configured; ``situations`` in order: ends of ranges, resources, limits;
    ``ranked`` plans in each of them, of ``scored`` that the search knows; ``draws`` ``None`` if none were asked for."""

    plan: dict[str, int]
    figures: dict[str, float]
    ranges: tuple[Range, ...]
    situations: tuple[Situation, ...]
    ranked: int
    scored: int
    draws: Draws | None
