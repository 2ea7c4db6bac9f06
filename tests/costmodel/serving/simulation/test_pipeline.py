"""Micro-batches in a pipeline: what follows from two numbers, and the closed form of real passes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from worked_case import worked_case

from costmodel.engine import Engine
from costmodel.evaluate import evaluate
from costmodel.lengths import FixedLengths
from costmodel.plans import Plans
from costmodel.serving.simulation.balancer import simulate
from costmodel.serving.simulation.deployment import serve
from costmodel.serving.simulation.pipeline import Pipeline
from costmodel.serving.simulation.requests import Requests
from costmodel.serving.simulation.scheduler import Scheduler

THROUGH_S = 4e-3


class Constant:
    """Every pass takes as long."""

    groups, sp = 1, 1

    def __init__(self, pass_s: float) -> None:
        self.pass_s = pass_s

    def seconds(self, *what: float, stage_rows: int = -1) -> float:
        return self.pass_s


def run(stage_s: float, micro: int, at: np.ndarray, answers: np.ndarray, cache: int = 1 << 30) -> tuple:  # type: ignore[type-arg]
    scheduler = Scheduler(8, cache, 1 << 20)
    replica = Pipeline(Constant(THROUGH_S), [Constant(stage_s)], micro, scheduler, None, 0.0)  # type: ignore[arg-type, list-item]
    requests = Requests(at, np.full(len(at), 20), answers)
    return simulate([replica], requests, lambda tokens: 0.0), replica, requests


@pytest.mark.parametrize(("stage_s", "inside", "token_s"), [(1e-3, 1, 4e-3), (1e-3, 4, 4e-3), (2e-3, 4, 8e-3)])
def test_a_token_takes_the_way_through_or_the_others_turns(stage_s: float, inside: int, token_s: float) -> None:
    served, replica, requests = run(stage_s, 4, np.zeros(inside), np.full(inside, 101))
    assert np.nanmean(served.tpot_s(requests.answer_tokens)) == pytest.approx(token_s, rel=0.02)
    assert served.ttft_s.min() == pytest.approx(THROUGH_S) and not replica.pools[0].used


def test_jumps_change_nothing() -> None:
    """A client that never leaves, but might, cuts the jumps."""
    rng = np.random.default_rng(0)
    at, answers = np.cumsum(rng.exponential(0.05, 200)), rng.integers(1, 300, 200)
    whole, _, requests = run(1.5e-3, 4, at, answers)
    scheduler = Scheduler(8, 1 << 30, 1 << 20)
    replica = Pipeline(Constant(THROUGH_S), [Constant(1.5e-3)], 4, scheduler, None, 0.0)  # type: ignore[arg-type, list-item]
    replica._jump_all = lambda until: None  # type: ignore[method-assign]
    dense = simulate([replica], requests, lambda tokens: 0.0)
    assert whole.e2e_s == pytest.approx(dense.e2e_s, rel=0.02) and whole.end_s == pytest.approx(dense.end_s, rel=0.01)


def test_a_small_cache_is_shared_by_all_micro_batches() -> None:
    served, replica, _ = run(1e-3, 2, np.zeros(12), np.full(12, 100), cache=700)
    assert served.preemptions.sum() > 0 and np.isfinite(served.e2e_s).all()
    assert not replica.pools[0].used and not replica.pools[0].running and not replica.load


@pytest.mark.parametrize(
    ("pp", "batch", "isl", "osl", "near"),
    [(2, 8, 1024, 256, 0.08), (4, 64, 1024, 256, 0.08), (4, 16, 4096, 128, 0.2), (8, 8, 8192, 512, 0.2)],
)
def test_the_closed_form_of_a_pipeline_is_met(pp: int, batch: int, isl: int, osl: int, near: float) -> None:
    """Long prompts hold up the passes behind them; the closed form has them all apart, so it lies above."""
    plan = Plans.of(gpus=8, pp=pp, tp=8 // pp, ep=8 // pp, batch=batch)
    scenario = replace(worked_case(engine=Engine("any")), lengths=FixedLengths(isl, osl))
    scores = evaluate(scenario, plan)
    rng = np.random.default_rng(0)
    size, inner = batch * 16, slice(3 * batch, -2 * batch)
    requests = Requests(
        np.zeros(size), rng.integers(isl * 9 // 10, isl * 11 // 10, size), rng.integers(osl // 2, osl * 3 // 2, size)
    )
    served = serve(scenario, plan, requests, closed=True)
    token_s = (served.e2e_s - served.ttft_s)[inner].sum() / (requests.answer_tokens[inner] - 1).sum()
    assert token_s == pytest.approx(scores.tpot_s[0], rel=near)
    assert served.ttft_s[inner].mean() == pytest.approx(scores.ttft_s[0], rel=0.2)


@pytest.mark.parametrize("batch", [9, 17])
def test_groups_with_a_sequence_more_do_not_speed_up_the_others(batch: int) -> None:
    """Eight attention groups: the first micro-batch has a sequence of each, the last of one group alone."""
    plan = Plans.of(gpus=32, pp=4, ep=8, batch=batch)
    scenario = worked_case(engine=Engine("any"), lengths=FixedLengths(128, 300))
    size, inner = batch * 8, slice(2 * batch, -2 * batch)
    requests = Requests(np.zeros(size), np.full(size, 128), np.full(size, 300))
    token_s = serve(scenario, plan, requests, closed=True).tpot_s(requests.answer_tokens)[inner].mean()
    assert evaluate(scenario, plan).tpot_s[0] == pytest.approx(token_s, rel=0.08)
