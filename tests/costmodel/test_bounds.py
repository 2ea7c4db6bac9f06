"""The physical limit by hand, and that no plan passes it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cost_strategies import CHECKS, scenarios_and_plans
from hypothesis import given
from worked_case import accelerator, original, qwen3, refined, worked_case

from costmodel.architecture import Layer, LayerRun
from costmodel.blocks import DenseFfn, GroupedQueryAttention
from costmodel.bounds import bounds, most_tokens_per_s
from costmodel.efficiency import FlatLaw
from costmodel.engine import Engine
from costmodel.evaluate import evaluate
from costmodel.lengths import FixedLengths
from costmodel.plans import Plans
from costmodel.scenario import Scenario

SLACK = 1 + 1e-9


def test_worked_case() -> None:
    scenario, plan = worked_case(), refined()
    limit = bounds(scenario, plan)
    # 2.36e16 FLOP (20.95e9 matrix parameters a token and causal attention) on 8 x 240 TFLOP/s.
    flops = 256 * 2048 * 2 * 20.95e9 + 256 * 94 * 4 * 64 * 128 * 2048 * 2049 / 2
    assert flops == pytest.approx(2.36e16, rel=3e-3)
    assert limit.burst_ttft_s[0] == pytest.approx(12.3, rel=2e-3) == pytest.approx(flops / (8 * 240e12), rel=2e-3)
    # One prompt of 2048 tokens; 0.22 s would be four and a half of them, not 256.
    assert limit.ttft_s[0] == pytest.approx(12.3 / 256, rel=2e-3)
    # All of 16 accelerators computing all the time.
    assert limit.compute_tokens_per_s[0] == pytest.approx(39_339, rel=1e-3)
    assert most_tokens_per_s(scenario, plan, limit.round_s)[0] < 24_648


def test_floor_of_the_refined_plans_step() -> None:
    """Weights and cache of one accelerator at 1.44 TB/s: 27.7 ms, so that 20.8 ms would need 107 % of the peak.

    The physical limit is lower: it holds attention weights once in a replica, not once in each of two groups."""
    scenario, plan = worked_case(), refined()
    scores = evaluate(scenario, plan)
    table = 151936 * 4096 * 2 / 4  # bytes of the embedding, of which a step reads a few rows
    cache = 128 * 3072 * 96_256 / 4
    floor = (scores.weights_bytes_per_gpu[0] - table + cache) / 1.44e12
    assert floor == pytest.approx(27.7e-3, rel=2e-3)
    assert scores.limit_tpot_s[0] < floor < scores.tpot_s[0]
    assert pytest.approx(1.07 * 1.8e12, rel=5e-3) == (30.4e9 + 9.5e9) / 20.8e-3


def test_limits_scale_with_accelerators() -> None:
    """They know only the accelerators of a replica, the replicas and the batch."""
    plans = Plans.of(gpus=[8, 16, 16], tp=[8, 4, 8], ep=8, dp=[1, 1, 2], pp=[1, 2, 1], batch=64)
    limit = bounds(worked_case(), plans)
    tokens = most_tokens_per_s(worked_case(), plans, limit.round_s)
    assert limit.tpot_s[0] == limit.tpot_s[2] == pytest.approx(2 * limit.tpot_s[1])
    assert tokens[2] == pytest.approx(2 * tokens[0])
    assert tokens[1] == pytest.approx(2 * tokens[0])


@CHECKS
@given(scenarios_and_plans(most=12))
def test_nobody_passes_the_limit(drawn: tuple[Scenario, Plans]) -> None:
    scenario, plans = drawn
    scores = evaluate(scenario, plans)
    assert np.all(scores.share_of_limit <= SLACK)
    assert np.all(scores.ttft_s * SLACK >= scores.limit_ttft_s)
    assert np.all(scores.burst_ttft_s * SLACK >= scores.limit_burst_ttft_s)
    # ``limit_tpot_s`` has the whole batch decode at once. Of a request's stay no more than the answer can be decoding,
    # so that by Little's law the batch's mean is the share of the stay: a bound for every regime.
    decodes = scenario.lengths.decodes
    assert np.all((scores.ttft_s + decodes * scores.tpot_s) * SLACK >= decodes * scores.limit_tpot_s)


@pytest.mark.parametrize("exchange", ["allgather", "alltoall"])
def test_worked_case_keeps_every_limit(exchange: str) -> None:
    """Here the cache, not the prefill, holds sequences back: TPOT keeps its limit as well."""
    scenario = worked_case(engine=Engine("any", exchange=exchange), law=FlatLaw(0.6, 0.8, launch_s=2e-6))
    for plan in (refined(batch=[1, 16, 256, 1024]), original(batch=[1, 16, 128, 1024])):
        scores = evaluate(scenario, plan)
        assert np.all(scores.tpot_s >= scores.limit_tpot_s)


@pytest.mark.parametrize(("budget", "memory_bytes"), [(512, 640e9), (8192, 4e9)], ids=["prefill", "cache"])
def test_tpot_keeps_its_limit_where_most_sequences_wait(budget: int, memory_bytes: float) -> None:
    """One small layer and long prompts: the cache of 4096 sequences weighs most in the limit, few of them decode."""
    layer = Layer(GroupedQueryAttention(8, 1, 128), DenseFfn(4096))
    scenario = worked_case(
        model=qwen3(hidden=256, vocabulary=1024, runs=(LayerRun(layer, 1),)),
        accelerator=replace(accelerator(), memory_bytes=memory_bytes),
        engine=Engine("any", budget),
        lengths=FixedLengths(20000, 128),
    )
    scores = evaluate(scenario, Plans.of(gpus=1, batch=4096))
    assert scores.tpot_s[0] >= scores.limit_tpot_s[0]
