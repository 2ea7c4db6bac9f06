"""A finite backlog: what goes in comes out, and nothing is over the seats or the budget."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worked_case import worked_case as worked

from costmodel.lengths import FixedLengths
from costmodel.plans import Plans
from costmodel.serving.backlog import passes
from costmodel.serving.offline import max_throughput


@settings(deadline=None)
@given(st.integers(1, 3000), st.integers(1, 500), st.integers(256, 16384), st.integers(1, 20000), st.integers(0, 3000))
def test_all_prompts_and_tokens_are_served_within_seats_and_budget(requests, seats, budget, prompt, decodes):
    found = passes(requests, seats, budget, prompt, decodes)
    rounding = 1e-3 * (found.count.sum() + requests)
    assert found.count @ found.prompts == pytest.approx(requests, rel=0.02, abs=0.1 * rounding)
    assert found.count @ found.decodes == pytest.approx(requests * decodes, rel=0.02, abs=rounding)
    assert np.all(found.decodes <= seats + 1e-3)
    used = found.decodes + found.prompts * prompt
    # A prompt moves on by a token even if decodes fill the budget; prompts are rounded to 1e-4.
    assert np.all(used <= np.maximum(budget, found.decodes + 1.0) + prompt * 1e-4 + 1e-2)


def test_two_full_waves_by_hand():
    found = passes(requests=8, seats=4, budget=1000, prompt=100, decodes=10)
    # Four prompts at once, ten steps of four, and the same again.
    seen = {(d, p): c for c, d, p in zip(found.count, found.decodes, found.prompts, strict=True)}
    assert seen == {(0.0, 4.0): 2, (4.0, 0.0): 20}


def test_a_long_backlog_tends_to_the_steady_state_and_a_short_one_pays_for_its_tail():
    base = worked()
    scenario = dataclasses.replace(base, lengths=FixedLengths(512, 256))
    plan = Plans.of(gpus=8, tp=8, ep=8)
    steady, long, short = (
        float(max_throughput(scenario, plan, 64, n).output_tokens_per_s[0]) for n in (math.inf, 20_000, 80)
    )
    assert long == pytest.approx(steady, rel=0.1)
    assert short < 0.9 * long
