"""Attention of prompts and of decoding sequences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from costmodel.efficiency import Times
from costmodel.hardware import Accelerator
from costmodel.laws.rates import Rates, overlap
from costmodel.operations import Work


@dataclass(frozen=True)
class PrefillLaw:
    """Attention of prompts: ``m`` tokens, ``n`` heads, ``k`` pairs a token (half the prompt when causal).

        products = flops / (peak * peak_share)
        softmax  = m n k / exponentials_per_s
        compute  = overlap(products, softmax) * (k + tile_tokens) / k
        memory   = io_passes * bytes / (bandwidth * bandwidth_share)
        seconds  = compute + memory + launch_s

    ``exponentials_per_s``: rate of the special function units, which did not grow with the peak from Hopper to
    Blackwell (FlashAttention-4; Shah et al., FlashAttention-3, arXiv:2407.08608, section 3.1); it is why small heads
    and fp8 are far from their peak. ``tile_tokens``: the masked part of the diagonal tiles and the padding of short
    prompts. ``io_passes``: queries, outputs and new cache entries travel again in the kernels around (rotary
    embedding, cache write). Valid for prompts of 64 tokens upwards, head dimensions 64 to 256.
    """

    peak_share: float
    exponentials_per_s: float
    tile_tokens: float
    io_passes: float
    launch_s: float

    def times(self, work: Work, accelerator: Accelerator, rates: Rates) -> Times:
        pairs = np.maximum(work.k, 1.0)
        rows = work.m * work.n
        products = work.flops / (accelerator.peak(work.dtype) * self.peak_share)
        softmax = rows * pairs / self.exponentials_per_s
        compute = overlap(products, softmax) * (1.0 + self.tile_tokens / pairs)
        memory = work.bytes * (self.io_passes / rates.bytes_per_s(accelerator))
        return Times(compute + memory + self.launch_s * (rows > 0), compute, memory)


@dataclass(frozen=True)
class DecodeLaw:
    """One new token of ``m`` sequences, ``n`` heads, ``k`` tokens of context; also on the latent cache of MLA.

        memory  = (kv_bytes * overlap(k, tile_tokens) / k + io_bytes + head_bytes * m n) / (bandwidth * bandwidth_share)
        compute = flops / (peak * peak_share)
        seconds = overlap(compute, memory) + launch_s + split_s * k / (k + tile_tokens)

    ``tile_tokens``: a block of threads needs as long as so many tokens take, however few it reads, and starts while
    others stream: beside long contexts that costs nothing. ``head_bytes``: partial results of
    a head (FlashDecoding), worth that many bytes. ``split_s``: the second kernel that adds up the parts of long
    contexts. ``peak_share`` is low because one query row fills little of a tile. Valid for 1 to 2048 sequences and
    contexts of 1 to 131072.
    """

    peak_share: float
    tile_tokens: float
    head_bytes: float
    split_s: float
    launch_s: float

    def times(self, work: Work, accelerator: Accelerator, rates: Rates) -> Times:
        context = np.maximum(work.k, 1.0)
        tile = self.tile_tokens / context
        rows = work.m * work.n
        moved = work.kv_bytes * overlap(1.0, tile) + work.io_bytes + work.weight_bytes + self.head_bytes * rows
        memory = moved / rates.bytes_per_s(accelerator)
        compute = work.flops / (accelerator.peak(work.dtype) * self.peak_share)
        fixed = (self.launch_s + self.split_s / (1.0 + tile)) * (rows > 0)
        return Times(overlap(compute, memory) + fixed, compute, memory)
