"""The closed loop of split plans, formula against a client that is simulated request by request: docs/split.md.

``python scripts/split_loop_table.py``: Qwen3-235B-A22B on H200, ten requests for each one in flight, lengths drawn as
the benchmark of the open rows draws them. Prefill, decode steps or seats bound the rate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from costmodel.plans import Array, IntArray, Plans
from costmodel.serving.split.journey import Transfer, link_of
from costmodel.serving.split.loop import Pool, split_loop
from costmodel.serving.split.simulated import Deployment, simulate
from search.evidence.measured.rows import SPREAD
from search.inputs.compose import composed
from search.inputs.config import read_model, read_scenario

ENGINES = (("sglang", 4096, 512), ("vllm", 1024, 1024), ("trtllm", 8192, 256))
INSTANCES = ((2, 1), (1, 2), (2, 2))
# Seats of an instance that decodes, and requests in flight for each of these.
LOADS = ((256, 16), (256, 64), (256, 160), (32, 24), (32, 48), (32, 96))
WAVES, SEEDS = 10, 2


def errors() -> Iterator[tuple[str, list[Array]]]:
    """Engine, lengths and instances; for each load how far the formula is off on TTFT, TPOT and throughput."""
    prefill = Plans.of(gpus=4, tp=4, ep=4, batch=1)
    for engine, isl, osl in ENGINES:
        config = composed([
            "model=qwen3_235b_fp8", "hardware=h200_sxm", f"engine={engine}", f"workload.isl={isl}",
            f"workload.osl={osl}",
        ])  # fmt: skip
        scenario = replace(read_scenario(config, read_model(config.model).architecture), waves=float(WAVES))
        for x, y in INSTANCES:
            link = link_of(scenario.cluster, Transfer(), 4 * x + 8 * y)
            found = []
            for seats, each in LOADS:
                decode = Plans.of(gpus=8, tp=1, ep=8, batch=seats)
                pools = Pool(scenario, prefill, x), Pool(scenario, decode, y)
                told = split_loop(*pools, link, np.array([float(each * y)]), float(seats), SPREAD)
                seen = _simulated(Deployment(scenario, link, prefill, x, decode, y, scenario), each * y)
                ttft, tpot = told.ttft_s[0], told.tpot_s[0]
                life = ttft + (osl - 1) * tpot, seen[0] + (osl - 1) * seen[1]
                found.append(np.array([ttft / seen[0], tpot / seen[1], life[1] / life[0]]) - 1.0)
            yield f"{engine} {isl}/{osl}, {x} + {y}", found


def _simulated(d: Deployment, in_flight: int) -> tuple[float, float]:
    """Mean TTFT and TPOT."""
    size, lengths, parts = WAVES * in_flight, d.scenario.lengths, []
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        prompts, answers = (_drawn(mean, size, rng) for mean in (lengths.isl, lengths.osl))
        served = simulate(d, np.zeros(size), prompts, answers, in_flight=in_flight)
        parts.append((float(served.ttft_s.mean()), float(served.tpot_s.mean())))
    ttft, tpot = np.mean(parts, axis=0)
    return ttft, tpot


def _drawn(mean: float, size: int, rng: np.random.Generator) -> IntArray:
    return np.round(mean * rng.uniform(1.0 - SPREAD / 2.0, 1.0 + SPREAD / 2.0, size)).astype(np.int64)


def main() -> None:
    loads = [f"{each} of {seats}" for seats, each in LOADS]
    print(f"| TTFT off, by requests in flight of as many seats | {' | '.join(loads)} |")
    print("| :-- " + "| --: " * len(LOADS) + "|")
    whole = []
    for words, found in errors():
        print(f"| {words} | {' | '.join(f'{e[0]:+.0%}' for e in found)} |", flush=True)
        whole += found
    off = np.abs(np.array(whole))
    for name, values in zip(("TTFT", "TPOT", "throughput"), off.T, strict=True):
        print(f"{name}: mean {values.mean():.1%}, median {np.median(values):.1%}, at most {values.max():.0%}")


if __name__ == "__main__":
    main()
