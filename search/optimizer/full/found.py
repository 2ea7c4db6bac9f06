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
from search.base.errors import InputError
from search.base.progress import track
from search.evidence.measured.intervals import coverage_of
from search.inputs.schema import Config
from search.optimizer.front import Objectives, pareto_front
from search.optimizer.full.front import AXES, Front
from search.optimizer.full.replicas import Built, Replicas, built, replicas_of, takes
from search.optimizer.full.search import Count, search_variant
from search.optimizer.full.variants import Variant, variants_of
from search.optimizer.legal import NoLegalPlan, legal_plans
from search.optimizer.recommend import Policy, best_feasible
from search.optimizer.rules.facts import Facts
from search.optimizer.space import Space

MOST_FOLLOWED = 1_000_000  # legal plans of the search that follows


@dataclass(frozen=True)
class Searched:
    """One variant: its count, and points that each rule removes."""

    variant: Variant
    count: Count
    removed: dict[str, int]


@dataclass(frozen=True)
class FullFound:
    """``space`` of the plans' axes; ``searched`` every variant of it. The front over all of them, the best plan by the
    policy first: ``which`` variant each is of, ``plans``, ``scores``, ``coverage``, and which ``engines`` take it, of
    shape (3, n)."""

    space: Space
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
        return self.space.size * len(self.searched)

    @property
    def total(self) -> Count:
        """All variants together."""
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


def full_search(config: Config) -> FullFound:
    """The exact front of ``config.space`` over everything that it varies. ``InputError`` where that cannot be told."""
    started = time.perf_counter()
    objectives = Objectives.from_config("objective.columns", config.objective.columns)
    policy = Policy.from_config(config.objective.recommend, config.objective.ties)
    _check(config, objectives, policy)
    space = Space.from_config(vars(config.space), listed=False)
    variants = variants_of(config)
    batches = np.array(space.axes["batch"], dtype=np.int64)
    front, searched = Front(objectives), []
    known: dict[Facts, Built] = {}
    for i in track(range(len(variants)), "everything"):
        replicas = _replicas(space, variants[i], known)
        searched.append(
            Searched(variants[i], search_variant(i, variants[i], replicas, batches, front), replicas.removed)
        )
    if not any(one.count.legal for one in searched):
        first = searched[0]
        raise NoLegalPlan(space.size, first.variant.engine, first.variant.scenario.model.name, first.removed)
    return _found(space, tuple(searched), front, policy, started)


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


def _replicas(space: Space, variant: Variant, known: dict[Facts, Built]) -> Replicas:
    """The general rules ask for the model and the cluster alone: layouts are built once for variants that agree."""
    facts = variant.facts
    key = replace(facts, max_batched_tokens=0, cache="", hold_steps=0.0, weight_block=0, block_dense=(), block_tp=())
    if key not in known:
        known[key] = built(space, facts)
    return replicas_of(space, known[key], variant.scenario, facts, variant.engine)


def _found(space: Space, searched: tuple[Searched, ...], front: Front, policy: Policy, started: float) -> FullFound:
    """The front scored once more, as any plan is: what was scaled from fewer replicas may differ in the last bit."""
    which, rest = front.members[:, 0], front.members[:, 1:]
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
    seconds = time.perf_counter() - started
    if not plans:
        nothing = np.zeros(0, dtype=np.int64)
        return FullFound(
            space, searched, nothing, Plans.of(gpus=nothing), None, nothing, np.zeros((3, 0), bool), seconds
        )
    whole, figures, coverage = join_plans(plans), join_scores(scores), np.concatenate(known)
    on = pareto_front(front.objectives.costs(whole, figures), figures.feasible)
    on = on[policy.order(whole.take(on), figures.take(on))]
    first = best_feasible(whole.take(on), figures.take(on), policy, coverage[on])
    if first:
        on = np.concatenate([on[[first]], np.delete(on, first)])
    takers, seconds = np.concatenate(engines, axis=1)[:, on], time.perf_counter() - started
    return FullFound(space, searched, which[on], whole.take(on), figures.take(on), coverage[on], takers, seconds)


def followed(config: Config, found: FullFound) -> Config:
    """An ordinary configuration of the best variant, over the layouts of its plans on the front (as many of them, the
    best first, as make ``MOST_FOLLOWED`` legal plans): what the rest of a run looks at. Without a front, over the
    largest layouts."""
    best = found.best
    rows = np.flatnonzero([found.searched[int(i)].variant is best for i in found.which])
    plans = found.plans.take(rows)
    if len(rows) == 0:
        space = Space({**found.space.axes, "batch": found.space.axes["batch"][:1]})
        replicas = _replicas(space, best, {})
        place, dp = replicas.multiplied(np.arange(len(replicas)))
        those = replicas.plans.take(place)
        plans = replace(those, gpus=those.gpus // those.dp * dp, dp=dp)
        plans = plans.take(np.argsort(-plans.gpus, kind="stable")[:MOST_FOLLOWED])
    degrees = np.stack([getattr(plans, axis) for axis in AXES[:-1]], axis=1)
    _, first = np.unique(degrees, axis=0, return_index=True)
    degrees = degrees[np.sort(first)]
    count = len(degrees)
    while True:
        axes = {axis: np.unique(degrees[:count, i]).tolist() for i, axis in enumerate(AXES[:-1])}
        space = Space({**{a: tuple(v) for a, v in axes.items()}, "batch": found.space.axes["batch"][:1]})
        legal = len(legal_plans(space, best.facts, best.engine)) * len(found.space.axes["batch"])
        if legal <= MOST_FOLLOWED or count == 1:
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
