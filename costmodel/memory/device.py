"""Bytes of an accelerator that a program can have at all."""

from __future__ import annotations

from costmodel.hardware import Accelerator
from costmodel.working_memory import GIB

# What NVIDIA's driver and page tables keep: the total of nvidia-smi less that of cudaMemGetInfo, in GiB. H100 79.65 and
# 79.19, H200 140.40 and 139.81, B200 179.06 and 178.35, RTX PRO 6000 95.59 and 94.97, RTX 5090 31.84 and 31.36, L4
# 22.49 and 22.04, A100 80.00 and 79.25 (both totals as printed in public logs): a constant and a share fit within 0.2.
DRIVER_BYTES = 0.4 * GIB
DRIVER_SHARE = 0.002


def usable_bytes(accelerator: Accelerator) -> float:
    """The total that an engine takes its share of."""
    if accelerator.vendor != "NVIDIA":
        return accelerator.memory_bytes
    return accelerator.memory_bytes * (1.0 - DRIVER_SHARE) - DRIVER_BYTES
