"""Efficiency laws: how long a piece of work takes on an accelerator.

A law is handed to ``evaluate`` through the scenario. ``FlatLaw`` is the roofline (Williams, Waterman, Patterson, CACM
2009) with one share of the peak and one share of the bandwidth for everything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, NamedTuple, Protocol

import numpy as np

from costmodel.fields import Quantity
from costmodel.hardware import Accelerator
from costmodel.operations import Work, Writer


class Times(NamedTuple):
    """``seconds`` of a call, and its two bounds: computing alone, moving bytes alone."""

    seconds: Any
    compute_s: Any
    memory_s: Any


@dataclass(frozen=True)
class ExpertKernels:
    """How many times the law's time an engine's expert kernels take: ``fp4`` and ``unpacked`` (formats that the
    accelerator has no units for) but for the fixed cost; ``blocks`` (FP8 scaled in blocks) for each row of a product,
    ``padding`` for the rows of padding of an expert, which are ``block_rows`` with blocks where that is given;
    ``launch`` of the fixed cost, but with blocks; ``fp4_io`` of the passes over inputs and outputs of FP4 experts."""

    fp4: float = 1.0
    fp4_io: float = 1.0
    launch: float = 1.0
    unpacked: float = 1.0
    padding: float = 1.0
    blocks: float = 1.0
    block_rows: float = 0.0


USUAL = ExpertKernels()


@dataclass(frozen=True)
class ProductKernels:
    """How an engine's matrix products differ: ``rate`` of all of them over the law's, ``block_bytes`` an element that
    quantising the inputs of FP8 products scaled in blocks moves (0: the law's)."""

    rate: float = 1.0
    block_bytes: float = 0.0


ALIKE = ProductKernels()

Inputs = frozenset[tuple[Writer | None, str]]  # of products: the operation that writes them, and their format
NONE: Inputs = frozenset()


class EfficiencyLaw(Protocol):
    def times(self, work: Work, accelerator: Accelerator) -> Times:
        """Seconds of ``work``; never below ``max(compute_s, memory_s)`` at the law's own ceilings."""
        ...

    def with_launches(
        self, share: float, *, fused: Inputs = NONE, even: Inputs = NONE, experts: ExpertKernels = USUAL,
        products: ProductKernels = ALIKE,
    ) -> EfficiencyLaw:  # fmt: skip
        """The same law with its fixed costs a call scaled by ``share``: CUDA graphs and dependent launches hide some.
        ``fused``: which inputs are quantised by the operation before; ``even``: of which FP8 inputs the product takes
        as many rows as there are, no whole tiles. ``experts``, ``products``: how the engine's kernels differ."""
        ...

    def ceilings(self, accelerator: Accelerator, dtype: str) -> tuple[float, float]:
        """The best FLOP/s of a dtype and bytes/s that the law ever grants: they set the physical limit."""
        ...


@dataclass(frozen=True)
class FlatLaw:
    """``mfu`` share of peak FLOP/s, ``bandwidth`` share of peak bytes/s, ``launch_s`` for each call."""

    mfu: Annotated[float, Quantity("share of the peak FLOP/s", 0, 1, above=True)]
    bandwidth: Annotated[float, Quantity("share of the peak bytes/s", 0, 1, above=True)]
    launch_s: Annotated[float, Quantity("of a call", 0, 1)] = 0.0

    def times(self, work: Work, accelerator: Accelerator) -> Times:
        flops_per_s, bytes_per_s = self.ceilings(accelerator, work.dtype)
        compute, memory = work.flops / flops_per_s, work.bytes / bytes_per_s
        bound = np.maximum(compute, memory)
        return Times(bound + self.launch_s * (bound > 0) if self.launch_s else bound, compute, memory)

    def with_launches(
        self, share: float, *, fused: Inputs = NONE, even: Inputs = NONE, experts: ExpertKernels = USUAL,
        products: ProductKernels = ALIKE,
    ) -> FlatLaw:  # fmt: skip
        return replace(self, launch_s=self.launch_s * share)

    def ceilings(self, accelerator: Accelerator, dtype: str) -> tuple[float, float]:
        return accelerator.peak(dtype) * self.mfu, accelerator.memory_bytes_per_s * self.bandwidth
