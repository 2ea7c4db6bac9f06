"""Money and energy of an output token: by hand, and as properties of the whole evaluation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worked_case import refined, worked_case

from costmodel.cost import joules_per_output_token, usd_per_million_output_tokens
from costmodel.evaluate import evaluate
from costmodel.scores import COSTS, concatenate

SCENARIO = worked_case()
PRICED = replace(SCENARIO.accelerator, price_per_hour=3.6, power_w=700.0)


def test_by_hand() -> None:
    """3.60 USD an hour is 0.001 a second; at 1,000 tokens/s a token costs 1e-6 USD, a million of them 1 USD; 700 W at
    1,000 tokens/s are 0.7 J a token."""
    speed = np.array([1000.0, 500.0])
    np.testing.assert_allclose(usd_per_million_output_tokens(PRICED, speed), [1.0, 2.0])
    np.testing.assert_allclose(joules_per_output_token(PRICED, speed), [0.7, 1.4])


def test_unknown_price_and_power_are_unknown_figures() -> None:
    assert SCENARIO.accelerator.price_per_hour is None
    scores = evaluate(SCENARIO, refined())
    assert scores.costs == ()
    assert all(getattr(scores, name) is None for name in COSTS)
    assert scores.take(np.array([0])).costs == concatenate([scores, scores]).costs == ()


@pytest.mark.parametrize(("figure", "field"), list(COSTS.items()))
def test_each_figure_needs_its_own_field_alone(figure: str, field: str) -> None:
    device = replace(SCENARIO.accelerator, **{field: 2.0})
    scores = evaluate(replace(SCENARIO, accelerator=device), refined())
    assert scores.costs == (figure,)
    assert concatenate([scores, scores.take(slice(0, 1))]).costs == (figure,)
    assert len(getattr(concatenate([scores, scores]), figure)) == 2


@given(price=st.floats(1e-3, 1e3), power=st.floats(1.0, 1e4))
def test_the_bill_of_an_hour_and_the_power_of_a_second(price: float, power: float) -> None:
    """What the tokens of an hour cost is the price of all accelerators; what those of a second take is their power."""
    device = replace(SCENARIO.accelerator, price_per_hour=price, power_w=power)
    plans = refined()
    scores = evaluate(replace(SCENARIO, accelerator=device), plans)
    assert scores.usd_per_million_output_tokens is not None
    assert scores.joules_per_output_token is not None
    tokens = scores.output_tokens_per_s
    np.testing.assert_allclose(scores.usd_per_million_output_tokens * tokens * 3600 / 1e6, price * plans.gpus)
    np.testing.assert_allclose(scores.joules_per_output_token * tokens, power * plans.gpus)
