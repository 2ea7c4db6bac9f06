"""The replicas of a model on one kind of accelerator: for each size the plan that carries most within its limits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from costmodel.evaluate import evaluate
from costmodel.plans import Array, IntArray, Plans
from costmodel.scenario import Scenario
from costmodel.scores import Scores
from search.base.errors import InputError
from search.evidence.measured.intervals import CLASSES, UNCOVERED, coverage_of, load_intervals
from search.inputs.compared import compared
from search.inputs.config import read_model, read_scenario
from search.inputs.own_engine import as_launched
from search.inputs.schema import Config
from search.optimizer.legal import legal_plans
from search.optimizer.rules.facts import facts_of
from search.optimizer.run import score_all
from search.optimizer.space import Space

HALVINGS = 12  # of the rate that some replica of a size keeps every limit at: 1/4096 of it
SAFE = 0.999  # of the most requests as interpolated: there every limit is asked again
FIGURE = "max_requests_per_s"  # whose interval is taken


@dataclass(frozen=True)
class Replica:
    """One server: ``plan`` on ``gpus`` accelerators carries ``requests_per_s`` within its limits, between ``low`` and
    ``high`` in 80 % of cases. ``carried`` is what a fleet counts on."""

    engine: str
    plan: Plans
    gpus: int
    requests_per_s: float
    low: float
    high: float
    coverage: str
    carried: float
    scenario: Scenario


@dataclass(frozen=True)
class Found:
    """What the search of one model on one kind of accelerator came to. ``why``: one line where there is no replica.
    ``left_out``: sizes of the space that do not fill nodes."""

    replicas: tuple[Replica, ...]
    points: int
    legal: int
    feasible: int
    left_out: tuple[int, ...]
    why: str = ""


def sizes(config: Config, node: int, most: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Sizes of a replica that fill nodes of ``node`` accelerators, and those of the space that do not. Whatever of them
    fits in a pool by its number of accelerators fits in its nodes, the largest first: each size divides the next."""
    wanted = Space.from_config({**vars(config.space), "dp": 1}).axes["gpus"]
    kept = tuple(g for g in wanted if g <= most and (node % g == 0 or g % node == 0))
    for small, large in pairwise(kept):
        if large % small:
            raise InputError(
                f"space.gpus: {small} and {large} do not pack into nodes of {node}; give sizes that divide each other"
            )
    return kept, tuple(g for g in wanted if g not in kept)


def replicas(config: Config, most: int, low: bool) -> Found:
    """Every engine that the configuration names or compares; ``most`` accelerators; ``low``: count on the low end of
    the interval."""
    names = compared(config) or (config.engine.name,)
    found = [_of_engine(as_launched(config, n) if compared(config) else config, most, low) for n in names]
    best: dict[int, Replica] = {}
    for replica in (r for one in found for r in one.replicas):
        if replica.gpus not in best or replica.carried > best[replica.gpus].carried:
            best[replica.gpus] = replica
    kept = tuple(best[g] for g in sorted(best))
    why = "" if kept else "; ".join(f"{n}: {one.why}" for n, one in zip(names, found, strict=True))
    points, legal, feasible = (sum(getattr(one, name) for one in found) for name in ("points", "legal", "feasible"))
    return Found(kept, points, legal, feasible, found[0].left_out, why)


