"""Formulas against the simulation of the same requests, in small: ``scripts/traffic_table.py`` has the full table."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from worked_case import qwen3, worked_case

sys.path.append(str(Path(__file__).parents[1]))
from traffic_cases import Case, errors, random_case, serve

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
