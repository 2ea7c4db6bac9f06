"""What the table says is dominated is dominated; what a member is, is not."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from search.optimizer.full import grid as module
from search.optimizer.full.grid import Grid


@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(0, 60))
def test_it_never_says_too_much(seed, columns, members):
    rng = np.random.default_rng(seed)
    costs = np.round(rng.normal(size=(members, columns)), 1)
    points = np.concatenate([np.round(rng.normal(size=(80, columns)), 1) + 0.3, costs])
    said = Grid(costs).dominates(points)
    truly = np.array([np.any(np.all(costs <= p, axis=1) & np.any(costs < p, axis=1)) for p in points], dtype=bool)
    assert not np.any(said & ~truly)


def test_coarse_levels_still_find_what_is_far_behind(monkeypatch):
    monkeypatch.setattr(module, "CELLS", 64)
    costs = np.random.default_rng(1).random((500, 4))
    assert np.all(Grid(costs).dominates(costs + 1.0))
    assert not np.any(Grid(costs).dominates(costs - 1.0))
