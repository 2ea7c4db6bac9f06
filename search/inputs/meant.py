"""What somebody probably meant who wrote a number in another unit than its name says."""

from __future__ import annotations

import math

# By the end of a name that states an SI unit: other units, how many SI units they are, and between which values such
# figures usually lie; the first end that fits counts.
UNITS: tuple[tuple[str, dict[str, float], tuple[float, float]], ...] = (
    ("memory_bytes_per_s", {"TB/s": 1e12, "GB/s": 1e9}, (1e10, 1e14)),
    ("bytes_per_s", {"GB/s": 1e9, "Gb/s": 1e9 / 8}, (1e9, 1e13)),
    ("_per_s", {}, (0.0, 0.0)),
    ("_bytes", {"GB": 1e9, "TB": 1e12}, (1e8, 1e13)),
    ("flops", {"TFLOP/s": 1e12, "PFLOP/s": 1e15}, (1e12, 5e16)),
    ("latency_s", {"us": 1e-6, "ms": 1e-3}, (1e-7, 1e-3)),
    ("_s", {"ms": 1e-3}, (1e-4, 1e4)),
)
PERCENT = 1e-2


def meant(key: str, value: float | None, low: float, high: float) -> str:
    """``"0.04 if ms were meant"`` for a value that another unit puts where it is allowed (``low`` to ``high``) and
    usual; several joined by ``or``; nothing where no unit does. The unit is that of the last name in ``key`` that has
    one; shares, whose ``high`` is about 1, may have been written in percent."""
    if value is None or not math.isfinite(value) or value <= 0.0:
        return ""
    for name in reversed(key.split(".")):
        for end, units, (least, most) in UNITS:
            if name.endswith(end):
                low, high = max(low, least), min(high, most)
                fitting = {unit: value * size for unit, size in units.items() if low <= value * size <= high}
                return " or ".join(f"{said:.4g} if {unit} were meant" for unit, said in fitting.items())
    return f"{value * PERCENT:.4g} if percent were meant" if 0.9 < high <= 1.0 < value <= 100.0 else ""
