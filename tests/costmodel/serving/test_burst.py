"""The passes of a burst against groups that fill theirs one by one, and what one request more does to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worked_case import worked_case

from costmodel.engine import Engine
from costmodel.evaluate import evaluate
from costmodel.layout import Layout
from costmodel.lengths import FixedLengths
from costmodel.plans import Plans
from costmodel.serving.burst import Burst, burst_of


def passes_of(batch: int, groups: int, new: int, budget: int) -> list[list[int]]:
    """Tokens of each group in each pass, each group taking what the budget allows."""
    waiting = [new * (batch // groups + (group < batch % groups)) for group in range(groups)]
    passes = []
    while any(waiting):
        passes.append([min(tokens, budget) for tokens in waiting])
        waiting = [tokens - taken for tokens, taken in zip(waiting, passes[-1], strict=True)]
    return passes


def burst(batch: int, groups: int, new: int, budget: int) -> Burst:
    layout = replace(Layout.single(), attn_dp=np.array([float(groups)]))
    return burst_of(FixedLengths(new, 2), layout, np.array([float(batch)]), float(budget))


@given(st.integers(1, 200), st.integers(1, 16), st.integers(1, 9000), st.integers(512, 8192))
def test_each_group_fills_its_own_passes(batch: int, groups: int, new: int, budget: int) -> None:
    found, passes = burst(batch, groups, new, budget), passes_of(batch, groups, new, budget)
    full, between, last = int(found.full[0]), int(found.between[0]), int(found.last[0])
    assert full + between + last == found.passes[0] == len(passes)
    tokens = [sum(groups) / new for groups in passes]
    assert tokens[:full] == pytest.approx([found.stage_prompts[0]] * full)
    if between:
        assert np.mean(tokens[full : full + between]) == pytest.approx(found.stage_between[0])
    assert tokens[-1] == pytest.approx(found.stage_rest[0], abs=1e-9)
    most = [max(groups) / new for groups in passes]
    assert most == pytest.approx([found.prompts[0]] * (full + between) + [found.rest[0]] * last, abs=1e-9)


@pytest.mark.parametrize("pp", [1, 4])
@pytest.mark.parametrize("isl", [300, 2048, 9000])
def test_one_request_more_does_not_end_sooner(pp: int, isl: int) -> None:
    """Sixteen attention groups, experts over all of them: 17 prompts once took less time than 16."""
    batches = np.arange(1, 100)
    plans = Plans.of(gpus=16 * pp, ep=16, pp=pp, batch=batches)
    scores = evaluate(worked_case(lengths=FixedLengths(isl, 64), engine=Engine("any", 8192)), plans)
    assert np.all(np.diff(scores.burst_ttft_s) > 0.0)
    assert np.all(np.diff(scores.tpot_s) > -1e-3 * scores.tpot_s[1:])
