"""A fleet, from configuration to outcome. Reads top to bottom; nothing is written here."""

from __future__ import annotations

import numpy as np

from costmodel.plans import Array
from search.base.errors import InputError
from search.base.progress import track
from search.inputs.fallbacks import fallbacks
from search.inputs.fleet.records import Fleet, Pool
from search.optimizer.fleet import exact, milp
from search.optimizer.fleet.choices import Choices, choices, stairs
from search.optimizer.fleet.deployed import deployed
from search.optimizer.fleet.growth import FACTORS, grown
from search.optimizer.fleet.outcome import FleetOutcome
from search.optimizer.fleet.problem import Budget, Problem, complete
from search.optimizer.fleet.replicas import Found, replicas
from search.optimizer.fleet.study import EXACT, run_study
from search.optimizer.sampler import check_sampler
from search.optimizer.stopwatch import Stopwatch

FIGURES = {"usd_per_hour": "price_per_hour", "power_w": "power_w"}  # and the pool's field


def run_fleet(fleet: Fleet) -> FleetOutcome:
    """Search; ``InputError`` for what cannot be used. ``chosen`` is ``None`` where not everybody can be served whole
    and the objective asks for it."""
    watch = Stopwatch()
    check_sampler(fleet.strategy.sampler)
    cost, charges, budgets = _priced(fleet)
    with watch.stage("searches"):
        found = _searched(fleet)

    def problem_at(factor: float) -> Problem:
        members = tuple(_choices(fleet, found, m, factor) for m in range(len(fleet.members)))
        counts = np.array([pool.count for pool in fleet.pools])
        return Problem(counts, charges, budgets, members, np.array([m.weight for m in fleet.members]))

    problem = problem_at(1.0)
    with watch.stage("exact"):
        front = exact.solve(problem) if exact.fits(problem) else milp.solve(problem)
    most = front.picks[-1] if len(front) else None
    served = most is not None and (fleet.settings.objective == "served" or complete(problem, most.tolist()))
    chosen = most if served else None
    study = None
    if fleet.strategy.sampler != EXACT and front.whole and len(front):
        with watch.stage("study"):
            names = (*(p.name for p in fleet.pools), *(b.name for b in budgets))
            study = run_study(problem, names, cost, fleet.strategy, front, fleet.name)
    given = []
    if chosen is not None:
        for m, member in enumerate(fleet.members):
            given += deployed(m, member.requests_per_s, problem.members[m].deployments[int(chosen[m])])
    with watch.stage("growth"):
        growth = tuple(grown(factor, problem_at(factor)) for factor in FACTORS)
    return FleetOutcome(
        fleet,
        found,
        problem,
        cost,
        front,
        chosen,
        most,
        tuple(given),
        study,
        growth,
        _assumptions(found),
        watch.seconds,
    )


def _searched(fleet: Fleet) -> dict[tuple[int, int], Found]:
    """Each model on each kind of accelerator that it may use."""
    low = fleet.settings.capacity == "low"
    pairs = [
        (m, k)
        for m, member in enumerate(fleet.members)
        for k, pool in enumerate(fleet.pools)
        if pool.name in member.pools
    ]
    found = {}
    for m, k in track(pairs, "searches"):
        pool = fleet.pools[k]
        try:
            found[m, k] = replicas(fleet.search(fleet.members[m], pool), pool.count, low)
        except InputError as error:
            raise InputError(f"fleet.models.{fleet.members[m].name} on {pool.name}: {error}") from error
    return found


def _choices(fleet: Fleet, found: dict[tuple[int, int], Found], m: int, factor: float) -> Choices:
    """Of a member at ``factor`` times its planned traffic."""
    member, spares = fleet.members[m], fleet.settings.spares
    wanted = factor * member.requests_per_s
    each = []
    for k, pool in enumerate(fleet.pools):
        kinds = found[m, k].replicas if (m, k) in found else ()
        node = pool.config.cluster.tiers[0].size
        each.append(stairs(k, kinds, wanted, pool.count, spares.count, spares.of, node))
    return choices(member.name, wanted, each, len(fleet.pools))


def _priced(fleet: Fleet) -> tuple[str, Array, tuple[Budget, ...]]:
    """What is least, for one accelerator of each pool, and what is bounded."""
    asked = {"cost": "usd_per_hour", "energy": "power_w"}.get(fleet.settings.objective)
    budgets = []
    for name in FIGURES:
        most = getattr(fleet.settings.limits, name)
        if most is not None:
            each = np.array([_needed(pool, name, f"fleet.limits.{name}") for pool in fleet.pools])
            budgets.append(Budget(name, each, float(most)))
    if asked is not None:
        key = f"fleet.objective={fleet.settings.objective}"
        return asked, np.array([_needed(pool, asked, key) for pool in fleet.pools]), tuple(budgets)
    prices = [pool.price_per_hour for pool in fleet.pools]
    if all(price is not None for price in prices):
        return "usd_per_hour", np.array(prices, dtype=float), tuple(budgets)
    return "gpus", np.ones(len(prices)), tuple(budgets)


def _needed(pool: Pool, figure: str, key: str) -> float:
    field = FIGURES[figure]
    value = getattr(pool, field)
    if value is None:
        raise InputError(
            f"{key}: pool {pool.name!r} has no {field}, nor has its hardware; give fleet.pools.{pool.name}.{field}"
        )
    return float(value)


def _assumptions(found: dict[tuple[int, int], Found]) -> tuple[str, ...]:
    """What the searches took for granted, each once."""
    lines: list[str] = []
    for one in found.values():
        for replica in one.replicas[:1]:
            lines += fallbacks(replica.scenario)
    return tuple(dict.fromkeys(lines))
