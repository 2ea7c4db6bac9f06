"""Problems with their exact fronts, for ``sampler_table.py``: what a sampler may propose, and what it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.columns import column
from costmodel.evaluate import evaluate
from search.base.paths import conf_dir
from search.inputs.compose import composed
from search.inputs.config import read_model, read_scenario
from search.inputs.fleet.read import read_fleet
from search.optimizer.fleet.run import run_fleet
from search.optimizer.fleet.study import FleetPlaces, costs_of, exact_costs
from search.optimizer.front import Objectives, pareto_front
from search.optimizer.legal import legal_plans
from search.optimizer.recommend import Policy
from search.optimizer.rules.facts import facts_of
from search.optimizer.sampler import LegalPlaces, Places
from search.optimizer.space import Space
from search.optimizer.split.asked import Asked, asked_of
from search.optimizer.split.merge import ratios
from search.optimizer.split.pools import decode_pool, prefill_pool
from search.optimizer.split.search import costs_of as split_costs
from search.optimizer.split.search import scored, search_split

RATIOS = 8  # steps of the parameter that says how a split deployment is shared out


@dataclass(frozen=True)
class Task:
    """``places`` of a fresh study; ``told`` of places: costs, all to be minimised, and by constraint how far it is
    exceeded, at most 0 where it is kept. ``exact``: costs of the exact front."""

    name: str
    size: str
    places: Callable[[], Places]
    told: Callable[[Places, Sequence[int]], tuple[np.ndarray, Mapping[str, np.ndarray]]]
    exact: np.ndarray


def plain(name: str, overrides: Sequence[str]) -> Task:
    """The plans of one engine."""
    config = composed(overrides)
    scenario = read_scenario(config, read_model(config.model).architecture)
    space = Space.from_config(vars(config.space))
    objectives = Objectives.from_config("objective.columns", config.objective.columns)
    legal = legal_plans(space, facts_of(scenario), config.engine.name)
    scores = evaluate(scenario, legal.plans)
    costs = objectives.costs(legal.plans, scores)
    front = pareto_front(costs, scores.feasible)
    sized = f"{len(legal):,} legal plans, {int(scores.feasible.sum()):,} feasible, {len(front):,} on the front"

    def told(_: Places, rows: Sequence[int]) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
        return costs[rows], dict(zip(scores.limits, scores.violations[:, rows], strict=True))

    return Task(name, sized, lambda: LegalPlaces(space, legal), told, costs[front])


def fleet(name: str, overrides: Sequence[str]) -> Task:
    """Several models on several kinds of accelerators."""
    found = run_fleet(read_fleet([*overrides, "strategy=exact"]))
    problem = found.problem
    many = float(np.prod([float(len(m)) for m in problem.members]))
    names = [*(p.name for p in found.fleet.pools), *(b.name for b in problem.budgets)]

    def told(places: Any, rows: Sequence[int]) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
        picks = np.array([places.known[row] for row in rows])
        return costs_of(problem, picks), dict(zip(names, problem.excess(picks).T, strict=True))

    sized = f"{many:.2g} fleets, {len(found.front):,} on the front"
    return Task(name, sized, lambda: FleetPlaces(problem), told, exact_costs(problem, found.front))


def split(name: str, overrides: Sequence[str]) -> Task:
    """Prefill and decode on pools of their own."""
    config = composed(overrides)
    scenario = read_scenario(config, read_model(config.model).architecture)
    space = Space.from_config(vars(config.space))
    objectives = Objectives.from_config("objective.columns", config.objective.columns)
    policy = Policy.from_config(config.objective.recommend, config.objective.ties)
    asked = asked_of(config, space)
    assert asked is not None
    found = search_split(scenario, space, asked, objectives, policy)
    p, d = prefill_pool(scenario, space, asked), decode_pool(scenario, space, asked)

    def told(places: Any, rows: Sequence[int]) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
        costs = np.zeros((len(rows), len(objectives.names)))
        over = {limit: np.zeros(len(rows)) for limit in ("ttft", "tpot")}
        known = np.array([places.known[row] for row in rows])
        for total in np.unique(known[:, 2]):
            at = np.flatnonzero(known[:, 2] == total)
            one = scored(scenario, p, d, asked, int(total), *known[at][:, [0, 1, 3, 4]].T)
            costs[at] = split_costs(one, objectives)
            limits = scenario.limits
            for limit, value, most in (
                ("ttft", one.figures.ttft_s, limits.ttft_s), ("tpot", one.figures.tpot_s, limits.tpot_s),
            ):  # fmt: skip
                over[limit][at] = value / most - 1.0 if most is not None else 0.0
        return costs, over

    places = SplitPlaces(p, d, asked)
    sized = f"{len(p):,} x {len(d):,} instances, {len(found.front):,} on the front"
    exact = split_costs(found.front, objectives)
    return Task(name, sized, lambda: SplitPlaces(p, d, asked, places.sizes), told, exact)


class SplitPlaces:
    """Joint plans (row of the prefill pool, row of the decode pool, accelerators, instances of each), numbered as they
    are first met. Each pool's layout, its working point, the total and the ratio are parameters."""

    def __init__(self, p: Any, d: Any, asked: Asked, sizes: Mapping[tuple[int, int], Any] | None = None) -> None:
        self.pools = (p, d)
        own = {
            "prefill": {**_degrees(p, ("gpus", "tp", "ep", "pp", "sp")), "tokens": p.budget, "used": p.used},
            "decode": _degrees(d, ("gpus", "tp", "ep", "pp", "batch")),
        }
        self.columns: list[dict[str, np.ndarray]] = []  # position of each row's value
        self.axes: dict[str, tuple[int, ...]] = {}
        for pool, columns in own.items():
            at = {f"{pool}.{name}": np.unique(values, return_inverse=True)[1] for name, values in columns.items()}
            at = {name: where for name, where in at.items() if where.max() > 0}
            self.columns.append(at)
            self.axes |= {name: tuple(range(int(where.max()) + 1)) for name, where in at.items()}
        self.totals = asked.totals
        self.axes |= {"total": tuple(range(len(asked.totals))), "ratio": tuple(range(RATIOS))}
        self.sizes = sizes or {
            (n, m): {t: found for t in asked.totals if (found := list(ratios(t, n, m)))}
            for n in np.unique(p.plans.gpus).tolist()
            for m in np.unique(d.plans.gpus).tolist()
        }
        self.known: list[tuple[int, ...]] = []
        self._number: dict[tuple[int, ...], int] = {}

    def _place(self, a: int, b: int, total: int, ratio: float) -> int:
        """The joint plan of two rows that can meet, nearest to a total and a ratio (0 to 1)."""
        there = self.sizes[int(self.pools[0].plans.gpus[a]), int(self.pools[1].plans.gpus[b])]
        best = min(there, key=lambda t: abs(self.totals.index(t) - total))
        x, y = there[best][round(ratio * (len(there[best]) - 1))]
        key = (a, b, best, x, y)
        if key not in self._number:
            self._number[key] = len(self.known)
            self.known.append(key)
        return self._number[key]

    def _meets(self, a: int) -> np.ndarray:
        """Rows of the decode pool that can stand beside a row of the prefill pool."""
        n = int(self.pools[0].plans.gpus[a])
        good = [m for (k, m), there in self.sizes.items() if k == n and there]
        return np.flatnonzero(np.isin(self.pools[1].plans.gpus, good))

    def random(self, rng: np.random.Generator) -> int:
        while True:
            a = int(rng.integers(len(self.pools[0])))
            rows = self._meets(a)
            if len(rows):
                return self._place(a, int(rng.choice(rows)), int(rng.integers(len(self.totals))), float(rng.random()))

    def nearest(self, params: dict[str, int], rng: np.random.Generator) -> int:
        away = [sum(np.abs(where - params[name]) for name, where in at.items()) for at in self.columns]
        for a in np.argsort(away[0] + rng.random(len(away[0])) * 0.5):
            rows = self._meets(int(a))
            if len(rows):
                b = int(rows[np.argmin(away[1][rows] + rng.random(len(rows)) * 0.5)])
                return self._place(int(a), b, params["total"], params["ratio"] / (RATIOS - 1))
        raise AssertionError("no two instances can meet")

    def neighbour(self, place: int, rng: np.random.Generator) -> int:
        """One of the nearest instances of either pool, or another ratio."""
        a, b, *_ = self.known[place]
        params = self.params(place)
        what = int(rng.integers(3))
        if what == 2:
            return self._place(a, b, int(rng.integers(len(self.totals))), float(rng.random()))
        at = self.columns[what]
        away = sum(np.abs(where - params[name]) for name, where in at.items())
        near = np.argsort(away + rng.random(len(away)) * 0.5)[1:25]
        row = int(rng.choice(near))
        pair = (row, b) if what == 0 else (a, row)
        sizes = int(self.pools[0].plans.gpus[pair[0]]), int(self.pools[1].plans.gpus[pair[1]])
        if not self.sizes[sizes]:
            return place
        return self._place(*pair, params["total"], params["ratio"] / (RATIOS - 1))

    def features(self, places: np.ndarray) -> np.ndarray:
        return np.array([list(self.params(int(place)).values()) for place in places], dtype=float)

    def neighbours(self, places: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return np.array([self.neighbour(int(place), rng) for place in places], dtype=np.int64)

    def some_of(self, front: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        return front[rng.integers(len(front), size=count)]

    def params(self, place: int) -> dict[str, int]:
        a, b, total, x, y = self.known[place]
        found = {
            name: int(where[row]) for at, row in zip(self.columns, (a, b), strict=True) for name, where in at.items()
        }
        there = self.sizes[int(self.pools[0].plans.gpus[a]), int(self.pools[1].plans.gpus[b])][total]
        share = there.index((x, y)) / max(len(there) - 1, 1)
        return found | {"total": self.totals.index(total), "ratio": round(share * (RATIOS - 1))}


def _degrees(pool: Any, names: Sequence[str]) -> dict[str, np.ndarray]:
    return {name: column(name, pool.plans, pool.plans) for name in names}


def _shipped(name: str) -> Callable[[], Task]:
    return lambda: plain(name, [f"+experiment={name}"])


TASKS: dict[str, Callable[[], Task]] = {
    "worked case": lambda: plain("worked case", ["+experiment=qwen3_235b", "space=fine_batch"]),
    "deepseek_r1_h200": _shipped("deepseek_r1_h200"),
    "split": lambda: split(
        "split", ["+experiment=deepseek_r1_h200", "engine=sglang", "space.serving=[aggregated,split]"]
    ),
    "three_models": lambda: fleet("three_models", ["+fleet=three_models"]),
    "two_kinds_1024": lambda: fleet("two_kinds_1024", ["+fleet=two_kinds_1024"]),
}
COMPARED = tuple(TASKS)  # by every sampler
TASKS |= {name: _shipped(name) for name in sorted(path.stem for path in (conf_dir() / "experiment").glob("*.yaml"))}
