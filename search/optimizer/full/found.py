"""What a search of everything found: the front with its figures, and the count of all plans."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from costmodel.evaluate import evaluate
from costmodel.plans import IntArray, Plans
from costmodel.plans import concatenate as join_plans
from costmodel.scores import Scores
from costmodel.scores import concatenate as join_scores
from search.base import interrupt
from search.base.errors import InputError
from search.base.workers import LOCAL, Workers
from search.evidence.measured.intervals import coverage_of
from search.inputs.schema import Config
from search.optimizer.front import Objectives, pareto_front
from search.optimizer.full.front import AXES
from search.optimizer.full.replicas import takes
from search.optimizer.full.search import Count
from search.optimizer.full.units import Searched, replicas_for, search_units
from search.optimizer.full.variants import Variant, variants_of
from search.optimizer.legal import NoLegalPlan, legal_plans
from search.optimizer.recommend import Policy, best_feasible
from search.optimizer.space import Space

MOST_FOLLOWED = 1_000_000  # legal plans of the search that follows


@dataclass(frozen=True)
class FullFound:
    """``space`` of the plans' axes, in so many ``variants``; those that were ``searched``, all unless somebody asked to
    end. The front over all of them, the best plan by the policy first: ``which`` variant each is of, ``plans``,
    ``scores``, ``coverage``, and which ``engines`` take it, of shape (3, n)."""

    space: Space
    variants: int
    searched: tuple[Searched, ...]
    which: IntArray
    plans: Plans
    scores: Scores | None
    coverage: IntArray
    engines: np.ndarray
    seconds: float

    @property
    def size(self) -> int:
        """Points of the product, with what varies beside the plan."""
        return self.space.size * self.variants

    @property
    def total(self) -> Count:
        """All of ``searched`` together."""
        total = Count()
        for one in self.searched:
            total.legal += one.count.legal
            total.scored += one.count.scored
            total.feasible += one.count.feasible
            for name, n in one.count.spared.items():
                total.spared[name] += n
        return total

    @property
    def best(self) -> Variant:
        """Of the first plan of the front; without one the first that has any legal plan."""
        if len(self.which):
            return self.searched[int(self.which[0])].variant
        return next((one.variant for one in self.searched if one.count.legal), self.searched[0].variant)


def full_search(config: Config, workers: Workers = LOCAL) -> FullFound:
    """The exact front of ``config.space`` over everything that it varies. ``InputError`` where that cannot be told."""
    started = time.perf_counter()
    objectives = Objectives.from_config("objective.columns", config.objective.columns)
    policy = Policy.from_config(config.objective.recommend, config.objective.ties)
    _check(config, objectives, policy)
    space = Space.from_config(vars(config.space), listed=False)
    workers.expect(space.size)
    variants = variants_of(config)
    searched, members = search_units(space, objectives, variants, workers)
    if not searched:
        raise interrupt.Nothing
    if not any(one.count.legal for one in searched):
        first = searched[0]
        raise NoLegalPlan(space.size, first.variant.engine, first.variant.scenario.model.name, first.removed)
    on = _ordered(searched, members, objectives, policy)
    return FullFound(space, len(variants), searched, *on, seconds=time.perf_counter() - started)


def _check(config: Config, objectives: Objectives, policy: Policy) -> None:
    if config.workload.requests_per_s is not None:
        raise InputError(
            f"workload.requests_per_s: {config.workload.requests_per_s} is not allowed where space.engines, "
            "max_batched_tokens, weights or kv_cache vary; leave it out (null)"
        )
    if list(config.space.serving) != ["aggregated"] or list(config.space.speculation) != ["none"]:
        raise InputError(
            "space.serving, space.speculation: only aggregated plans without drafts are allowed where space.engines, "
            "max_batched_tokens, weights or kv_cache vary"
        )
    name, direction = policy.first
    follows = name == "output_tokens_per_s_per_gpu" and {"output_tokens_per_s", "gpus"} <= set(objectives.names)
    if objectives.directions.get(name) != direction and not follows:
        raise InputError(
            f"objective.recommend: {name} is not allowed where engines or formats vary, unless it is one of "
            f"objective.columns ({', '.join(objectives.names)}): the best plan would not be on the front"
        )


def _ordered(
    searched: tuple[Searched, ...], members: IntArray, objectives: Objectives, policy: Policy
) -> tuple[IntArray, Plans, Scores | None, IntArray, np.ndarray]:
    """What ``FullFound`` says of the front, which is scored once more, as any plan is: what was scaled from fewer
    replicas may differ in the last bit."""
    which, rest = members[:, 0], members[:, 1:]
    order = np.lexsort([*rest.T[::-1], which])
    which, rest = which[order], rest[order]
    plans, scores, known, engines = [], [], [], []
    for i in np.unique(which):
        variant = searched[int(i)].variant
        mine = Plans.of(**dict(zip(AXES, rest[which == i].T, strict=True)))
        plans.append(mine)
        scores.append(evaluate(variant.scenario, mine))
        known.append(coverage_of(variant.scenario, mine, scores[-1]))
        engines.append(takes(mine, variant.facts))
    if not plans:
        nothing = np.zeros(0, dtype=np.int64)
        return nothing, Plans.of(gpus=nothing), None, nothing, np.zeros((3, 0), bool)
    whole, figures, coverage = join_plans(plans), join_scores(scores), np.concatenate(known)
    on = pareto_front(objectives.costs(whole, figures), figures.feasible)
    on = on[policy.order(whole.take(on), figures.take(on))]
    first = best_feasible(whole.take(on), figures.take(on), policy, coverage[on])
    if first:
        on = np.concatenate([on[[first]], np.delete(on, first)])
    return which[on], whole.take(on), figures.take(on), coverage[on], np.concatenate(engines, axis=1)[:, on]


def followed(config: Config, found: FullFound, most: int = MOST_FOLLOWED) -> Config:
    """An ordinary configuration of the best variant, over the layouts of its plans on the front (as many of them, the
    best first, as make ``most`` legal plans): what the rest of a run looks at. Without a front, over the largest
    layouts."""
    best = found.best
    rows = np.flatnonzero([found.searched[int(i)].variant is best for i in found.which])
    plans = found.plans.take(rows)
    if len(rows) == 0:
        space = Space({**found.space.axes, "batch": found.space.axes["batch"][:1]})
        replicas = replicas_for(space, best)
        plans = replicas.deployed(np.arange(len(replicas.dp)), np.zeros_like(replicas.dp))
        plans = plans.take(np.argsort(-plans.gpus, kind="stable")[:most])
    degrees = np.stack([getattr(plans, axis) for axis in AXES[:-1]], axis=1)
    _, first = np.unique(degrees, axis=0, return_index=True)
    degrees = degrees[np.sort(first)]
    count = len(degrees)
    while True:
        axes = {axis: np.unique(degrees[:count, i]).tolist() for i, axis in enumerate(AXES[:-1])}
        space = Space({**{a: tuple(v) for a, v in axes.items()}, "batch": found.space.axes["batch"][:1]})
        legal = len(legal_plans(space, best.facts, best.engine)) * len(found.space.axes["batch"])
        if legal <= most or count == 1:
            break
        count = max(count // 2, 1)
    said = (
        f"{best.name}: best of {len(found.searched)} combinations of engine, token budget and formats (full.csv.gz), "
        "formats change answers, which no figure shows"
    )
    return replace(
        best.config,
        space=replace(best.config.space, **axes, batch=config.space.batch),
        assumptions=[*config.assumptions, said],
    )
