"""Lengths have the mean that was asked for, arrivals the rate and the variation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.serving.traffic import Length, arrivals

SIZE = 200_000


@given(
    low=st.integers(1, 200), factor=st.floats(1.5, 200.0), place=st.floats(0.15, 0.6), spread=st.floats(0.1, 1.5),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_a_lognormal_keeps_its_bounds_and_its_mean(low: int, factor: float, place: float, spread: float) -> None:
    high = low * factor + 20
    mean = low + place * (high - low)
    try:
        drawn = Length("lognormal", mean, low, high, spread).draw(SIZE, np.random.default_rng(0))
    except ValueError:
        return  # so narrow a spread has no such mean between such bounds
    assert drawn.min() >= low - 0.5 and drawn.max() <= high + 0.5
    assert drawn.mean() == pytest.approx(mean, rel=0.02, abs=0.6)


def test_without_bounds_a_lognormal_is_the_textbook_one() -> None:
    """Median mean / exp(s^2 / 2)."""
    drawn = Length("lognormal", 2048, spread=0.8).draw(SIZE, np.random.default_rng(0))
    assert np.median(drawn) == pytest.approx(2048 / np.exp(0.32), rel=0.01)
    assert np.log(drawn).std() == pytest.approx(0.8, rel=0.01)


def test_uniform_and_fixed() -> None:
    rng = np.random.default_rng(0)
    drawn = Length("uniform", 75, 50, 100).draw(SIZE, rng)
    assert (drawn.min(), drawn.max()) == (50, 100) and drawn.mean() == pytest.approx(75, rel=0.01)
    assert set(Length("fixed", 75).draw(10, rng)) == {75}


def test_a_histogram_has_its_shares() -> None:
    length = Length("histogram", 0, edges=(1, 2, 11, 111), shares=(0.25, 0.5, 0.25))
    drawn = length.draw(SIZE, np.random.default_rng(0))
    assert [np.mean(drawn == 1), np.mean(drawn < 11), drawn.min(), drawn.max()] == pytest.approx(
        [0.25, 0.75, 1, 110], abs=0.005
    )
    even = length.quantiles(4000)
    assert np.all(np.diff(even) >= 0) and even.mean() == pytest.approx(0.25 + 0.5 * 6.0 + 0.25 * 60.5, rel=0.01)
    assert np.bincount(drawn)[2:11] == pytest.approx(SIZE / 18, rel=0.05), "evenly in between"


@pytest.mark.parametrize(("kind", "cv", "found"), [("constant", 1.0, 0.0), ("poisson", 3.0, 1.0), ("gamma", 3.0, 3.0)])
def test_arrivals_have_their_rate_and_variation(kind: str, cv: float, found: float) -> None:
    """The coefficient of variation counts for gamma alone."""
    at = arrivals(kind, 12.0, cv, SIZE, np.random.default_rng(0))
    gaps = np.diff(at)
    assert at[0] == 0.0 and np.all(gaps >= 0)
    assert gaps.mean() == pytest.approx(1 / 12.0, rel=0.03)
    assert gaps.std() / gaps.mean() == pytest.approx(found, abs=0.05)
