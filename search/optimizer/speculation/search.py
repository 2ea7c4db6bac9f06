"""The best plan with each drafter beside the best one without, and what drafting gains by batch."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from costmodel.columns import column
from costmodel.drafts.drafter import Drafter
from costmodel.drafts.drafting import with_drafter
from costmodel.evaluate import evaluate
from costmodel.plans import IntArray, Plans, concatenate
from costmodel.scenario import Scenario
from costmodel.scores import Scores
from search.evidence.measured.intervals import coverage_of
from search.optimizer.decode_context import may_deal
from search.optimizer.recommend import Policy, best_feasible
from search.optimizer.speculation.asked import RANGE, drafting, scaled
from search.optimizer.speculation.rules import beside_dealt

BATCHES = tuple(1 << i for i in range(11))  # at which the gain is told


@dataclass(frozen=True)
class Option:
    """One drafter's best plan, ``None`` where none keeps the limits: its deciding figure, and the same if every chance
    of acceptance were as low or as high as ``RANGE`` says; ``ratio`` to the best without drafts. ``ranks`` over which
    the cache of decodes is dealt beside it."""

    drafter: Drafter
    plan: Plans | None
    scores: Scores | None
    value: float
    low: float
    high: float
    ratio: float | None
    ranks: int = 1


@dataclass(frozen=True)
class SpeculationFound:
    """``options`` in the order asked for, ``best`` of them (``None``: none is better than not to draft); ``gains`` of
    the best option, or the first: output tokens a second with over without drafts, by batch of the recommended
    layout."""

    column: str
    direction: str
    without: float | None
    options: tuple[Option, ...]
    best: Option | None
    gains: tuple[tuple[int, float], ...]


def search_speculation(
    scenario: Scenario, drafters: tuple[Drafter, ...], plans: Plans, policy: Policy, row: int | None, scores: Scores,
    degrees: tuple[int, ...] = (),
) -> SpeculationFound:  # fmt: skip
    """``plans`` that are legal without drafts; ``row`` of the recommended one; ``degrees`` of decode context
    parallelism, tried beside those drafts with which the engine has it."""
    name, direction = policy.first
    without = None if row is None else float(column(name, plans, scores)[row])
    options = tuple(
        _option(scenario, d, plans, policy, without, ranks)
        for d in drafters
        for ranks in (1, *(degrees if beside_dealt(d.kind, scenario.engine.name, pools=False) is None else ()))
    )
    sign = 1.0 if direction == "max" else -1.0
    known = [o for o in options if o.plan is not None]
    top = max(known, key=lambda o: sign * o.value, default=None)
    best = top if top is not None and (without is None or sign * top.value > sign * without) else None
    layout = plans.take(np.array([row])) if row is not None else top.plan if top is not None else None
    shown = best or (options[0] if options else None)
    gains = gains_by_batch(scenario, shown.drafter, layout) if shown and layout is not None else ()
    return SpeculationFound(name, direction, without, options, best, gains)


def _option(
    scenario: Scenario, drafter: Drafter, plans: Plans, policy: Policy, without: float | None, ranks: int
) -> Option:
    kept = plans.take(drafting(drafter, plans, scenario.model, scenario.engine.name))
    if ranks > 1:
        kept = kept.take(may_deal(scenario, ranks, kept))
        scenario = replace(scenario, decode_ranks=ranks)
    there = with_drafter(scenario, drafter)
    scores = evaluate(there, kept) if len(kept) else None
    row = None
    if scores is not None and scores.feasible.any():
        row = best_feasible(kept, scores, policy, coverage_of(there, kept, scores))
    if scores is None or row is None:
        return Option(drafter, None, None, np.nan, np.nan, np.nan, None, ranks)
    name, _ = policy.first
    at: IntArray = np.array([row])
    plan = kept.take(at)
    ends = [
        float(column(name, plan, evaluate(with_drafter(scenario, scaled(drafter, f)), plan))[0]) for f in RANGE
    ]  # fmt: skip
    value = float(column(name, kept, scores)[row])
    return Option(
        drafter, plan, scores.take(at), value, min(*ends, value), max(*ends, value),
        None if without is None else value / without, ranks,
    )  # fmt: skip


def gains_by_batch(scenario: Scenario, drafter: Drafter, layout: Plans) -> tuple[tuple[int, float], ...]:
    """Output tokens a second with drafts over those without, at batches of one layout that memory takes."""
    axes = layout.row(0)
    plans = concatenate([Plans.of(**(axes | {"batch": b})) for b in BATCHES])
    plain, drafted = evaluate(scenario, plans), evaluate(with_drafter(scenario, drafter), plans)
    fits = (drafted.violations[0] <= 0.0) & (plain.violations[0] <= 0.0)
    ratio = drafted.output_tokens_per_s / plain.output_tokens_per_s
    return tuple((int(b), float(r)) for b, r, f in zip(plans.batch, ratio, fits, strict=True) if f)
