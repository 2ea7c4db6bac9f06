"""A case of a grid, and running many: what does not fit, or takes too long on this device, is left out and counted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from search.commands.measure.device import Device
from search.commands.measure.records import Timing
from search.commands.measure.timing import Call, Effort, Timed, time_calls

WASH = 3.0  # the copies of the operands together are this many times the cache
MOST_COPIES = 512


@dataclass(frozen=True)
class Case:
    """``shape``: the record without its seconds. ``flops`` and ``bytes`` of one call, to foresee its time and memory.
    ``make`` allocates fresh operands on the device and returns the call on them."""

    shape: Timing
    flops: float
    bytes: float
    make: Callable[[Device], Call]


@dataclass
class Pace:
    """What decides whether a case is worth its time. ``flops_per_s`` and ``bytes_per_s``: the best seen so far."""

    effort: Effort
    most_s: float  # of a single call
    flops_per_s: float = 1e9
    bytes_per_s: float = 1e9
    left_out: Counter[str] = field(default_factory=Counter)

    def foresee(self, case: Case) -> float:
        return case.flops / self.flops_per_s + case.bytes / self.bytes_per_s

    def learn(self, case: Case, seconds: float) -> None:
        self.flops_per_s = max(self.flops_per_s, case.flops / seconds)
        self.bytes_per_s = max(self.bytes_per_s, case.bytes / seconds)


def copies_for(bytes_of_one: float, cache_bytes: float, room_bytes: float) -> int:
    """How many copies of the operands wash the cache ``WASH`` times over, within the memory: 0 if not even one fits."""
    fitting = int(room_bytes // max(1.0, bytes_of_one))
    wanted = max(2, math.ceil(WASH * cache_bytes / max(1.0, bytes_of_one)))
    return min(wanted, MOST_COPIES, fitting)


def run(device: Device, cases: Sequence[Case], pace: Pace) -> list[Timing]:
    """Time the cases from the smallest to the largest, so that those too long are known before they are begun."""
    rows = []
    room = device.free_bytes()
    for case in sorted(cases, key=lambda c: c.flops + 100.0 * c.bytes):
        kind = case.shape.kind
        copies = copies_for(case.bytes, device.cache_bytes, room)
        if copies == 0:
            pace.left_out[f"{kind}: larger than the memory allowed"] += 1
            continue
        if pace.foresee(case) > pace.most_s:
            pace.left_out[f"{kind}: a call foreseen above {pace.most_s:g} s"] += 1
            continue
        try:
            timed = _time(device, case, copies, pace.effort)
        except RuntimeError as error:  # out of memory, or a kernel that this device lacks
            pace.left_out[f"{kind} {case.shape.dtype}: {_short(error)}"] += 1
            continue
        pace.learn(case, timed.seconds)
        rows.append(
            replace(
                case.shape,
                seconds=timed.seconds,
                spread=timed.spread,
                samples=timed.samples,
                graph=timed.graph,
            )
        )
    return rows


def _time(device: Device, case: Case, copies: int, effort: Effort) -> Timed:
    """In a function of its own, so that the operands are gone before those of the next case are allocated."""
    return time_calls(device.stopwatch, [case.make(device) for _ in range(copies)], effort)


def _short(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:100]
