"""What was probably meant by a number in another unit."""

from __future__ import annotations

import math

import pytest

from costmodel.fields import Quantity
from search.base.errors import InputError
from search.inputs.checks import number
from search.inputs.meant import meant


@pytest.mark.parametrize(
    ("key", "value", "low", "high", "said"),
    [
        ("limits.tpot_s", 40, 0, 10, "0.04 if ms were meant"),
        ("hardware.memory_bytes", 96, 1e8, 1e14, "9.6e+10 if GB were meant"),
        ("hardware.memory_bytes_per_s", 4.8, 1e9, 1e15, "4.8e+12 if TB/s were meant"),
        ("hardware.memory_bytes_per_s", 4800, 1e9, 1e15, "4.8e+12 if GB/s were meant"),
        ("hardware.peak_flops.fp8", 1979, 1e8, 1e19, "1.979e+15 if TFLOP/s were meant"),
        ("hardware.link_bytes_per_s", 450, 1e7, 1e14, "4.5e+11 if GB/s were meant or 5.625e+10 if Gb/s were meant"),
        ("cluster.tiers[0].latency_s", 5, 0, 1, "5e-06 if us were meant"),
        ("cluster.tiers[0].efficiency", 61, 0, 1, "0.61 if percent were meant"),
        ("workload.prefix_hit", 30, 0, 0.999, "0.3 if percent were meant"),
        ("limits.min_requests_per_s", 1e9, 0, 1e7, ""),  # a rate has no other unit
        ("workload.isl", 0, 0, 1e7, ""),
        ("limits.memory_fraction", 400, 0, 1, ""),
        ("hardware.memory_bytes", -96, 1e8, 1e14, ""),
        ("hardware.memory_bytes", math.nan, 1e8, 1e14, ""),
        ("hardware.memory_bytes", None, 1e8, 1e14, ""),
    ],
)
def test_units(key: str, value: float | None, low: float, high: float, said: str) -> None:
    assert meant(key, value, low, high) == said
    with pytest.raises(InputError) as error:
        number(key, value, low, high)
    assert str(error.value).endswith(f"; {said}" if said else Quantity("", low, high).span)
