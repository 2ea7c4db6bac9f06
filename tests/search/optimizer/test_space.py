"""Axes and indices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.base.errors import InputError
from search.optimizer.space import ORDER, Space, axis_values


def test_lists_numbers_and_ranges():
    assert axis_values("space.tp", [8, 1, 4]) == (1, 4, 8)
    assert axis_values("space.tp", 4) == (4,)
    assert axis_values("space.batch", {"start": 8, "stop": 32, "step": 8}) == (8, 16, 24, 32)
    assert axis_values("space.batch", "8:32:8") == (8, 16, 24, 32)
    assert axis_values("space.batch", ["8:24:8", 100, "200:800:x2"]) == (8, 16, 24, 100, 200, 400, 800)
    assert axis_values("space.tp", {"start": 1, "stop": 20, "factor": 2}) == (1, 2, 4, 8, 16)


@pytest.mark.parametrize(
    "value",
    [
        [], 0, -1, 1.5, True, [1, 1], [1, None], None,
        "4", "8:4:1", "1:2", "1:8:x1", "a:b:c",
        {"start": 1}, {"start": 1, "stop": 2, "step": 0}, {"start": 1, "stop": 2, "factor": 1},
        {"start": 3, "stop": 2, "step": 1},
    ],
)  # fmt: skip
def test_bad_axes_name_the_key(value):
    with pytest.raises(InputError, match="space.tp"):
        axis_values("space.tp", value)


axes = st.fixed_dictionaries({a: st.sets(st.integers(1, 40), min_size=1, max_size=4) for a in ORDER})


@given(axes)
def test_index_and_coordinates_are_inverse_and_batch_is_fastest(values):
    space = Space({a: tuple(sorted(v)) for a, v in values.items()})
    index = np.arange(space.size)
    assert np.array_equal(space.index(space.coordinates(index)), index)
    plans = space.plans(index)
    assert len({tuple(plans.row(i).values()) for i in index}) == space.size
    assert plans.batch[: len(space.axes["batch"])].tolist() == list(space.axes["batch"])
