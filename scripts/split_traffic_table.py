"""Percentiles of split plans at a rate, formulas against the same deployments request by request: docs/split.md.

``python scripts/split_traffic_table.py``: 2 + 2 instances of Qwen3-235B-A22B on H200, at shares of their capacity.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from costmodel.plans import Array, Plans
from costmodel.scenario import Demand
from costmodel.serving.split.at_rate import Pair, figures
from costmodel.serving.split.journey import Transfer, cargo, link_of
from costmodel.serving.split.rate import DecodeRate, PrefillRate
from costmodel.serving.split.simulated import Deployment, simulate
from search.inputs.compose import composed
from search.inputs.config import read_model, read_scenario
from search.inputs.traffic import read_traffic

CASES = (
    ("sglang", 64, ("workload.isl=4096", "workload.osl=512")),
    ("vllm", 256, ("workload.isl=1024", "workload.osl=256")),
    ("trtllm", 64, ("workload.isl=12000", "workload.osl=300")),
    ("sglang", 64, ("workload=mixed_128_10240",)),
    ("vllm", 64, ("workload=mixed_128_10240",)),
    ("trtllm", 64, ("workload=mixed_128_10240",)),
)
SHARES, SEEDS, REQUESTS, COUNT = (0.3, 0.6, 0.85), 3, 3000, 2
NAMES = ("ttft_s", "tpot_s", "e2e_s")


def rows() -> Iterator[tuple[str, float, dict[str, float], dict[str, Array]]]:
    """Engine and lengths, share of the capacity, the formulas' figures, the simulated values."""
    for engine, batch, words in CASES:
        config = composed([
            "model=qwen3_235b_fp8", "hardware=h200_sxm", f"engine={engine}", "workload.requests_per_s=1",
            "workload.arrivals.kind=poisson", *words,
        ])  # fmt: skip
        scenario = read_scenario(config, read_model(config.model).architecture)
        p, d = Plans.of(gpus=4, tp=4, ep=4, batch=1), Plans.of(gpus=8, tp=1, ep=8, batch=batch)
        link, count = link_of(scenario.cluster, Transfer(), COUNT * 12), np.array([float(COUNT)])
        pair = Pair(
            scenario, link, PrefillRate.of(scenario, p), count, cargo(scenario, p), np.ones(1),
            DecodeRate.of_plans(scenario, d), count, cargo(scenario, d),
        )  # fmt: skip
        deployment = Deployment(scenario, link, p, COUNT, d, COUNT, scenario)
        traffic = read_traffic(config.workload)
        for share in SHARES:
            rate = share * float(pair.capacity_per_s[0])
            told = figures(pair, Demand(rate, 1.0, headroom=False), scenario.limits)
            parts: list[list[Array]] = [[], [], []]
            for seed in range(SEEDS):
                sent = replace(traffic, rate=rate).requests(REQUESTS, seed)
                found = simulate(deployment, sent.arrival_s, sent.prompt_tokens, sent.answer_tokens)
                for part, name in zip(parts, NAMES, strict=True):
                    part.append(getattr(found, name)[REQUESTS // 10 : -REQUESTS // 10])
            values = {name: np.concatenate(part) for name, part in zip(NAMES, parts, strict=True)}
            yield f"{engine} {' '.join(words)}", share, {n: float(v[0]) for n, v in told.items()}, values


def main() -> None:
    print("| deployment | share | " + " | ".join(f"{n} mean, p99" for n in NAMES) + " |")
    print("| :-- " + "| --: " * (len(NAMES) + 1) + "|")
    for words, share, told, values in rows():
        cells = [
            f"{told[n] / values[n].mean() - 1.0:+.0%}, {told[n + '_p99'] / np.percentile(values[n], 99) - 1.0:+.0%}"
            for n in NAMES
        ]
        print(f"| {words} | {share:.0%} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
