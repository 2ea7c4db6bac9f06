"""The closed loop with ten requests a place against a simulation of the scheduler, pass by pass."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from worked_case import original, worked_case

from costmodel.evaluate import evaluate
from costmodel.forward import forward
from costmodel.lengths import FixedLengths
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.stages import Stages
from costmodel.step import Step

WAVES = 10
BUDGET = 8192


def pass_seconds(scenario: Scenario, plan: Plans) -> Callable[[int, int], float]:
    """Seconds of a pass with so many decoding sequences and so many prompt tokens, from the model's own ``forward``."""
    layout, stages = scenario.layout(plan), Stages.of(scenario.model, plan.pp)
    known: dict[tuple[int, int], float] = {}

    def seconds(decodes: int, tokens: int) -> float:
        key = (decodes, tokens // 64 * 64 if tokens > 64 else tokens)
        if key not in known:
            d, p = np.array([float(key[0])]), np.array([key[1] / scenario.lengths.new])
            known[key] = float(
                forward(scenario, stages, Step(d, p, d, p, d + p, scenario.lengths, layout)).latency_s[0]
            )
        return known[key]

    return seconds


def simulated(sequences: int, isl: int, osl: int, seconds: Callable[[int, int], float]) -> tuple[float, float]:
    """Mean TTFT and TPOT of ``WAVES`` requests a place, lengths drawn between 0.9 and 1.1 of their mean: decodes first,
    what is left of the budget to waiting prompts in order."""
    rng = np.random.default_rng(0)
    total = sequences * WAVES
    prompts, answers = (np.round(rng.uniform(0.9, 1.1, total) * mean).astype(int) for mean in (isl, osl))
    left, answered = prompts.copy(), np.zeros(total, dtype=int)
    arrived, first, ended = np.zeros(total), np.zeros(total), np.zeros(total)
    waiting, decoding, following, now = deque(range(sequences)), list[int](), sequences, 0.0
    while waiting or decoding:
        room, tokens, ready = BUDGET - len(decoding), 0, []
        while waiting and room > 0:
            taken = min(room, left[waiting[0]])
            left[waiting[0]] -= taken
            room, tokens = room - taken, tokens + taken
            if left[waiting[0]] == 0:
                ready.append(waiting.popleft())
        now += seconds(len(decoding), int(tokens))
        for request in decoding:
            answered[request] += 1
        for request in ready:
            first[request], answered[request] = now, 1
        done = [r for r in (*decoding, *ready) if answered[r] >= answers[r]]
        decoding = [r for r in (*decoding, *ready) if answered[r] < answers[r]]
        for request in done:
            ended[request] = now
            if following < total:
                arrived[following] = now
                waiting.append(following)
                following += 1
    return float((first - arrived).mean()), float(((ended - first) / (answers - 1)).mean())


@pytest.mark.parametrize(
    ("sequences", "isl", "osl"), [(4, 1024, 256), (32, 1024, 256), (64, 512, 256), (16, 4096, 256)]
)
def test_ten_waves_against_a_simulation(sequences: int, isl: int, osl: int) -> None:
    scenario = replace(worked_case(), lengths=FixedLengths(isl, osl), waves=float(WAVES))
    plan = original(batch=sequences)
    ttft, tpot = simulated(sequences, isl, osl, pass_seconds(scenario, plan))
    scores = evaluate(scenario, plan)
    assert scores.tpot_s[0] == pytest.approx(tpot, rel=0.05)
    assert scores.ttft_s[0] == pytest.approx(ttft, rel=0.10)
