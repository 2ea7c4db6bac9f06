"""Optuna on the same problem: for each model where it is served and how much of it, cost against served share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import optuna

from costmodel.plans import Array, IntArray
from search.base.progress import track
from search.inputs.schema import StrategyConfig
from search.optimizer.fleet.choices import Choices
from search.optimizer.fleet.problem import Front, Problem
from search.optimizer.front import hypervolume_share, pareto_front
from search.optimizer.sampler import LegalSampler, base_sampler
from search.optimizer.screen import Known
from search.optimizer.study import BATCH_WITHOUT_GENERATIONS, name_metrics, quiet
from search.optimizer.trial_notes import Notes
from search.optimizer.trials import Trials

OWN_FRONT, SAME_KIND = 0.8, 0.1  # chances of a neighbour
EXACT = "exact"  # the strategy without a study


@dataclass(frozen=True)
class FleetStudy:
    """``tried``: distinct fleets; ``share`` of the exact hypervolume that those within pools and budgets reach."""

    study: optuna.Study
    tried: IntArray
    trials: int
    repeats: int
    share: float


class FleetPlaces:
    """Fleets, numbered as they are first met. Of each member a parameter says which pools serve it, another one which
    of the choices there, the last where there are fewer. ``own``: the front of each member's own choices, cost against
    share: while nothing is scarce the best fleets are made of these alone."""

    def __init__(self, problem: Problem) -> None:
        members = self.members = problem.members
        self.runs = [np.flatnonzero(np.diff(m.kind, prepend=-1)) for m in members]  # where each kind begins
        self.lengths = [np.diff(np.append(s, len(m))) for s, m in zip(self.runs, members, strict=True)]
        self.own = [_own_front(m, problem.charges) for m in members]
        self.axes: dict[str, tuple[int, ...]] = {}
        for m, lengths in zip(members, self.lengths, strict=True):
            self.axes[f"{m.name}.where"] = tuple(range(len(lengths)))
            self.axes[f"{m.name}.step"] = tuple(range(int(lengths.max())))
        self.known: list[tuple[int, ...]] = []
        self._number: dict[tuple[int, ...], int] = {}

    def number(self, picks: Sequence[int]) -> int:
        key = tuple(int(p) for p in picks)
        if key not in self._number:
            self._number[key] = len(self.known)
            self.known.append(key)
        return self._number[key]

    def random(self, rng: np.random.Generator) -> int:
        """Of each member nothing, a choice of its own front or what serves it whole there."""
        picks = []
        for own in self.own:
            step = (0, int(rng.integers(len(own))), len(own) - 1)[int(rng.integers(3))]
            picks.append(int(own[step]))
        return self.number(picks)

    def nearest(self, params: dict[str, int], rng: np.random.Generator) -> int:
        """The fleet that the parameters name; a step beyond the last choice of a kind is the last one."""
        picks = []
        for m, starts, lengths in zip(self.members, self.runs, self.lengths, strict=True):
            kind = params[f"{m.name}.where"]
            picks.append(int(starts[kind] + min(params[f"{m.name}.step"], lengths[kind] - 1)))
        return self.number(picks)

    def neighbour(self, place: int, rng: np.random.Generator) -> int:
        """One member has another choice: of its own front, a power of two of steps away from its share or an end of it;
        or of its kind, likewise; or of any kind, one that serves as much as now."""
        picks = list(self.known[place])
        i = int(rng.integers(len(picks)))
        m, starts, lengths, own = self.members[i], self.runs[i], self.lengths[i], self.own[i]
        what = rng.random()
        if what < OWN_FRONT:
            step = int(np.searchsorted(m.share[own], m.share[picks[i]])) + _reach(len(own), rng)
            picks[i] = int(own[np.clip(step, 0, len(own) - 1)])
        elif what < OWN_FRONT + SAME_KIND:
            kind = int(m.kind[picks[i]])
            step = picks[i] - int(starts[kind]) + _reach(int(lengths[kind]), rng)
            picks[i] = int(starts[kind] + np.clip(step, 0, lengths[kind] - 1))
        else:
            kind = int(rng.integers(len(starts)))
            rows = np.arange(starts[kind], starts[kind] + lengths[kind])
            away = np.abs(m.share[rows] - m.share[picks[i]])
            picks[i] = int(rng.choice(rows[away == away.min()]))
        return self.number(picks)

    def features(self, places: IntArray) -> Array:
        """Accelerators of each pool, and the share of each member that is served: costs are sums of these."""
        picks = np.array([self.known[place] for place in places])
        gpus = np.sum([m.gpus[picks[:, i]] for i, m in enumerate(self.members)], axis=0)
        return np.column_stack([gpus, *(m.share[picks[:, i]] for i, m in enumerate(self.members))])

    def neighbours(self, places: IntArray, rng: np.random.Generator) -> IntArray:
        return np.array([self.neighbour(int(place), rng) for place in places], dtype=np.int64)

    def some_of(self, front: IntArray, count: int, rng: np.random.Generator) -> IntArray:
        return front[rng.integers(len(front), size=count)]

    def params(self, place: int) -> dict[str, int]:
        found: dict[str, int] = {}
        for m, starts, pick in zip(self.members, self.runs, self.known[place], strict=True):
            kind = int(m.kind[pick])
            found |= {f"{m.name}.where": kind, f"{m.name}.step": int(pick - starts[kind])}
        return found


def _notes(problem: Problem, names: tuple[str, ...], picks: IntArray) -> list[Notes]:
    """Of each fleet: who has how many accelerators of which pool, and whether it keeps pools and budgets."""
    found: list[Notes] = []
    for row, kept in zip(picks.tolist(), problem.kept(picks).tolist(), strict=True):
        given = [(m, m.gpus[pick].tolist()) for m, pick in zip(problem.members, row, strict=True)]
        each = [f"{m.name} {n} {pool}" for m, gpus in given for n, pool in zip(gpus, names, strict=False) if n]
        found.append({"fleet": ", ".join(each), "feasible": bool(kept)})
    return found


def _reach(length: int, rng: np.random.Generator) -> int:
    """A power of two of steps, either way."""
    return int(rng.choice((-1, 1))) * 2 ** int(rng.integers(length.bit_length()))


def _own_front(member: Choices, charges: Array) -> IntArray:
    """Rows of a member's choices that no other one of it beats in cost and share, ascending; nothing is the first."""
    cost = member.gpus @ charges
    order = np.lexsort((member.gpus.sum(axis=1), -member.share, cost))
    so_far = np.concatenate([[-1.0], np.maximum.accumulate(member.share[order])[:-1]])
    return order[member.share[order] > so_far]


