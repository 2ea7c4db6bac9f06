"""Work that only moves bytes: a copy (one read, one write) and an addition (two reads, one write) in 16 bits.

Large ones give the bandwidth of a long stream, small ones the fixed cost of a short kernel.
"""

from __future__ import annotations

from collections.abc import Sequence

from search.commands.measure.bench import Case
from search.commands.measure.device import Device
from search.commands.measure.records import Timing
from search.commands.measure.timing import Call

SIZES = tuple(1 << power for power in range(16, 31, 2))  # bytes of one operand
QUICK_SIZES = tuple(1 << power for power in range(16, 27, 2))


def cases(quick: bool) -> list[Case]:
    sizes = QUICK_SIZES if quick else SIZES
    return [_copy(size) for size in sizes] + [_add(size) for size in sizes]


def _copy(size: int) -> Case:
    def make(device: Device) -> Call:
        source, target = device.random(device.half, size // 2), device.empty(device.half, size // 2)
        return lambda: target.copy_(source)

    return Case(Timing("elementwise", "torch copy", "bf16", bytes=2 * size), 0.0, 2.0 * size, make)


def _add(size: int) -> Case:
    def make(device: Device) -> Call:
        a, b = (device.random(device.half, size // 2) for _ in range(2))
        out = device.empty(device.half, size // 2)
        return lambda: device.torch.add(a, b, out=out)

    return Case(Timing("elementwise", "torch add", "bf16", bytes=3 * size), 0.0, 3.0 * size, make)


def bandwidth(rows: Sequence[Timing]) -> float:
    """Bytes/s of the fastest among the largest copies and additions (a quarter of the largest size and up)."""
    streams = [row for row in rows if row.kind == "elementwise"]
    largest = max(row.bytes for row in streams)
    return max(row.bytes / row.seconds for row in streams if row.bytes >= largest / 4)
