"""Formulas against the simulation of the same requests, in small: ``scripts/traffic_table.py`` has the full table."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from worked_case import qwen3, worked_case

sys.path.append(str(Path(__file__).parents[1]))
from traffic_cases import ENGINES, Case, errors, random_case, serve

from costmodel.lengths import FixedLengths
from costmodel.plans import Plans
from costmodel.serving.traffic import Length

CASES = 10
SMALL = 32  # seats of a replica at most: their simulation is quick
REQUESTS = 1200


def cases() -> list[Case]:
    rng, base = np.random.default_rng(11), worked_case(model=qwen3(layers=8))
    found: list[Case] = []
    while len(found) < CASES:
        case = random_case(base, rng)
        if case is not None and case.seats <= SMALL and case.load <= 0.75:
            found.append(case)
    return found


def test_medians_are_close() -> None:
    found = [errors(serve(case, REQUESTS)) for case in cases()]
    assert all(np.isfinite(each["ttft_s"]) for each in found)

    def median(name: str) -> float:
        return float(np.median(np.abs([each[name] for each in found])))

    assert median("ttft_s") < 0.12 and median("tpot_s") < 0.06 and median("e2e_s") < 0.08
    assert median("ttft_s_p99") < 0.25 and median("capacity") < 0.06
    assert median("throughput") == pytest.approx(0.0, abs=0.06)


def test_one_seat_and_prompts_that_vary_much() -> None:
    """A queue with one server, whose service is mostly prefill: nobody shares its passes."""
    prompt, answer = Length("lognormal", 4000, 200, 32000, 1.1), Length("lognormal", 50, 2, 400, 0.5)
    scenario = worked_case(model=qwen3(layers=24), engine=ENGINES["vllm"], lengths=FixedLengths(4000, 50))
    one = Case(scenario, Plans.of(tp=4, ep=4, gpus=4, batch=1), prompt, answer, "poisson", 1.0, 0.7, 1)
    for case in (one, replace(one, prompt=Length("fixed", 4000))):
        found = errors(serve(case, 8000))
        assert abs(found["ttft_s"]) < 0.12 and abs(found["e2e_s"]) < 0.12


@pytest.mark.parametrize(("seats", "load"), [(4, 0.8), (16, 0.5)])
def test_few_seats_and_prompts_that_vary_much(seats: int, load: float) -> None:
    """Long prompts hold up all inside, whose answers then end and let others in together."""
    prompt, answer = Length("lognormal", 4000, 200, 32000, 1.1), Length("lognormal", 200, 2, 1600, 0.5)
    engine = replace(ENGINES["vllm"], max_batched_tokens=8192)
    scenario = worked_case(model=qwen3(layers=24), engine=engine, lengths=FixedLengths(4000, 200))
    plan = Plans.of(tp=4, ep=4, gpus=4, batch=seats)
    found = errors(serve(Case(scenario, plan, prompt, answer, "poisson", 1.0, load, 1), 4000))
    assert abs(found["ttft_s"]) < 0.2 and abs(found["tpot_s"]) < 0.12 and abs(found["e2e_s"]) < 0.12