def run_study(
    problem: Problem, names: tuple[str, ...], cost: str, strategy: StrategyConfig, exact: Front, name: str
) -> FleetStudy:
    """``strategy.n_trials`` fleets; pools and budgets (``names``) are constraints. The same seed, the same study."""
    places = FleetPlaces(problem)
    sampler = LegalSampler(base_sampler(strategy.sampler, strategy.seed, strategy.population), places, strategy.seed)
    with quiet():
        study = optuna.create_study(
            study_name=name, directions=["minimize", "maximize"], sampler=sampler, storage=(storage := Trials())
        )
    name_metrics(study, [cost, "served"])
    together = BATCH_WITHOUT_GENERATIONS if strategy.sampler == "tpe" else strategy.population
    for start in track(range(0, strategy.n_trials, together), "Optuna"):
        trials = [storage.ask(study, sampler.space) for _ in range(min(together, strategy.n_trials - start))]
        picks = np.array([places.known[sampler.proposed.pop(t.number)] for t in trials])
        told = np.stack([problem.cost(picks), problem.served(picks)], axis=1).tolist()
        said = _notes(problem, names, picks)
        for trial, values, missed, noted in zip(trials, told, problem.excess(picks).tolist(), said, strict=True):
            storage.tell(study, trial, values, dict(zip(names, missed, strict=True)), noted)
        numbers = np.array(sorted(sampler.seen))
        tried = np.array(places.known)[numbers]
        costs = costs_of(problem, tried)
        front = pareto_front(costs, problem.kept(tried))
        sampler.learn(Known(numbers, costs, problem.excess(tried), front), together)
    tried = np.array(places.known)[sorted(sampler.seen)].reshape(-1, len(problem.members))
    share = share_of(problem, tried, exact)
    return FleetStudy(study, tried, strategy.n_trials, strategy.n_trials - len(tried), share)


def costs_of(problem: Problem, picks: IntArray) -> Array:
    """Both objectives, to be minimised, shape (n, 2)."""
    return np.stack([problem.cost(picks), -problem.served(picks)], axis=1)


def share_of(problem: Problem, tried: IntArray, exact: Front) -> float:
    """Of the hypervolume of the exact front."""
    good = tried[problem.kept(tried)] if len(tried) else tried
    found = costs_of(problem, good) if len(good) else np.zeros((0, 2))
    return hypervolume_share(found, exact_costs(problem, exact))


def exact_costs(problem: Problem, exact: Front) -> Array:
    """Of the exact front and of no fleet at all, which costs and serves nothing: a study may try it."""
    return costs_of(problem, np.concatenate([np.zeros((1, len(problem.members)), dtype=np.int64), exact.picks]))
