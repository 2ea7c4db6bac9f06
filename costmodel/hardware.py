"""An accelerator as its datasheet and its driver describe it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from costmodel.fields import Quantity

# What an engine multiplies in when the accelerator has no units for the format: the next one in the row that it has
# (vLLM 0.33: Marlin kernels keep FP8 and FP4 weights packed and multiply in bf16 where cutlass has no kernel).
FALLBACK = {"fp4": ("fp4", "bf16"), "fp8": ("fp8", "bf16"), "int8": ("int8", "bf16"), "fp32": ("fp32", "bf16")}


def maybe_nvidia(vendor: str) -> bool:
    """True unless a file names another vendor."""
    return vendor in ("", "unspecified", "NVIDIA")


@dataclass(frozen=True)
class Accelerator:
    """One device. Ranges hold whatever could be built and leave out what was written in another unit
    (``memory_bytes: 96``): ``costmodel.fields``."""

    name: str
    vendor: str = field(default="", kw_only=True)  # as printed
    memory_bytes: Annotated[float, Quantity("what the driver reports for one device", 1e8, 1e14)]
    datasheet_memory_bytes: Annotated[float | None, Quantity("what is printed", 1e8, 1e14)] = field(
        default=None, kw_only=True
    )
    memory_bytes_per_s: Annotated[float, Quantity("peak bandwidth of the memory", 1e9, 1e15)]
    peak_flops: Annotated[Mapping[str, float], Quantity("dense FLOP/s by compute dtype", 1e8, 1e19)]
    link_bytes_per_s: Annotated[
        float | None, Quantity("what one accelerator sends in one direction to its neighbours in the node", 1e7, 1e14)
    ] = None
    power_w: Annotated[float | None, Quantity("limit of the board's power, watts", 0, 1e5, above=True)] = None
    price_per_hour: Annotated[float | None, Quantity("US dollars of one accelerator", 0, 1e5, above=True)] = None
    dependent_launch: bool = True  # kernels can start before those that they wait for have ended (costmodel.launches)

    @property
    def nvidia(self) -> bool:
        """True unless another vendor is named."""
        return maybe_nvidia(self.vendor)

    @property
    def hopper(self) -> bool:
        """True for NVIDIA accelerators of compute capability 9, which have FP8 and no FP4 units."""
        return self.nvidia and self.dependent_launch and "fp8" in self.peak_flops and "fp4" not in self.peak_flops

    @property
    def blackwell(self) -> bool:
        """True for NVIDIA accelerators of compute capability 10 and 12, which have FP4 units."""
        return self.nvidia and self.dependent_launch and "fp4" in self.peak_flops

    @property
    def amd(self) -> bool:
        return self.vendor == "AMD"

    @property
    def cdna3(self) -> bool:
        """True for AMD accelerators that have FP8 and no FP4 units: MI300X, MI325X."""
        return self.amd and "fp8" in self.peak_flops and "fp4" not in self.peak_flops

    def compute_dtype(self, wanted: str) -> str:
        """The dtype that products of a ``wanted`` format are computed in here; ``ValueError`` if there is none."""
        for dtype in FALLBACK.get(wanted, (wanted, "bf16")):
            if dtype in self.peak_flops:
                return dtype
        raise ValueError(f"accelerator {self.name!r} has no peak for {wanted!r}, nor one to fall back to")

    def peak(self, wanted: str) -> float:
        """Dense FLOP/s for a wanted dtype, after the fallback."""
        return self.peak_flops[self.compute_dtype(wanted)]
