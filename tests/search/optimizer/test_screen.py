"""What is promised of candidates, against SciPy, and which of them are taken, against a plain loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import RBFInterpolator

from search.optimizer import screen
from search.optimizer.screen import most_promising, predicted

SEEDS = st.integers(0, 10**6)


@given(SEEDS, st.integers(1, 6), st.integers(2, 40))
def test_what_is_linear_is_predicted_to_rounding(seed, features, points):
    rng = np.random.default_rng(seed)
    known = rng.integers(0, 100, (points + features, features)).astype(float)
    slope = rng.normal(size=(features, 3))
    among = rng.dirichlet(np.ones(len(known)), 20) @ known
    assert predicted(known, known @ slope + 1.0, among) == pytest.approx(among @ slope + 1.0, rel=1e-6, abs=1e-6)


@given(SEEDS)
def test_what_is_known_is_predicted_as_it_is(seed):
    rng = np.random.default_rng(seed)
    known = np.unique(rng.integers(0, 9, (30, 3)), axis=0).astype(float)
    values = rng.normal(size=(len(known), 2))
    assert predicted(known, values, known) == pytest.approx(values, abs=1e-6)


def test_beyond_the_trend_it_is_scipys_interpolation(monkeypatch):
    rng = np.random.default_rng(3)
    known, asked = rng.random((60, 4)), rng.random((15, 4))
    known[:2] = [[0.0] * 4, [1.0] * 4]  # the range of each feature is 1
    values = np.stack([np.sin(4.0 * known).sum(axis=1), (known**2).prod(axis=1)], axis=1)
    one = np.ones((60, 1))
    trend = np.linalg.lstsq(np.hstack([known, one]), values, rcond=None)[0]
    left = values - np.hstack([known, one]) @ trend
    for near in (8, 60):
        monkeypatch.setattr(screen, "NEAREST", near)
        other = RBFInterpolator(known, left, neighbors=near, kernel="linear", degree=0)(asked)
        wanted = np.hstack([asked, one[:15]]) @ trend + other
        assert predicted(known, values, asked) == pytest.approx(wanted, abs=1e-6)


@given(SEEDS, st.integers(1, 4), st.integers(0, 12))
def test_those_are_taken_that_nothing_before_them_comes_near(seed, objectives, most):
    rng = np.random.default_rng(seed)
    front, costs = rng.random((5, objectives)), rng.random((10, objectives))
    span = np.ptp(front, axis=0)
    taken = most_promising(costs, front, most).tolist()
    assert len(taken) == len(set(taken)) == min(most, 10)
    there = [tuple(row) for row in front]
    for k, row in enumerate(taken):
        left = [i for i in range(10) if i not in taken[:k]]
        gains = {i: min(max((np.array(one) - costs[i]) / span) for one in there) for i in left}
        assert gains[row] == pytest.approx(max(gains.values()), abs=2e-9)
        there.append(tuple(costs[row]))


def test_ties_by_rounding_go_to_the_first():
    front = np.array([[0.0, 1.0], [1.0, 0.0]])
    costs = np.array([[0.5, 0.5], [0.5, 0.5 - 1e-14]])
    assert most_promising(costs, front, 1).tolist() == [0]
