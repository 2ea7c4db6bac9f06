"""Accelerators as start logs name them."""

from __future__ import annotations

import re
from dataclasses import replace

from costmodel.hardware import Accelerator
from costmodel.memory.device import DRIVER_BYTES, DRIVER_SHARE
from search.base.errors import InputError
from search.inputs.config import read_hardware
from search.inputs.hardware_catalog import find_hardware, load_hardware
from search.inputs.models.catalog import plain

GIB, MIB = 2**30, 2**20
# Cards that the catalog of accelerators lacks, because nothing is known of their speed here: MiB as nvidia-smi (or
# rocm-smi) totals them, in console outputs of public repositories, and one of the catalog with the same units.
CARDS: dict[str, tuple[int, str]] = {
    "t4": (15360, "a100_40gb_sxm"), "rtx 2060": (12288, "a100_40gb_sxm"), "rtx 2080 ti": (11264, "a100_40gb_sxm"),
    "v100 sxm2 16gb": (16384, "a100_40gb_sxm"), "v100 16gb": (16384, "a100_40gb_sxm"),
    "v100 32gb": (32768, "a100_40gb_sxm"), "v100": (16384, "a100_40gb_sxm"), "rtx 3060": (12288, "a100_40gb_sxm"),
    "rtx 3080": (10240, "a100_40gb_sxm"), "rtx 3080 ti": (12288, "a100_40gb_sxm"),
    "rtx 3090 ti": (24564, "a100_40gb_sxm"), "a30": (24576, "a100_40gb_sxm"), "rtx a5000": (24564, "a100_40gb_sxm"),
    "rtx a4000": (16376, "a100_40gb_sxm"), "a100 40gb": (40960, "a100_40gb_sxm"), "a100": (81920, "a100_80gb_sxm"),
    "l20": (46068, "l40s"), "l20 48gb": (46068, "l40s"), "rtx 4060 ti": (16380, "l40s"),
    "rtx 4070 laptop": (8188, "l40s"), "rtx 4070": (12282, "l40s"), "rtx 4070 ti super": (16376, "l40s"),
    "rtx 4080": (16376, "l40s"), "rtx 4090d": (24564, "l40s"), "rtx 4090 48gb": (49140, "l40s"),
    "rtx 4090 laptop": (16376, "l40s"), "h20 141gb": (143771, "h200_sxm"), "h20 3e": (143771, "h200_sxm"),
    "h20": (97871, "h20_96gb"), "gh200 96gb": (97871, "h100_sxm"), "gh200": (97871, "h100_sxm"),
    "rtx 5060 ti": (16311, "rtx_pro_6000"), "rtx 5070 ti": (16303, "rtx_pro_6000"),
    "rtx 5080": (16303, "rtx_pro_6000"), "rtx 5090 laptop": (24463, "rtx_pro_6000"),
    "rtx pro 5000": (48935, "rtx_pro_6000"), "rtx pro 4500": (32623, "rtx_pro_6000"),
    "rtx pro 4000": (24467, "rtx_pro_6000"), "rtx pro 6000": (97887, "rtx_pro_6000"),
    "arc pro b70": (32768, "mi300x"), "arc pro b60": (24576, "mi300x"), "gb10": (124600, "rtx_pro_6000"),
    "dgx spark": (124600, "rtx_pro_6000"),
}  # fmt: skip
UNIFIED = ("gb10", "dgx spark", "jetson", "strix halo", "thor")  # memory shared with the host


def card_of(printed: str, total_gib: float | None) -> Accelerator:
    """The accelerator that a log means, with the memory that it prints where it does; ``InputError`` for an unknown
    one. A printed total is what CUDA reports, unless it is that of nvidia-smi: then the driver's part comes off it."""
    base, mib = _known(printed)
    memory = float(base.memory_bytes if mib is None else mib * MIB)
    if total_gib is not None and abs(total_gib * GIB - memory) > 0.1 * GIB:
        memory = total_gib * GIB
        if base.vendor == "NVIDIA":
            memory = (memory + DRIVER_BYTES) / (1.0 - DRIVER_SHARE)
    return replace(base, name=printed, memory_bytes=memory)


def shared_memory(printed: str) -> bool:
    """Whether the accelerator's memory is the host's too."""
    return any(word in printed.lower() for word in UNIFIED)


def _known(printed: str) -> tuple[Accelerator, int | None]:
    """The longest name of a card that the text begins with, in the catalog or in ``CARDS``."""
    words = re.sub(r"[(),]", " ", printed.lower().replace("nvidia", "").replace("geforce", "")).split()
    for n in range(len(words), 0, -1):
        text = " ".join(words[:n])
        if text in CARDS:
            mib, like = CARDS[text]
            return read_hardware(load_hardware(like)), mib
        try:
            return read_hardware(load_hardware(find_hardware(plain(text)))), None
        except InputError:
            continue
    raise InputError(f"accelerator {printed!r} is not known")
