"""Matrix products: dense, and grouped over experts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.efficiency import NONE, USUAL, ExpertKernels, Inputs, Times
from costmodel.hardware import Accelerator
from costmodel.laws.rates import HALVINGS, Rates, overlap
from costmodel.operations import Work

# The fewest rows that a tensor core multiplies: wgmma (sm_90) has M = 64, tcgen05 (sm_100) 64 or 128 (PTX ISA 8.7), and
# libraries for older chips tile by as many. Fewer rows take as long. That is nothing where there are 300 FLOPs to a
# byte and rules a single sequence where there are few (H20: 37 in bf16, and 64 rows of 16-bit weights need 64).
TILE_ROWS = 64.0
# Kernels that scale FP8 inputs as they come (CUTLASS, DeepGEMM) compute whole tiles of rows on Hopper; cuBLAS does not,
# nor do the B200's, SGLang's a little (docs/laws.md). Rows of a tile up to ``TALL_FROM``, and above.
TILE, TALL_FROM, TALL_TILE = 128.0, 256.0, 256.0
# A bf16 input is read (2) and written at one byte (1); half a byte in fp4 is neglected. Quantising in groups, as SGLang
# does apart from its FP8 block products, moves 2.9 to 3.5 bytes an element in the kernel tables (docs/laws.md).
QUANTISED_BYTES = 3.0
# The same in NVFP4, of SGLang (FlashInfer's kernel) on the B200, the only accelerator with FP4 in the tables: seconds a
# call (with what a product in FP4 costs beyond one in bf16), seconds an element of k, bytes an element.
FP4_QUANTISE_S, FP4_QUANTISE_K_STEP_S, FP4_QUANTISED_BYTES = 1.7e-6, 1.96e-10, 3.7


@dataclass(frozen=True)
class GemmLaw:
    """m x k times k x n on one accelerator.

        compute = 2 n k rows / (peak * peak_share * halving_share^h)
        memory  = bytes / (bandwidth * bandwidth_share)
        seconds = max(overlap(compute, memory), compute of TILE_ROWS rows) + launch_s + k * k_step_s
                  [+ quantise_s + k * quantise_k_step_s + quantise_bytes m k / bandwidth]

    ``k_step_s``: seconds for each element of k: a tile walks along k on one SM, however few tiles there are; this is
    the tile saturation T / (T + T_half) and the bandwidth saturation bytes / (bytes + b_half) written as additions,
    which is what the rational saturations amount to. ``rows``: m, or in FP8 on Hopper those of ``whole_tiles``, but for
    products that are ``even`` (what writes their input, and its format). The bracket: products in fp8, int8 or fp4
    quantise their input first, a kernel of its own (``quantise_s``, its walk along k for the scales, and its traffic;
    ``fp4_`` its own in fp4, ``block_bytes`` an engine's own of weights scaled in blocks), unless the engine has the
    operation before write them so (``fused``). Valid for n and k from 512 on, and m from 1 to 32768.
    """

    peak_share: float
    launch_s: float
    k_step_s: float
    quantise_s: float
    quantise_k_step_s: float
    quantise_bytes: float = QUANTISED_BYTES
    fp4_quantise_s: float = FP4_QUANTISE_S
    fp4_quantise_k_step_s: float = FP4_QUANTISE_K_STEP_S
    fp4_quantise_bytes: float = FP4_QUANTISED_BYTES
    fused: Inputs = NONE
    even: Inputs = NONE
    block_bytes: float = 0.0

    def times(self, work: Work, accelerator: Accelerator, rates: Rates) -> Times:
        bandwidth = rates.bytes_per_s(accelerator)
        rate = rates.product_flops_per_s(accelerator, work.dtype, self.peak_share)
        compute = self._flops(work, accelerator) / rate
        memory, there = work.bytes / bandwidth, work.of_rows(any_rows)
        fixed = self.launch_s + work.k * self.k_step_s
        seconds = overlap(compute, memory)
        # Seconds of one weight in a tile; they cannot rule where the smallest weight, 0.56 bytes, takes longer to come.
        tile_s = 2.0 * TILE_ROWS / rate
        if tile_s * bandwidth > 0.5625:
            seconds = np.maximum(seconds, work.n * work.k * tile_s * there)
        halvings = HALVINGS.get(accelerator.compute_dtype(work.dtype), 0)
        if halvings and (work.written_by, work.dtype) not in self.fused:
            call, step, moved = self._quantising(halvings)
            moved = self.block_bytes if work.blocks and self.block_bytes else moved
            fixed = fixed + call + work.k * step
            seconds += work.m * work.k * (moved / bandwidth)
        seconds += fixed * there
        return Times(seconds, compute, memory)

    def _flops(self, work: Work, accelerator: Accelerator) -> Any:
        tiled = accelerator.hopper and accelerator.compute_dtype(work.dtype) == "fp8"
        if not tiled or (work.written_by, work.dtype) in self.even:
            return work.flops
        return 2.0 * work.n * work.k * work.of_rows(whole_tiles)

    def _quantising(self, halvings: int) -> tuple[float, float, float]:
        """Seconds a call and an element of k, and bytes an element, of the kernel that quantises the input."""
        if halvings == 2:
            return self.fp4_quantise_s, self.fp4_quantise_k_step_s, self.fp4_quantise_bytes
        return self.quantise_s, self.quantise_k_step_s, self.quantise_bytes


@dataclass(frozen=True)
class ExpertsLaw:
    """One matrix of all experts that are hit: ``groups`` products of k x n that share ``m`` rows.

        compute = 2 n k (m [* kernels.blocks] + padding * groups) / (peak * peak_share * halving_share^h)
        weights = weight_bytes / (bandwidth * bandwidth_share)
        seconds = overlap(compute, weights) + (io_passes * io_bytes + token_passes * token_bytes) / bandwidth + launch_s

    ``padding``: rows of an expert's last tile, ``tile_rows`` unless ``kernels`` (where an engine's are not the usual
    ones, ``costmodel.launches``) has others; where the work says that the engine's kernel pads every expert to larger
    tiles, m and padding are the rows of whole such tiles. ``io_passes``: how often inputs and outputs travel: sorting
    tokens by expert, quantising and adding up the results are kernels of their own. ``token_passes``: how often the
    rank's tokens do, also those whose experts are on other ranks. ``launch_s``: half of the fixed cost of a layer's two
    products with routing and sorting. Valid for 1 row an expert upwards.
    """

    peak_share: float
    launch_s: float
    tile_rows: float
    io_passes: float
    token_passes: float
    kernels: ExpertKernels = USUAL

    def times(self, work: Work, accelerator: Accelerator, rates: Rates) -> Times:
        bandwidth = rates.bytes_per_s(accelerator)
        rows, padding = work.m, self.tile_rows * self.kernels.padding
        if work.tile_rows > self.tile_rows:
            rows, padding = in_whole_tiles(rows, work.groups, work.tile_rows), 0.0
        elif work.blocks and self.kernels.block_rows:
            padding = self.kernels.block_rows
        if work.blocks:
            rows = rows * self.kernels.blocks
        flops = 2.0 * work.n * work.k * (rows + padding * work.groups)
        compute = flops / rates.product_flops_per_s(accelerator, work.dtype, self.peak_share)
        weights = work.weight_bytes / bandwidth
        fp4 = HALVINGS.get(accelerator.compute_dtype(work.dtype), 0) == 2
        passes = self.io_passes * (self.kernels.fp4_io if fp4 else 1.0)
        tokens_s = work.token_bytes * (self.token_passes / bandwidth)
        moved = (work.io_bytes + work.kv_bytes) * (passes / bandwidth) + tokens_s
        launch = self.launch_s if work.blocks else self.launch_s * self.kernels.launch
        seconds = overlap(compute, weights) + moved
        if fp4:
            seconds = seconds * self.kernels.fp4
        elif accelerator.compute_dtype(work.dtype) != work.dtype:
            seconds = seconds * self.kernels.unpacked
        seconds = seconds + launch * (work.m > 0)
        return Times(seconds, compute, weights + moved)


def any_rows(rows: Any) -> Any:
    return rows > 0


def whole_tiles(rows: Any) -> Any:
    """``rows`` that a product in whole tiles computes. Within the first ``TILE_ROWS`` they are what they are: those
    rule by themselves."""
    tile = np.where(rows <= TALL_FROM, TILE, TALL_TILE)
    return np.where(rows <= TILE_ROWS, rows, np.ceil(rows / tile) * tile)


def in_whole_tiles(rows: Any, experts: Any, tile: float) -> Any:
    """``rows`` of ``experts`` where each has whole tiles of so many, one at least: with exponentially distributed rows
    (a popularity whose variance is its mean squared) 1 / (1 - exp(-tile / mean)) tiles in the mean, which is one for
    few rows, and half a tile more than there are for many."""
    mean = np.maximum(rows, 1e-9) / np.maximum(experts, 1e-9)
    return experts * tile / -np.expm1(-tile / mean)
