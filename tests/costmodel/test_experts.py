"""How many experts a pass touches, and what kernels do with those that it does not."""

import numpy as np
import pytest
from cost_strategies import CHECKS
from hypothesis import given
from hypothesis import strategies as st

from costmodel.formats import weight_format
from costmodel.layout import Layout, Routing
from costmodel.lengths import FixedLengths
from costmodel.operations import GroupedGemm
from costmodel.step import Step

EXPERTS, TOP_K = 128, 8


def groups(tokens: float, routing: Routing) -> float:
    one = np.ones(1)
    layout = Layout(one, one, one, one, one, one, one, one, routing)
    step = Step(tokens * one, 0.0 * one, tokens * one, 0.0 * one, tokens * one, FixedLengths(16, 16), layout)
    op = GroupedGemm("experts.up", weight_format("fp8"), EXPERTS, TOP_K, float(EXPERTS), 4096.0, 3072.0)
    return float(op.work(step).groups[0])


@pytest.mark.parametrize("tokens", [1, 4, 16, 64, 512])
@pytest.mark.parametrize("skew", [0.3, 0.89, 3.0])
def test_skewed_popularity_against_drawing_it(tokens: int, skew: float) -> None:
    """Experts with gamma distributed popularity, tokens choosing by it: the mean number that is hit."""
    rng = np.random.default_rng(0)
    popularity = rng.gamma(1 / skew, skew, size=(4000, EXPERTS))
    hit = rng.poisson(popularity * tokens * TOP_K / EXPERTS) > 0
    assert groups(tokens, Routing(skew=skew)) == pytest.approx(hit.sum(axis=1).mean(), rel=0.02)


@CHECKS
@given(st.floats(1, 1e5), st.floats(0.01, 10))
def test_unevenness_touches_fewer(tokens: float, skew: float) -> None:
    even, uneven = groups(tokens, Routing()), groups(tokens, Routing(skew=skew))
    assert 0 < uneven <= even * (1 + 0.05) and even <= EXPERTS
    assert groups(2 * tokens, Routing(skew=skew)) >= uneven


def test_small_skew_is_independent_choice() -> None:
    """1 - exp(-k T / E), which 1 - (1 - k / E)^T tends to for many experts."""
    expected = EXPERTS * (1 - np.exp(-TOP_K * 16 / EXPERTS))
    assert groups(16, Routing(skew=1e-6)) == pytest.approx(expected, rel=1e-4)
    assert groups(16, Routing()) == pytest.approx(expected, rel=0.03)


def test_a_contiguous_layout_touches_every_local_expert_once_there_is_work() -> None:
    assert groups(1, Routing(tile_rows=128)) == EXPERTS
    assert groups(0, Routing(tile_rows=128)) == 0
