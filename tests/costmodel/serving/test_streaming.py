"""The process that sends tokens, against a simulation and at its ends."""

from __future__ import annotations

import heapq
import random
from dataclasses import replace

import numpy as np
import pytest
from worked_case import original, worked_case

from costmodel.evaluate import evaluate
from costmodel.scenario import Scenario
from costmodel.serving.streaming import streaming_wait


def sending(stream_token_s: float, interval: int = 1) -> Scenario:
    engine = replace(worked_case().engine, stream_token_s=stream_token_s, stream_interval=interval)
    return worked_case(engine=engine)


def simulated(requests: int, stay: float, work: float) -> float:
    """Mean seconds of ``requests`` customers at one server: away for about ``stay``, then served for ``work`` in order
    of arrival, again and again."""
    draw = random.Random(0)
    coming = [draw.uniform(0, 2 * stay) for _ in range(requests)]
    heapq.heapify(coming)
    free, waited, served = 0.0, 0.0, 0
    for n in range(400 * requests):
        arrival = heapq.heappop(coming)
        start = max(free, arrival)
        free = start + work
        if n > 100 * requests:
            waited += start - arrival
            served += 1
        heapq.heappush(coming, free + draw.expovariate(1 / stay))
    return waited / served


@pytest.mark.parametrize("load", [0.3, 0.7, 1.5, 3.0])
def test_against_a_simulation_of_the_loop(load: float) -> None:
    """``load``: work of all requests over a stay. What counts is the longer stay: within a twentieth."""
    requests, scenario = 64, sending(1e-4)
    work = scenario.lengths.osl * 1e-4
    stay = requests * work / load
    before, after = streaming_wait(scenario, float(requests), stay)
    assert after == 0.0
    assert stay + before == pytest.approx(stay + simulated(requests, stay, work), rel=0.05)


def test_a_replica_sends_no_more_than_its_process_can() -> None:
    plans = original(batch=[8, 64, 512])
    free, slow = evaluate(sending(0.0), plans), evaluate(sending(1e-3), plans)
    assert np.all(slow.output_tokens_per_s < 1000)
    assert free.output_tokens_per_s[2] > 1000
    assert np.all(slow.ttft_s >= free.ttft_s) and np.all(slow.tpot_s == free.tpot_s)
    assert slow.output_tokens_per_s[2] == pytest.approx(1000, rel=0.02)


def test_tokens_sent_in_tens_cost_a_tenth() -> None:
    assert streaming_wait(sending(1e-3, 10), 64.0, 10.0) == streaming_wait(sending(1e-4), 64.0, 10.0)


def test_lockstep_waits_on_both_sides_of_the_first_token() -> None:
    scenario = replace(sending(1e-3), synchronised=True)
    before, after = streaming_wait(scenario, 64.0, 10.0)
    assert before == after > 0
    # Far beyond what the process can send, all work is waited for, however it swings.
    assert 10.0 + before + after == pytest.approx(64 * 2.048, rel=0.1)
    plain = evaluate(replace(scenario, engine=worked_case().engine), original())
    assert evaluate(scenario, original()).tpot_s[0] > plain.tpot_s[0]
