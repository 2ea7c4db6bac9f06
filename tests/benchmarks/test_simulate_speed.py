"""How many requests are simulated a second (``pytest --benchmark-only``). No speed is asserted: machines differ."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.serving.simulation.deployment import serve
from costmodel.serving.simulation.requests import Requests
from costmodel.serving.traffic import Length, arrivals
from search.inputs.compose import composed
from search.inputs.config import read_model, read_scenario
from search.inputs.traces import read_trace

REQUESTS = 10_000
TRACE = "traffic/mooncake_conversation.jsonl.gz"
EIGHT = {"llama_3_1_70b": Plans.of(tp=8, gpus=8, batch=256), "llama_3_1_8b": Plans.of(dp=8, gpus=8, batch=256)}


def scenario_of(model: str) -> Scenario:
    config = composed([f"model={model}", "hardware=h100_sxm", "engine=vllm"])
    return read_scenario(config, read_model(config.model).architecture)


def report(benchmark: Any, requests: int) -> None:
    if benchmark.stats:
        benchmark.extra_info["requests_per_s"] = round(requests / benchmark.stats.stats.min)


@pytest.mark.parametrize("load", [0.5, 0.9])
def test_simulate(benchmark: Any, load: float) -> None:
    """Requests at random, chat's lengths, on one replica that carries 19.8 a second: the more come, the fewer
    passes only decode."""
    scenario, plan, rng = scenario_of("llama_3_1_8b"), Plans.of(gpus=1, batch=256), np.random.default_rng(0)
    prompt, answer = Length("lognormal", 1024, 16, 8192, 0.8), Length("lognormal", 256, 8, 2048, 0.8)
    at = arrivals("poisson", load * 19.8, 1.0, REQUESTS, rng)
    requests = Requests(at, prompt.draw(REQUESTS, rng), answer.draw(REQUESTS, rng))
    served = benchmark(serve, scenario, plan, requests)
    report(benchmark, REQUESTS)
    assert np.all(np.isfinite(served.e2e_s))


@pytest.mark.parametrize("model", EIGHT)
def test_mooncake(benchmark: Any, model: str) -> None:
    """12,031 requests of Mooncake's conversations with their blocks, on eight GPUs."""
    if "SERVEFRONT_DATA" not in os.environ:
        pytest.skip("SERVEFRONT_DATA is not set: no traces")
    requests = read_trace(Path(os.environ["SERVEFRONT_DATA"]) / TRACE, 100_000)
    scenario, plan = scenario_of(model), EIGHT[model]
    served = benchmark(serve, scenario, plan, requests)
    report(benchmark, len(requests))
    assert np.isfinite(served.e2e_s).mean() > 0.9
