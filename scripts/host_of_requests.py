"""What a request costs the host before it is scheduled: closed-loop runs with few in flight, simulated.

    SERVEFRONT_DATA=... python scripts/host_of_requests.py [ENGINE]

For every open closed-loop run of drawn lengths with at most four in flight: the seconds with which the simulated mean
TTFT is the measured one; quartiles by nominal prompt length. They give back what the fit of the constants held a
request at (``HOST_SHARES`` of ``costmodel/serving/simulation/deployment.py``; docs/simulate.md). Takes some minutes.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from costmodel.serving.simulation import deployment
from costmodel.serving.simulation.requests import Requests
from search.base.errors import InputError
from search.evidence.measured.cases import case_of
from search.evidence.measured.rows import Measurement, read_rows

SECONDS = (0.0, 0.004, 0.008, 0.012, 0.016, 0.024, 0.032, 0.048)
MOST = 4  # in flight: beyond, prompts queue for each other
WAVES = 10  # requests a place (InferenceX: num_prompts = 10 x concurrency)
SHORTEST = 0.8  # of the nominal length, drawn evenly up to it (InferenceX: random_range_ratio)


def host_s(m: Measurement) -> float | None:
    """Seconds of host's work that the run's mean TTFT asks for; ``None`` where it is not simulated."""
    try:
        case = case_of(m)
    except InputError:
        return None
    if int(case.plan.pp[0]) != 1 or case.scenario.engine.drafts:
        return None
    size, rng = int(m.concurrency or 0) * WAVES, np.random.default_rng(0)
    lengths = [rng.integers(int(SHORTEST * n), n + 1, size) for n in m.nominal]
    requests = Requests(np.zeros(size), *lengths)
    found = []
    for seconds in SECONDS:
        engine = replace(case.scenario.engine, request_overhead_s=seconds, prompt_token_s=0.0)
        found.append(
            float(
                deployment.serve(replace(case.scenario, engine=engine), case.plan, requests, closed=True).ttft_s.mean()
            )
        )
    return float(np.interp(m.ttft_s or 0.0, found, SECONDS))


def main(engine: str = "vllm") -> None:
    deployment.HOST_SHARES.clear()  # the seconds are given whole
    rows = read_rows(Path(os.environ["SERVEFRONT_DATA"]) / "silicon_dev.csv")
    rows = [m for m in rows if m.regime == "closed_loop_fixed_conc" and m.drawn and 0 < (m.concurrency or 0) <= MOST]
    rows = [m for m in rows if m.engine.lower() == engine]
    for length in sorted({m.nominal[0] for m in rows}):
        found = [s for m in rows if m.nominal[0] == length and (s := host_s(m)) is not None]
        print(f"{length} tokens, {len(found)} runs: {np.percentile(found, [25, 50, 75]).round(4).tolist()} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
