"""Work that mostly moves bytes: norms, activations, rotary embedding, state-space scans."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.efficiency import Times
from costmodel.hardware import Accelerator
from costmodel.laws.rates import Rates, overlap
from costmodel.operations import Work


@dataclass(frozen=True)
class StreamLaw:
    """seconds = overlap(flops / (peak * peak_share), bytes / (bandwidth * bandwidth_share)) + launch_s.

    No table measures these: ``launch_s`` and ``peak_share`` are assumptions.
    """

    peak_share: float
    launch_s: float

    def times(self, work: Work, accelerator: Accelerator, rates: Rates) -> Times:
        memory = work.bytes / rates.bytes_per_s(accelerator)
        launch = self.launch_s * (work.m > 0)
        if isinstance(work.flops, float) and work.flops == 0.0:
            return Times(memory + launch, 0.0, memory)
        compute = work.flops / (accelerator.peak(work.dtype) * self.peak_share)
        return Times(overlap(compute, memory) + launch, compute, memory)
