"""Brent's method against SciPy's, to the last bit."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from costmodel.serving.brent import root

CURVES = {
    "cubic": lambda a: lambda x: (x - a) ** 3 + 0.1 * (x - a),
    "exponential": lambda a: lambda x: math.expm1(x - a),
    "step": lambda a: lambda x: math.atan(1e6 * (x - a)),
    "wave": lambda a: lambda x: x - a + 0.9 * math.sin(3.0 * (x - a)),
    "nearly flat": lambda a: lambda x: (x - a) ** 9 + 1e-2 * (x - a),
}


@given(
    st.sampled_from(sorted(CURVES)),
    st.floats(-3.0, 3.0),
    st.floats(0.01, 9.0),
    st.floats(0.01, 9.0),
    st.sampled_from([1e-2, 1e-10, 1e-14]),
)
def test_each_root_is_scipys(name, at, below, above, close):
    f = CURVES[name](at)
    assert root(f, at - below, at + above, close) == brentq(f, at - below, at + above, xtol=close)


def test_ends():
    assert root(lambda x: x, 0.0, 2.0, 1e-9) == 0.0 and root(lambda x: x, -1.0, 0.0, 1e-9) == 0.0
    with pytest.raises(ValueError, match="same sign"):
        root(lambda x: x + 5.0, 0.0, 1.0, 1e-9)
