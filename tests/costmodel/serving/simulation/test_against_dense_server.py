"""The simulation jumps between events and carries its sums along; a server that does neither must say the same."""

from __future__ import annotations

import numpy as np
import pytest
from dense_server import Request, dense
from hypothesis import given, settings
from hypothesis import strategies as st
from worked_case import worked_case

from costmodel.plans import Plans
from costmodel.serving.simulation.balancer import simulate
from costmodel.serving.simulation.replica import Replica
from costmodel.serving.simulation.requests import Requests
from costmodel.serving.simulation.scheduler import Scheduler
from costmodel.serving.step_table import StepTable


class Straight:
    """Passes whose seconds are a straight line in everything: jumps over them are exact."""

    groups, sp = 1, 1

    def seconds(
        self, decodes: int, context: float, tokens: int = 0, seen: float = 0.0, samples: int = 0, stage_rows: int = -1
    ) -> float:
        return 1e-2 + 1e-4 * decodes + 1e-8 * decodes * context + 1e-5 * tokens + 1e-9 * tokens * seen + 1e-5 * samples


def both(table: object, scheduler: Scheduler, at: list[float], prompts: list[int], answers: list[int]) -> float:
    """The largest relative difference between the two of any first or last token's time."""
    requests = Requests(np.array(at), np.array(prompts), np.array(answers))
    found = simulate([Replica(table, scheduler, None, 0.0)], requests, lambda tokens: 0.0)  # type: ignore[arg-type]
    real = dense(table, scheduler, [Request(*each) for each in zip(at, prompts, answers, strict=True)])
    mine = np.array([found.ttft_s, found.e2e_s])
    theirs = np.array([[r.first - r.at for r in real], [r.last - r.at for r in real]])
    return float(np.max(np.abs(mine / theirs - 1.0)))


@given(
    gaps=st.lists(st.one_of(st.floats(0.0, 0.05), st.floats(0.0, 1.0)), min_size=1, max_size=40),
    seed=st.integers(0, 1000),
    longest=st.sampled_from([3, 20, 120]),
    seats=st.integers(1, 12),
    budget=st.sampled_from([64, 200, 2048]),
    cache=st.integers(450, 3000),
    mixed=st.booleans(),
    reserves=st.booleans(),
    ahead=st.integers(0, 2),
)
@settings(max_examples=150, deadline=None)
def test_every_rule_agrees_to_the_last_pass(
    gaps: list[float], seed: int, longest: int, seats: int, budget: int, cache: int, mixed: bool, reserves: bool,
    ahead: int,
) -> None:  # fmt: skip
    """Chunks, seats, a cache that is too small (preemption or reservation), passes of prompts alone, steps ahead; with
    answers of a few tokens a server that is often about to be idle."""
    rng = np.random.default_rng(seed)
    prompts, answers = rng.integers(1, 300, len(gaps)).tolist(), rng.integers(1, longest, len(gaps)).tolist()
    at = np.cumsum(np.array(gaps) + 1e-7).tolist()
    scheduler = Scheduler(seats, cache, budget, 16, mixed, reserves, ahead)
    assert both(Straight(), scheduler, at, prompts, answers) < 1e-9


def test_who_comes_in_the_last_pass_misses_the_one_scheduled_ahead() -> None:
    """Requests 0 and 1 wake a server one after the other; 2 comes in the last pass of 0, when 1 is scheduled already
    for the next one: it does not share that."""
    at, prompts, answers = [1e-7, 2e-7, 0.0176], [49, 16, 286], [2, 2, 2]
    assert both(Straight(), Scheduler(3, 1477, 200, 16, mixed=False, steps_ahead=1), at, prompts, answers) < 1e-9


@pytest.mark.parametrize("mixed", [True, False])
def test_real_passes_agree_to_a_thousandth(mixed: bool) -> None:
    """Real passes are no straight lines in the context, so a jump is off by what they bend."""
    table = StepTable.of(worked_case(), Plans.of(tp=8, ep=8, gpus=8, batch=64), 64, 4096)
    rng = np.random.default_rng(1)
    at = np.cumsum(rng.exponential(0.4, 120)).tolist()
    prompts, answers = rng.integers(20, 3000, 120).tolist(), rng.integers(2, 300, 120).tolist()
    assert both(table, Scheduler(24, 60_000, 8192, 16, mixed), at, prompts, answers) < 1e-3
