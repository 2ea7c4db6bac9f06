"""The three accelerators that the kernel tables were measured on, from their datasheets (dense peaks).

Sources: NVIDIA H100 SXM, H200 SXM and HGX B200 datasheets. The fit uses nothing else about an accelerator.
"""

from __future__ import annotations

from costmodel.hardware import Accelerator

DATASHEETS: dict[str, Accelerator] = {
    a.name: a
    for a in (
        Accelerator("h100_sxm", 80e9, 3.35e12, {"bf16": 989e12, "fp8": 1979e12, "int8": 1979e12}, 450e9),
        Accelerator("h200_sxm", 141e9, 4.8e12, {"bf16": 989e12, "fp8": 1979e12, "int8": 1979e12}, 450e9),
        Accelerator("b200_sxm", 180e9, 8e12, {"bf16": 2250e12, "fp8": 4500e12, "fp4": 9000e12}, 900e9),
    )
}
