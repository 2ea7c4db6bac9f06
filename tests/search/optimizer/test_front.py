"""Fronts and hypervolumes against brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from search.base.errors import InputError
from search.optimizer.front import Objectives, hypervolume_share, non_dominated, pareto_front

small = arrays(float, st.tuples(st.integers(1, 25), st.just(3)), elements=st.integers(0, 5).map(float))


@given(small)
def test_non_dominated_is_what_the_definition_says(costs):
    kept = non_dominated(costs)
    for i, row in enumerate(costs):
        dominated = np.any(np.all(costs <= row, axis=1) & np.any(costs < row, axis=1))
        assert kept[i] == (not dominated)


@given(small)
def test_front_ignores_infeasible_rows(costs):
    feasible = np.arange(len(costs)) % 2 == 0
    front = pareto_front(costs, feasible)
    assert set(front) == set(np.flatnonzero(feasible)[non_dominated(costs[feasible])])


@given(small)
def test_hypervolume_share_is_one_for_the_front_itself_and_monotone(costs):
    exact = costs[non_dominated(costs)]
    assert hypervolume_share(costs, exact) == pytest.approx(1.0)
    assert hypervolume_share(exact[:1], exact) <= 1.0 + 1e-12


def test_hypervolume_by_hand():
    exact = np.array([[0.0, 1.0], [1.0, 0.0]])
    # each covers 1.1 x 0.1, both overlap in 0.1 x 0.1
    assert hypervolume_share(exact[:1], exact) == pytest.approx(0.11 / (2 * 0.11 - 0.01))
    assert hypervolume_share(exact[:0], exact) == 0.0


def test_objectives_name_known_columns():
    with pytest.raises(InputError, match="unknown column 'speed'"):
        Objectives.from_config("objective.columns", {"speed": "max"})
    with pytest.raises(InputError, match="max or min"):
        Objectives.from_config("objective.columns", {"gpus": "less"})
