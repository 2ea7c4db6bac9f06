"""What a full cache costs, against a simulation that sends requests back one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from worked_case import qwen3, worked_case

from costmodel.engine import Engine
from costmodel.evaluate import evaluate
from costmodel.plans import Plans
from costmodel.scenario import Demand, Limits, Scenario
from costmodel.scores import Scores
from costmodel.serving.mix import MixedLengths
from costmodel.serving.simulation.deployment import serve
from costmodel.serving.simulation.requests import Requests
from costmodel.serving.traffic import Length

VLLM = Engine("vllm", output_reserved=0.0, steps_ahead=1.0)
SIZE = 1800


def drawn(prompt: int, answer: int) -> Requests:
    rng = np.random.default_rng(1)
    lengths = [Length("lognormal", mean, 20, 8 * mean, 0.8).draw(SIZE, rng) for mean in (prompt, answer)]
    return Requests(np.zeros(SIZE), lengths[0], lengths[1])


def tight(requests: Requests, share: float, engine: Engine = VLLM, rate: float = 1.0) -> Scenario:
    prompts, answers = requests.prompt_tokens.astype(float), requests.answer_tokens.astype(float)
    lengths = MixedLengths(round(prompts.mean()), round(answers.mean()), 0.0, prompts, answers)
    return worked_case(
        model=qwen3(layers=94), engine=engine, limits=Limits(memory_fraction=share), lengths=lengths,
        demand=Demand(rate, headroom=False),
    )  # fmt: skip


def scored(scenario: Scenario, batch: int = 512) -> Scores:
    return evaluate(scenario, Plans.of(gpus=8, tp=8, ep=8, batch=batch))


@pytest.mark.parametrize(("prompt", "answer", "share"), [(1500, 700, 0.53), (3000, 300, 0.57)])
def test_capacity_of_a_cache_that_is_full(prompt: int, answer: int, share: float) -> None:
    """All requests come at once; those that leave in the middle of it."""
    requests = drawn(prompt, answer)
    scenario, plan = tight(requests, share), Plans.of(gpus=8, tp=8, ep=8, batch=512)
    served = serve(scenario, plan, requests)
    done = np.sort(served.e2e_s)
    low, high = int(0.3 * SIZE), int(0.75 * SIZE)
    carried = (high - low) / (done[high] - done[low])
    found = scored(scenario).capacity_requests_per_s
    assert found is not None and found[0] == pytest.approx(carried, rel=0.08)
    # As often sent back as what is written asks for, or up to twice that: short prompts more often than long ones.
    back = served.preemptions.sum() / SIZE
    assert 0.8 < back / (requests.answer_tokens.mean() / requests.prompt_tokens.mean()) < 2.0


def test_nobody_is_sent_back_where_room_is_reserved_or_plenty() -> None:
    requests = drawn(1500, 700)
    reserved = scored(tight(requests, 0.53, Engine("trtllm", output_reserved=1.0), rate=50.0))
    plenty = scored(tight(requests, 0.9), batch=32)
    for scores in (reserved, plenty):
        assert scores.preemptions_per_s is not None and scores.prefill_again is not None
        assert scores.preemptions_per_s[0] == scores.prefill_again[0] == 0.0


def test_what_is_sent_back_rises_with_the_rate_to_that_of_a_full_cache() -> None:
    requests, last = drawn(1500, 700), 0.0
    capacity = scored(tight(requests, 0.53)).capacity_requests_per_s
    assert capacity is not None
    for share in (0.3, 0.6, 0.9, 0.99, 1.5):
        scores = scored(tight(requests, 0.53, rate=share * float(capacity[0])))
        assert scores.preemptions_per_s is not None and scores.overflow_risk is not None
        assert scores.preemptions_per_s[0] >= last
        last = scores.preemptions_per_s[0]
    again = (requests.answer_tokens - 1.0).clip(0).mean() / requests.prompt_tokens.mean()
    assert last == pytest.approx(capacity[0] * again, rel=1e-6)
    assert scores.prefill_again is not None and scores.prefill_again[0] == pytest.approx(again / (1 + again), rel=1e-6)


def test_a_larger_cache_carries_more() -> None:
    requests = drawn(1500, 700)
    carried = [scored(replace(tight(requests, share))).capacity_requests_per_s for share in (0.5, 0.53, 0.57, 0.7, 0.9)]
    values = [float(c[0]) for c in carried if c is not None]
    assert values == sorted(values) and len(values) == 5
