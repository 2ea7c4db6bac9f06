"""Whether a plan keeps its limits for sure, or only as predicted; and a search among plans that do.

Two tests, independent of each other. The unfavourable end of the figure's 80 % interval must keep the limit: what the
model may be wrong by. And all limits together must hold in a share of seeded draws over the uncertain inputs: what the
inputs may be wrong by (docs/sensitivity.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from costmodel.evaluate import evaluate
from costmodel.memory.device import usable_bytes
from costmodel.plans import Array, IntArray, Plans
from costmodel.scenario import Scenario
from costmodel.scores import Scores
from search.base.errors import InputError
from search.evidence.measured.intervals import load_intervals
from search.inputs.schema import Config
from search.optimizer.hardened import CONFIDENCE, COUNTED, bounded, hardened, likely
from search.optimizer.outcome import Outcome
from search.optimizer.recommend import Policy
from search.optimizer.sensitivity.draws import factors
from search.optimizer.sensitivity.inputs import scaled
from search.optimizer.sensitivity.records import Range
from search.optimizer.verify import without_headroom

LIMIT = "confidence"


@dataclass(frozen=True)
class Kept:
    """One limit and the recommended plan: its ``figure`` as predicted between ``low`` and ``high`` of its interval (the
    prediction itself where it has none), ``allowed`` by the limit; ``surely``: the unfavourable end keeps it; ``share``
    of the draws that keep it, ``None`` where nobody drew."""

    limit: str
    figure: str
    allowed: float
    predicted: float
    low: float
    high: float
    surely: bool
    share: float | None


def shares(scenario: Scenario, ranges: Sequence[Range], plans: Plans, count: int, seed: int) -> Array:
    """Share of the draws in which each plan keeps every limit; the draws are those of the sensitivity."""
    names = [r.name for r in ranges]
    scenario = without_headroom(scenario, ())
    kept = np.zeros(len(plans))
    for drawn in factors(ranges, count, seed).tolist():
        kept += evaluate(scaled(scenario, dict(zip(names, drawn, strict=True))), plans).feasible
    return kept / count


def check_confidence(config: Config) -> None:
    """``InputError`` for a confidence that is no share, or that nothing was drawn for."""
    asked = config.objective.confidence
    if asked is None:
        return
    if not config.sensitivity.enabled or config.sensitivity.draws == 0:
        raise InputError(
            f"objective.confidence: {asked} asks for shares of draws, and there are none; leave out sensitivity=none "
            "or set sensitivity.draws=100"
        )


@dataclass(frozen=True)
class Search:
    """What the best sure plan is looked for among: every scored plan, in this scenario, under this policy."""

    config: Config
    scenario: Scenario
    ranges: tuple[Range, ...]
    plans: Plans
    scores: Scores
    coverage: IntArray
    policy: Policy


def strict(search: Search, confidence: float) -> Scores:
    """The scores under stricter limits: figures at the unfavourable ends, and one more limit, ``confidence``, that a
    plan misses by what its share of the draws lacks. Plans that cannot win are not drawn for and miss it wholly."""
    scores = hardened(search.scenario, search.scores, search.coverage)
    lacking = np.full(len(scores), confidence)
    rows = likely(search.plans, scores, search.policy, search.config.sensitivity.most_ranked)
    if len(rows):
        config = search.config.sensitivity
        found = shares(search.scenario, search.ranges, search.plans.take(rows), config.draws, config.seed)
        lacking[rows] = confidence - found
    return replace(scores, limits=(*scores.limits, LIMIT), violations=np.vstack([scores.violations, lacking]))


def kept_limits(outcome: Outcome) -> tuple[Kept, ...]:
    """Each limit that is set, for the recommended plan; none where nothing is recommended."""
    if outcome.choice is None:
        return ()
    row, scenario = outcome.choice.recommended, outcome.scenario
    scores, known = outcome.scores.take([row]), outcome.coverage[[row]]
    hard = hardened(scenario, scores, known)
    draws = outcome.sensitivity.draws if outcome.sensitivity is not None else None
    found = []
    for limit, (figure, allowed) in bounded(scenario.limits, usable_bytes(scenario.accelerator)).items():
        values = getattr(scores, figure)
        low, high = (values, values) if limit in COUNTED else load_intervals().of(figure, known, values)
        for verified in outcome.verified:
            if verified.row == row and figure in verified.figures and values[0] > 0:
                # What the simulation says widens what measurements say.
                ratio = verified.figures[figure] / values[0]
                low, high = low * min(ratio, 1.0), high * max(ratio, 1.0)
        surely = bool(hard.violations[scores.limits.index(limit), 0] <= 0.0)
        share = None if draws is None else 1.0 - draws.missed.get(limit, 0.0)
        ends = float(values[0]), float(low[0]), float(high[0])
        found.append(Kept(limit, figure, allowed, *ends, surely, share))
    return tuple(found)


def is_sure(outcome: Outcome) -> bool:
    """Whether the recommended plan passes both tests at ``CONFIDENCE``; without draws the first."""
    draws = outcome.sensitivity.draws if outcome.sensitivity is not None else None
    return all(k.surely for k in kept_limits(outcome)) and (draws is None or draws.feasible >= CONFIDENCE)
