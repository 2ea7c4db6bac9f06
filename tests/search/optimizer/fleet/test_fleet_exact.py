"""The exact front against counting everything, by loops that share nothing with the program but what a replica
carries; the integer programme and the study against the exact front."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.inputs.schema import Config, SpaceConfig, StrategyConfig
from search.optimizer.fleet import exact, milp
from search.optimizer.fleet.choices import choices, lost, stairs
from search.optimizer.fleet.growth import grown
from search.optimizer.fleet.problem import Budget, Problem, complete
from search.optimizer.fleet.replicas import Replica, sizes
from search.optimizer.fleet.study import FleetPlaces, run_study, share_of

NODE = 4


def replica(gpus: int, carried: float) -> Replica:
    nothing = cast(Any, None)
    return Replica("vllm", nothing, gpus, carried, carried, carried, "covered", carried, nothing)


@dataclass(frozen=True)
class Case:
    """``carried[member][pool]``: what a replica carries by its size."""

    counts: list[int]
    prices: list[float]
    carried: list[list[dict[int, float]]]
    wanted: list[float]
    weights: list[float]
    failures: int
    failing: str
    power: tuple[list[float], float] | None

    def problem(self, factor: float = 1.0) -> Problem:
        members = []
        for m, kinds in enumerate(self.carried):
            wanted = factor * self.wanted[m]
            each = [
                stairs(k, [replica(g, c) for g, c in one.items()], wanted, n, self.failures, self.failing, NODE)
                for k, (one, n) in enumerate(zip(kinds, self.counts, strict=True))
            ]
            members.append(choices(f"m{m}", wanted, each, len(self.counts)))
        budgets = () if self.power is None else (Budget("power_w", np.array(self.power[0]), self.power[1]),)
        return Problem(np.array(self.counts), np.array(self.prices), budgets, tuple(members), np.array(self.weights))

    def ways(self, member: int) -> Iterator[tuple[tuple[int, ...], float]]:
        """Accelerators by pool and share of the traffic, of everything that can be deployed for a member."""
        each = []
        for kinds, count in zip(self.carried[member], self.counts, strict=True):
            mine = [(0, 0.0)]
            for size, carried in kinds.items():
                gone = self.failures * (max(NODE // size, 1) if self.failing == "node" else 1)
                mine += [(n * size, max(n - gone, 0) * carried) for n in range(1, count // size + 1)]
            each.append(mine)
        for way in product(*each):
            if sum(gpus > 0 for gpus, _ in way) <= 2:
                yield tuple(g for g, _ in way), min(sum(c for _, c in way) / self.wanted[member], 1.0)

    def front(self) -> list[tuple[float, float]]:
        """Cost and served share of every fleet that no other one beats."""
        gpus, served = np.zeros((1, len(self.counts))), np.zeros(1)
        for m, weight in enumerate(self.weights):
            ways = list(self.ways(m))
            gpus = (gpus[:, None] + np.array([g for g, _ in ways], dtype=float)).reshape(-1, len(self.counts))
            served = (served[:, None] + weight * np.array([share for _, share in ways])).ravel()
        good = np.all(gpus <= self.counts, axis=1)
        if self.power is not None:
            good &= gpus @ np.array(self.power[0]) <= self.power[1]
        costs = gpus[good] @ np.array(self.prices)
        kept: list[tuple[float, float]] = []
        for cost, share in sorted(zip(costs.tolist(), (served[good] / sum(self.weights)).tolist(), strict=True)):
            if kept and share > kept[-1][1] + 1e-9 and cost <= kept[-1][0] + 1e-9:
                kept.pop()  # as dear, but for rounding
            if share > (kept[-1][1] if kept else 0.0) + 1e-9:
                kept.append((cost, share))
        return kept


@st.composite
def cases(draw: st.DrawFn) -> Case:
    pools = draw(st.integers(1, 3))
    members = draw(st.integers(1, 3 if pools == 1 else 2))
    counts = draw(st.lists(st.integers(3, 6), min_size=pools, max_size=pools))
    # Numbers that no two sums of share by accident.
    prices = [draw(st.integers(1, 40)) + 0.37 * k for k in range(pools)]
    sizes_of = st.dictionaries(
        st.sampled_from([1, 2, 4]), st.integers(1, 30).map(lambda x: x / 7.0), min_size=1, max_size=2
    )
    carried = [[draw(sizes_of) for _ in range(pools)] for _ in range(members)]
    wanted = [draw(st.integers(1, 60)) / 9.1 for _ in range(members)]
    weights = [float(draw(st.integers(1, 3))) for _ in range(members)]
    power = ([draw(st.integers(1, 9)) * 100.0 for _ in range(pools)], draw(st.integers(10, 60)) * 100.0)
    return Case(
        counts, prices, carried, wanted, weights,
        draw(st.sampled_from([0, 0, 1])), draw(st.sampled_from(["replica", "replica", "node"])),
        power if draw(st.booleans()) else None,
    )  # fmt: skip


def values(problem: Problem, picks: np.ndarray) -> list[tuple[float, float]]:
    return list(zip(problem.cost(picks).tolist(), problem.served(picks).tolist(), strict=True))


@settings(deadline=None)
@given(cases())
def test_the_front_is_that_of_counting_everything(case: Case) -> None:
    problem = case.problem()
    found = exact.solve(problem)
    assert len(found) == len(case.front())
    if len(found):
        assert np.all(problem.kept(found.picks))
        assert np.allclose(values(problem, found.picks), case.front(), rtol=1e-9, atol=0.0)


@settings(deadline=None, max_examples=40)
@given(cases())
def test_the_integer_programme_finds_the_last_of_the_front(case: Case) -> None:
    front, problem = case.front(), case.problem()
    found = milp.solve(problem)
    assert np.all(problem.kept(found.picks))
    last = front[-1] if front else (0.0, 0.0)
    assert np.allclose(values(problem, found.picks)[-1], last, rtol=1e-6, atol=1e-6)


@settings(deadline=None, max_examples=40)
@given(cases(), st.sampled_from([0.5, 1.0, 2.0]))
def test_growth_costs_what_counting_says(case: Case, factor: float) -> None:
    found = grown(factor, case.problem(factor))
    wanted = [factor * w for w in case.wanted]
    front = Case(**{**vars(case), "wanted": wanted}).front()
    whole = bool(front) and front[-1][1] > 1.0 - 1e-9
    assert (found.cost is not None) == whole
    if found.cost is not None:
        assert found.cost == pytest.approx(front[-1][0])


BIG = Case(
    [40, 24], [6.9, 14.2], [[{1: 1.0, 2: 2.3}, {1: 2.1}], [{2: 0.4, 8: 2.0}, {1: 0.31, 4: 1.6}], [{8: 1.1}, {4: 1.2}]],
    [17.0, 5.0, 3.0], [1.0, 2.0, 1.0], 1, "replica", None,
)  # fmt: skip


def test_a_study_of_the_same_fleet_and_its_share() -> None:
    problem = BIG.problem()
    front = exact.solve(problem)
    strategy = StrategyConfig(sampler="nsga2", n_trials=600, seed=3)
    one, again = (run_study(problem, ("a", "b"), "usd", strategy, front, "fleet") for _ in range(2))
    assert np.array_equal(one.tried, again.tried)
    assert 0.9 < one.share <= 1.0 + 1e-12
    everything = np.array(list(product(*(range(len(m)) for m in problem.members))))
    assert share_of(problem, everything, front) == pytest.approx(1.0, abs=1e-12)
    assert len(one.tried) + one.repeats == one.trials == len(one.study.trials)
    trial = one.study.trials[-1]  # what it names is what it was told
    place = [[trial.params[f"m{m}.where"], trial.params[f"m{m}.step"]] for m in range(3)]
    picks = [np.flatnonzero(c.kind == w)[s] for c, (w, s) in zip(problem.members, place, strict=True)]
    assert trial.values == [problem.cost(np.array([picks]))[0], problem.served(np.array([picks]))[0]]
    random = run_study(problem, ("a", "b"), "usd", StrategyConfig("random", 600, 3), front, "fleet")
    assert random.share < one.share


def test_a_place_is_the_one_that_its_parameters_name() -> None:
    problem, rng = BIG.problem(), np.random.default_rng(5)
    places = FleetPlaces(problem)
    place = places.random(rng)
    for _ in range(300):
        params = places.params(place)
        assert all(params[name] in values for name, values in places.axes.items())
        assert places.nearest(params, rng) == place
        other = places.neighbour(place, rng)
        changed = [a != b for a, b in zip(places.known[place], places.known[other], strict=True)]
        assert sum(changed) <= 1
        place = other
    assert len(places.known) > 100


def test_two_kinds_of_a_thousand_accelerators_are_exact_in_seconds() -> None:
    """As many accelerators and models as conf/fleet/two_kinds_1024.yaml has, and the integer programme agrees."""
    kinds = [{1: 10.2, 2: 19.8}, {8: 2.9, 16: 5.7}, {1: 0.7, 2: 1.5, 8: 3.6}, {1: 6.5}, {4: 1.8, 8: 3.2}]
    other = [{1: 4.9, 2: 10.9}, {8: 3.8}, {1: 0.3, 2: 0.65}, {1: 1.6, 2: 5.0, 4: 9.8}, {4: 3.0}]
    wanted = [900.0, 120.0, 40.0, 250.0, 100.0]
    carried = [list(pair) for pair in zip(kinds, other, strict=True)]
    case = Case([1024, 1024], [7.9, 14.2], carried, wanted, [1.0] * 5, 1, "node", None)
    problem = case.problem()
    assert exact.fits(problem)
    picks = exact.solve(problem).picks[-1:]
    assert complete(problem, picks[0].tolist())
    assert problem.cost(picks)[0] == pytest.approx(problem.cost(milp.solve(problem).picks)[0])


@settings(deadline=None)
@given(st.sampled_from([4, 8, 72]), st.integers(4, 200), st.data())
def test_what_fits_by_its_number_fits_in_nodes(node: int, count: int, data: st.DataObject) -> None:
    gpus = {4: [1, 2, 3, 4, 8, 16], 8: [1, 2, 4, 6, 8, 16], 72: [1, 2, 4, 8, 16, 72]}[node]
    config = Config(space=SpaceConfig(gpus=gpus, tp=1, batch=1))
    kept, left_out = sizes(config, node, count)
    assert set(kept) | set(left_out) == set(config.space.gpus)
    wanted: list[int] = []
    while len(wanted) < 100:
        fits = [g for g in kept if sum(wanted) + g <= count]
        if not fits:
            break
        wanted.append(data.draw(st.sampled_from(fits)))
    room = [node] * (count // node) + ([count % node] if count % node else [])
    for size in sorted(wanted, reverse=True):  # the largest first, into the first node with room
        if size >= node:
            empty = [i for i, free in enumerate(room) if free == node][: size // node]
            assert len(empty) == size // node
            for i in empty:
                room[i] = 0
        else:
            room[next(i for i, free in enumerate(room) if free >= size)] -= size


def test_what_a_failure_takes() -> None:
    assert lost(2, 1, "replica", 8) == 1
    assert lost(2, 1, "node", 8) == 4
    assert lost(16, 2, "node", 8) == 2
