"""Optuna samplers that propose legal plans only.

About one point in twenty of the free product of the axes is a legal plan. So every sampler is wrapped: what it
proposes is moved to the nearest legal layout (distance in places along the axes), and the trial's parameters are that
plan's own. The sampler learns from the plan that was scored, not from the one it dreamt of.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from costmodel.plans import Array, IntArray
from search.base.errors import InputError
from search.optimizer.distributions import distribution
from search.optimizer.legal import Legal
from search.optimizer.screen import Known, most_promising, predicted
from search.optimizer.space import ORDER, Space

# Most proposals search near the front found so far (a memetic step, Ishibuchi and Murata, IEEE TSMC-C 1998), each the
# most promising of some candidates (``search.optimizer.screen``). docs/adr/0003 has what either gains.
LOCAL = 0.8
CANDIDATES = 10
NEARLY_KEPT = 0.02  # a predicted excess: limits are where the front is
NEAR_LAYOUTS = 8
SAME_LAYOUT = 0.7
ASIDE = 8  # neighbours of a plan that was already proposed, one of which is taken instead

SAMPLERS = ("nsga2", "nsga3", "tpe", "random", "exact")


class Places(Protocol):
    """What may be proposed, numbered: ``axes`` names the parameters and their values."""

    @property
    def axes(self) -> Mapping[str, tuple[int, ...]]: ...

    def random(self, rng: np.random.Generator) -> int:
        """Any place."""

    def nearest(self, params: dict[str, int], rng: np.random.Generator) -> int:
        """The place nearest to a point of the axes."""

    def neighbours(self, places: IntArray, rng: np.random.Generator) -> IntArray:
        """A place near each."""

    def some_of(self, front: IntArray, count: int, rng: np.random.Generator) -> IntArray:
        """So many of the best so far, to search around."""

    def params(self, place: int) -> dict[str, int]:
        """The point of the axes at a place."""

    def features(self, places: IntArray) -> Array:
        """In which costs are smooth, shape (places, features)."""


class LegalPlaces:
    """The legal plans arranged for projection: layouts (all axes but batch), each with its run of legal batches."""

    def __init__(self, space: Space, legal: Legal) -> None:
        self.axes = {name: space.axes[name] for name in ORDER}
        self.start = legal.starts
        self.stop = np.concatenate([self.start[1:], [len(legal)]])
        self.layouts = space.coordinates(legal.index[self.start])[:-1].T
        self.batch = legal.index % len(space.axes["batch"])
        self.position = {name: {v: i for i, v in enumerate(values)} for name, values in self.axes.items()}

    def layout_of(self, place: Any) -> Any:
        """The layout (row of ``layouts``) of legal plans."""
        return np.searchsorted(self.start, place, side="right") - 1

    def random(self, rng: np.random.Generator) -> int:
        """A legal plan: a layout uniformly, then one of its batches."""
        layout = int(rng.integers(len(self.start)))
        return int(rng.integers(self.start[layout], self.stop[layout]))

    def nearest(self, params: dict[str, int], rng: np.random.Generator) -> int:
        """The legal plan nearest to a point of the space; ties are drawn."""
        wanted = np.array([self.position[name][params[name]] for name in ORDER])
        distance = np.abs(self.layouts - wanted[:-1]).sum(axis=1)
        layout = int(rng.choice(np.flatnonzero(distance == distance.min())))
        start, stop = int(self.start[layout]), int(self.stop[layout])
        batches = self.batch[start:stop]
        return start + int(np.abs(batches - wanted[-1]).argmin())

    def neighbours(self, places: IntArray, rng: np.random.Generator) -> IntArray:
        """A legal plan near each: another batch of its layout, a power of two of places away, or the same batch in one
        of the nearest layouts."""
        layout = self.layout_of(places)
        length = self.stop[layout] - self.start[layout]
        reach = 2 ** rng.integers(np.frexp(length)[1]) * rng.choice((-1, 1), len(places))
        found = np.clip(places + reach, self.start[layout], self.stop[layout] - 1)
        away = np.flatnonzero((rng.random(len(places)) >= SAME_LAYOUT) | (length == 1))
        if len(self.layouts) > 1:
            found[away] = self._elsewhere(places[away], layout[away], rng)
        return found

    def _elsewhere(self, places: IntArray, layout: IntArray, rng: np.random.Generator) -> IntArray:
        """The batch of each nearest to its own, in one of the layouts nearest to its own; ties are drawn."""
        near = min(NEAR_LAYOUTS, len(self.layouts) - 1)
        ties, which = rng.random(len(self.layouts)), rng.integers(near, size=len(places))
        found = []
        for place, own, nth in zip(places, layout, which, strict=True):
            distance = np.abs(self.layouts - self.layouts[own]).sum(axis=1) + ties
            distance[own] = np.inf
            other = np.argpartition(distance, near - 1)[:near][nth]
            start, stop = self.start[other], self.stop[other]
            found.append(start + np.abs(self.batch[start:stop] - self.batch[place]).argmin())
        return np.array(found, dtype=np.int64)

    def params(self, place: int) -> dict[str, int]:
        """The parameters of the legal plan at ``place``."""
        layout = int(self.layout_of(place))
        places = [*self.layouts[layout], self.batch[place]]
        return {name: self.axes[name][int(i)] for name, i in zip(ORDER, places, strict=True)}

    def features(self, places: IntArray) -> Array:
        """Doublings of the degrees and of the batch."""
        layouts = self.layouts[self.layout_of(places)]
        rows = [*layouts.T, self.batch[places]]
        return np.log2([np.asarray(self.axes[name])[row] for name, row in zip(ORDER, rows, strict=True)]).T

    def some_of(self, front: IntArray, count: int, rng: np.random.Generator) -> IntArray:
        """Of each a layout uniformly, then one of its plans."""
        front = np.sort(front)
        first = np.flatnonzero(np.diff(self.layout_of(front), prepend=-1))
        length = np.diff(first, append=len(front))
        which = rng.integers(len(first), size=count)
        return front[first[which] + rng.integers(length[which])]


class LegalSampler(BaseSampler):
    """Wraps ``base``; the first generation and parameters that ``base`` leaves open are drawn among the legal.
    ``local``: share of the proposals that search near the front, once something is on it."""

    def __init__(self, base: BaseSampler | None, places: Places, seed: int, local: float = LOCAL) -> None:
        self.base = base
        self.local = local if base else 0.0
        self.places = places
        self.rng = np.random.default_rng(seed)
        self.space = {name: distribution(values) for name, values in places.axes.items()}
        self.seen: set[int] = set()
        self.proposed: dict[int, int] = {}  # trial number -> place among the legal
        self._near: list[int] = []  # to propose next near the front, the best last

    def learn(self, known: Known, together: int) -> None:
        """``together`` more are proposed before there is more to learn."""
        self._near = []
        if self.local == 0.0 or not len(known.front):
            return
        asked = self._candidates(known.places[known.front], CANDIDATES * together)
        if not asked:
            return
        finite = np.flatnonzero(np.isfinite(known.costs).all(axis=1))
        values = np.concatenate([known.costs, np.clip(known.excess, -1.0, 1.0)], axis=1)[finite]
        features = self.places.features
        costs, excess = np.split(
            predicted(features(known.places[finite]), values, features(np.array(asked))), [known.costs.shape[1]], axis=1
        )
        hopeful = np.flatnonzero(np.all(excess <= NEARLY_KEPT, axis=1))
        best = hopeful[most_promising(costs[hopeful], known.costs[known.front], together)]
        self._near = [asked[row] for row in best[::-1]]

    def _candidates(self, front: IntArray, count: int) -> list[int]:
        """Neighbours of the front that were not proposed yet."""
        found = self.places.neighbours(self.places.some_of(front, count, self.rng), self.rng)
        return [place for place in dict.fromkeys(found.tolist()) if place not in self.seen]

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self.space

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        wanted = self.base.sample_relative(study, trial, search_space) if self.base else {}
        if wanted and self._near and self.rng.random() < self.local:
            place = self._near.pop()
        elif wanted:
            missing = {n: int(self.rng.choice(v)) for n, v in self.places.axes.items() if n not in wanted}
            place = self.places.nearest(wanted | missing, self.rng)
        else:
            place = self.places.random(self.rng)
        if self.base and place in self.seen:
            near = self.places.neighbours(np.full(ASIDE, place), self.rng).tolist()
            place = next((other for other in near if other not in self.seen), near[-1])
        self.seen.add(place)
        self.proposed[trial.number] = place
        return self.places.params(place)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        raise AssertionError(f"{param_name} was not sampled with the others")  # pragma: no cover

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        if self.base:
            self.base.before_trial(study, trial)

    def after_trial(self, study: optuna.Study, trial: FrozenTrial, state: Any, values: Any) -> None:
        if self.base:
            self.base.after_trial(study, trial, state, values)


class _Generations:
    """Optuna goes through all trials to find out the generation of each new one, and its parents. Both follow from the
    finished trials alone, so those that are asked together share them; a study takes a quarter less time."""

    _generation: int | None = None  # of new trials; unknown since the last one was told
    _selected = -1  # the generation whose parents were selected last
    _parents: tuple[int, list[FrozenTrial]] = -1, []  # of which generation

    def get_trial_generation(self, study: optuna.Study, trial: FrozenTrial) -> int:
        """As ``BaseGASampler`` has it, and stored in the trial likewise."""
        key: str = self._get_generation_key()  # type: ignore[attr-defined]
        if key in trial.system_attrs:
            return int(trial.system_attrs[key])
        if self._generation is None:
            self._generation = int(super().get_trial_generation(study, trial))  # type: ignore[misc]
        else:
            study._storage.set_trial_system_attr(trial._trial_id, key, self._generation)
        return self._generation

    def get_parent_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        """As ``BaseGASampler`` has it: the selection itself is in another order than what it says from then on."""
        if self._parents[0] == generation:
            return self._parents[1]
        found: list[FrozenTrial] = super().get_parent_population(study, generation)  # type: ignore[misc]
        if self._selected == generation:
            self._parents = generation, found
        self._selected = generation
        return found

    def after_trial(self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        self._generation = None
        super().after_trial(study, trial, state, values)  # type: ignore[misc]


class NSGAIISampler(_Generations, optuna.samplers.NSGAIISampler):
    """Optuna's, by the same name: it is in the keys of a study."""


class NSGAIIISampler(_Generations, optuna.samplers.NSGAIIISampler):
    """Likewise."""


def base_sampler(name: str, seed: int, population: int) -> BaseSampler | None:
    """The named Optuna sampler; ``None`` for ``random``, which draws among the legal plans directly."""
    if name == "nsga2":
        return NSGAIISampler(population_size=population, seed=seed)
    if name == "nsga3":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return NSGAIIISampler(population_size=population, seed=seed)
    if name == "tpe":
        return optuna.samplers.TPESampler(multivariate=True, seed=seed, n_startup_trials=population)
    if name == "random":
        return None
    raise _unknown(name)


def check_sampler(name: str) -> None:
    """``InputError`` unless there is such a sampler."""
    if name not in SAMPLERS:
        raise _unknown(name)


def _unknown(name: str) -> InputError:
    return InputError(f"strategy.sampler: {name!r} is not allowed; give one of {', '.join(SAMPLERS)}")
