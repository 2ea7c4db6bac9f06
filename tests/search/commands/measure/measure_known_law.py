"""A made-up accelerator and law, a grid of calls on it, and the timings that the law gives them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from costmodel.hardware import Accelerator
from search.commands.measure import attention, gemm, memory
from search.commands.measure.fit import batches, predict
from search.commands.measure.main import class_default
from search.commands.measure.records import Timing

CHIP = Accelerator("made up", 64e9, 2e12, {"bf16": 400e12, "fp8": 800e12})
LAW = {part: dict(values) for part, values in class_default().items()}
LAW["rates"] = {"bandwidth_share": 0.78, "halving_share": 0.85}
LAW["gemm"] = {
    "peak_share": 0.66, "launch_s": 6e-6, "k_step_s": 1.1e-9, "quantise_s": 5e-6, "quantise_k_step_s": 7e-10,
}  # fmt: skip
LAW["elementwise"]["launch_s"] = 2.5e-6
LAW["prefill"] |= {"peak_share": 0.6, "exponentials_per_s": 0.9e12, "tile_tokens": 200.0, "launch_s": 9e-6}
LAW["decode"] |= {"peak_share": 0.05, "tile_tokens": 40.0, "head_bytes": 6000.0, "split_s": 9e-6, "launch_s": 4e-6}


def shapes(dtypes: tuple[str, ...] = ("bf16", "fp8")) -> list[Timing]:
    cases = [*gemm.cases(dtypes, False), *memory.cases(False)]
    cases += [*attention.prefill_cases(False), *attention.decode_cases(False)]
    return [case.shape for case in cases]


def timed(rows: list[Timing], noise: float = 0.0, seed: int = 0) -> list[Timing]:
    """Seconds by the law, times exp(noise * normal)."""
    draw = np.random.default_rng(seed)
    out = []
    for row in rows:
        seconds = float(predict(LAW, batches([replace(row, seconds=1.0)])[0], CHIP)[0])
        out.append(replace(row, seconds=seconds * float(np.exp(noise * draw.normal()))))
    return out