def _of_engine(config: Config, most: int, low: bool) -> Found:
    model = read_model(config.model)
    scenario = read_scenario(config, model.architecture)
    kept, left_out = sizes(config, scenario.cluster.node_size, most)
    if not kept:
        return Found((), 0, 0, 0, left_out, f"no size of space.gpus fills nodes and fits in {most}")
    space = Space.from_config({**vars(config.space), "gpus": list(kept), "dp": 1})
    legal = legal_plans(space, facts_of(scenario), config.engine.name)
    if len(legal) == 0:
        most_by = max(legal.removed.items(), key=lambda item: item[1])[0]
        return Found((), space.size, 0, 0, left_out, f"no legal plan; rule {most_by} removed most")
    plans = legal.plans
    carried, scores = carried_by(scenario, plans)
    known = coverage_of(scenario, plans, scores)
    bounds = load_intervals().of(FIGURE, known, carried)
    counted = bounds[0] if low else carried
    chosen = []
    for size in kept:
        rows = np.flatnonzero(plans.gpus == size)
        if not len(rows) or counted[rows].max() <= 0.0:
            continue
        row = _preferred(rows, counted, bounds[0], known)
        least, most_ = (float(bound[row]) for bound in bounds)
        word = CLASSES[known[row]]
        one = plans.take([row])
        chosen.append(
            Replica(
                config.engine.name, one, size, float(carried[row]), least, most_, word, float(counted[row]), scenario
            )
        )
    why = "" if chosen else _nearest(scores)
    return Found(tuple(chosen), space.size, len(legal), int(np.count_nonzero(carried > 0.0)), left_out, why)


def _preferred(rows: IntArray, counted: Array, low: Array, known: IntArray) -> int:
    """The row that carries most; not one whose layout no measurement covers, where the best covered one lies inside its
    interval, as ``search.optimizer.recommend`` has it."""
    best = int(rows[counted[rows].argmax()])
    covered = rows[known[rows] != UNCOVERED]
    if known[best] != UNCOVERED or not len(covered):
        return best
    other = int(covered[counted[covered].argmax()])
    return other if counted[other] > 0.0 and counted[other] >= low[best] else best


def carried_by(scenario: Scenario, plans: Plans) -> tuple[np.ndarray, Scores]:
    """Requests a second that each plan carries within all limits, zero where it never keeps them; and its scores.

    At a rate it is the most requests at which every limit is kept, for arrivals that are as irregular at each replica
    as they are in all (a router that draws replicas at random; one that takes turns evens them). In the closed loop,
    what the plan puts out with all its seats taken."""
    if scenario.demand is None:
        scores = score_all(scenario, plans)
        return np.where(scores.feasible, scores.requests_per_s, 0.0), scores
    slow = replace(scenario, demand=replace(scenario.demand, requests_per_s=1e-6))  # the bisection's own rates count
    scores = score_all(slow, plans)
    assert scores.max_requests_per_s is not None
    found = np.where(scores.feasible, scores.max_requests_per_s, 0.0)
    for size in np.unique(plans.gpus):
        rows = np.flatnonzero(plans.gpus == size)
        _settle(scenario, plans, found, rows)
    return found, scores


def _settle(scenario: Scenario, plans: Plans, found: np.ndarray, rows: np.ndarray) -> None:
    """Make sure that the best plan of a size keeps every limit at what it is said to carry, also those that are no
    latency's (``overflow_risk``); where it does not, the best rate of all plans of the size is bisected."""
    best = int(rows[found[rows].argmax()])
    top = float(found[best])
    if top <= 0.0 or _kept(scenario, plans.take([best]), SAFE * top)[0]:
        return
    low, high, kept = 0.0, top, best
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        some = rows[found[rows] >= middle]
        good = some[_kept(scenario, plans.take(some), middle)]
        if len(good):
            low, kept = middle, int(good[found[good].argmax()])
        else:
            high = middle
    found[rows] = np.minimum(found[rows], low)
    found[kept] = low


def _kept(scenario: Scenario, plans: Plans, rate: float) -> np.ndarray:
    assert scenario.demand is not None
    at = replace(scenario, demand=replace(scenario.demand, requests_per_s=rate, headroom=False))
    return np.asarray(evaluate(at, plans).feasible)


def _nearest(scores: Scores) -> str:
    """What the plan that misses its limits by least misses most."""
    excess = np.maximum(scores.violations, 0.0)
    row = int(excess.sum(axis=0).argmin())
    limit = int(excess[:, row].argmax())
    beyond = float(excess[limit, row])
    if beyond <= 0.0:
        return f"none of {len(scores)} legal plans keeps its limits at any rate"
    return (
        f"none of {len(scores)} legal plans keeps its limits; the nearest misses {scores.limits[limit]} by {beyond:.1%}"
    )
