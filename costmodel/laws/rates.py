"""What the laws share: the achieved rates of an accelerator, and how compute and memory time combine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from costmodel.hardware import Accelerator

# How many times the element is halved from 16 bits.
HALVINGS = {"fp32": 0, "bf16": 0, "fp8": 1, "int8": 1, "fp4": 2}


@dataclass(frozen=True)
class Rates:
    """``bandwidth_share`` of the datasheet's bytes/s that a long stream reaches, in (0, 1].

    ``halving_share``: each halving of the element doubles the peak on paper; of the gain's factor two, matrix
    products keep ``2 * halving_share`` (power limits, epilogues that stay in bf16). In (0, 1].

    ``sustained_share``: rate of matrix products in serving over that of the same kernels timed alone, as the tables
    have it. Below 1 where the power limit slows long prefills down, above 1 where engines fuse what the tables time
    with the product (quantising its input). It belongs to the accelerator's generation, not to the law's file."""

    bandwidth_share: float
    halving_share: float
    sustained_share: float = 1.0

    def quicker(self, rate: float) -> Rates:
        """Products in serving at ``rate`` times the speed, not beyond that of kernels timed alone."""
        share = self.sustained_share
        return self if rate == 1.0 else replace(self, sustained_share=max(share, min(share * rate, 1.0)))

    def bytes_per_s(self, accelerator: Accelerator) -> float:
        return accelerator.memory_bytes_per_s * self.bandwidth_share

    def product_flops_per_s(self, accelerator: Accelerator, dtype: str, peak_share: float) -> float:
        """peak(dtype) * peak_share * sustained_share * halving_share ** halvings, FLOP/s, after the accelerator's
        fallback."""
        computed = accelerator.compute_dtype(dtype)
        share = peak_share * self.sustained_share * self.halving_share ** HALVINGS.get(computed, 0)
        return accelerator.peak_flops[computed] * share


def overlap(compute_s: Any, memory_s: Any) -> Any:
    """sqrt(compute^2 + memory^2): the maximum where one rules, 1.41 times it where both take as long.

    Waves of tiles load and multiply by turns, so a product near the ridge reaches neither ceiling. Smooth, increasing
    in both, never below either. On the GEMM tables it beats the maximum and the sum (docs/laws.md)."""
    squares = compute_s * compute_s + memory_s * memory_s
    return np.sqrt(squares, out=squares) if isinstance(squares, np.ndarray) else np.sqrt(squares)
