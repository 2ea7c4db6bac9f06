"""Batches that start together, against scalar sums."""

import dataclasses
import math

import numpy as np
import pytest
from worked_case import worked_case as worked

from costmodel.breakdown import breakdown
from costmodel.evaluate import evaluate
from costmodel.lengths import FixedLengths
from costmodel.plans import Plans
from costmodel.serving.offline import max_throughput, static_batch

PLAN = {"gpus": 8, "tp": 8, "ep": 8}


def short(isl: int, osl: int, **engine: object):
    base = worked()
    return dataclasses.replace(base, lengths=FixedLengths(isl, osl), engine=dataclasses.replace(base.engine, **engine))


def test_one_request_is_its_prefill_and_its_decode_steps():
    scenario = short(512, 100, request_overhead_s=0.01)
    run = static_batch(scenario, Plans.of(batch=1, **PLAN))
    # The operations of a pass one by one, and not through the function under test.
    parts = breakdown(dataclasses.replace(scenario, lengths=FixedLengths(512, 1)), Plans.of(batch=1, **PLAN))
    prefill = sum(p.seconds for p in parts if p.phase == "prefill")
    assert run.prefill_s[0] == pytest.approx(prefill + 0.01, rel=1e-9)
    assert run.ttft_s[0] == run.last_ttft_s[0] == run.prefill_s[0]
    assert run.tpot_s[0] == run.step_s[0]
    assert run.output_tokens_per_s[0] == pytest.approx(100 / (run.prefill_s[0] + 99 * run.step_s[0]))


def test_passes_rounds_and_replicas_by_hand():
    scenario = short(2048, 64, max_batched_tokens=8192)
    plans = Plans.of(gpus=16, dp=2, tp=8, ep=8, batch=32)
    run = static_batch(scenario, plans)  # 32 x 2048 tokens: 8 passes
    # A quarter of a prompt's worth more or less: four prompts a pass are one pass of four prompts.
    one_pass = static_batch(scenario, Plans.of(gpus=16, dp=2, tp=8, ep=8, batch=4)).prefill_s[0]
    overhead = scenario.engine.request_overhead_s
    pass_s = one_pass - overhead
    assert run.prefill_s[0] == pytest.approx(8 * pass_s + overhead)
    assert run.ttft_s[0] == pytest.approx(4.5 * pass_s + overhead)
    assert run.output_tokens_per_s[0] == pytest.approx(2 * 32 * 64 / (run.prefill_s[0] + 63 * run.step_s[0]))
    # Mean of 0 to 7 passes of others' prefill, spread over 63 tokens.
    assert run.tpot_s[0] == pytest.approx(run.step_s[0] + 3.5 * pass_s / 63)

    halves = static_batch(scenario, plans, most_sequences=16)
    half = static_batch(scenario, Plans.of(gpus=16, dp=2, tp=8, ep=8, batch=16))
    assert halves.admitted[0] == 16
    assert halves.step_s[0] == half.step_s[0]
    assert halves.output_tokens_per_s[0] == pytest.approx(half.output_tokens_per_s[0])
    round_s = half.prefill_s[0] + 63 * half.step_s[0]
    assert halves.last_ttft_s[0] == pytest.approx(round_s + half.prefill_s[0])
    assert halves.ttft_s[0] == pytest.approx(round_s / 2 + half.ttft_s[0])


def test_a_short_answer_is_disturbed_in_all_of_its_steps():
    """With more prefill passes than tokens, nearly every token waits for somebody's prefill."""
    scenario = short(8192, 2, max_batched_tokens=8192)
    run = static_batch(scenario, Plans.of(batch=101, **PLAN))
    pass_s = (run.last_ttft_s[0] - scenario.engine.request_overhead_s) / 101
    assert run.tpot_s[0] == pytest.approx(run.step_s[0] + pass_s * (1 - 1 / 200), rel=1e-9)


def test_decode_step_agrees_with_a_loop_that_hardly_prefills():
    scenario = short(16, 4096)
    plans = Plans.of(batch=[1, 8, 64], **PLAN)
    np.testing.assert_allclose(static_batch(scenario, plans).step_s, evaluate(scenario, plans).tpot_s, rtol=0.03)


def test_max_throughput_fills_the_cache_or_the_engine():
    scenario = short(1024, 1024)
    plans = Plans.of(batch=1, **PLAN)
    few, many = max_throughput(scenario, plans, 64), max_throughput(scenario, plans, 2_000)
    assert few.admitted[0] == 64
    assert few.output_tokens_per_s[0] == evaluate(scenario, Plans.of(batch=64, **PLAN)).output_tokens_per_s[0]
    assert 64 < many.admitted[0] <= 2_000
    assert many.output_tokens_per_s[0] > few.output_tokens_per_s[0]
    assert math.isfinite(many.tpot_s[0])


def test_what_does_not_fit_says_so():
    base = short(1024, 16)
    tiny = dataclasses.replace(base, accelerator=dataclasses.replace(base.accelerator, memory_bytes=1e9))
    plans = Plans.of(batch=4, **PLAN)
    assert not static_batch(tiny, plans).fits[0]
    assert not max_throughput(tiny, plans, 64).fits[0]
    assert static_batch(base, plans).fits[0]


def test_rows_do_not_depend_on_their_company():
    scenario = short(700, 50)
    plans = Plans.of(gpus=[8, 8, 16], tp=[8, 4, 4], ep=8, dp=[1, 1, 2], batch=[7, 100, 33])
    together = static_batch(scenario, plans, 256)
    for i in range(3):
        alone = static_batch(scenario, plans.take(slice(i, i + 1)), 256)
        for field in dataclasses.fields(alone):
            assert getattr(alone, field.name)[0] == getattr(together, field.name)[i], field.name
