"""How a call is timed, whatever the device. No torch here.

Method: a warm-up, then samples. A sample is a block of calls, long enough that the clock's resolution does not count
(``Effort.block_s``); the time of a call is the block's over the number of calls, and the result is the median over the
samples, with their interquartile range beside it. The calls of a block take turns over several copies of the operands,
so that no copy is still in the cache when its turn comes again: a model's layers have their own weights too. The turn
is kept from block to block.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Protocol

import numpy as np

Call = Callable[[], object]
MOST_CALLS = 20_000  # in one block
MOST_CALLS_IN_A_GRAPH = 1024


@dataclass(frozen=True)
class Effort:
    """Seconds: ``warm_s`` at most before the first sample, ``block_s`` at least a sample, ``case_s`` about for all."""

    warm_s: float
    block_s: float
    case_s: float
    samples: int = 31  # at most; at least 5


FULL = Effort(warm_s=0.05, block_s=2e-3, case_s=0.2)
QUICK = Effort(warm_s=0.01, block_s=5e-4, case_s=0.03)


@dataclass(frozen=True)
class Timed:
    """``seconds`` a call (median), ``spread`` the interquartile range over the median, ``graph``: replayed from one."""

    seconds: float
    spread: float
    samples: int
    graph: bool


class Stopwatch(Protocol):
    def runner(self, calls: Sequence[Call], inner: int) -> tuple[Callable[[], float], int, bool]:
        """A function that makes a block of calls and returns its seconds; how many calls it makes (about ``inner``);
        and whether they are replayed from a captured graph."""
        ...


class HostStopwatch:
    """The host's clock around the block, with the device idle before and after it. Devices without events."""

    def __init__(self, synchronize: Callable[[], object] = lambda: None) -> None:
        self._synchronize = synchronize

    def runner(self, calls: Sequence[Call], inner: int) -> tuple[Callable[[], float], int, bool]:
        turns = cycle(calls)

        def block() -> float:
            self._synchronize()
            begin = time.perf_counter()
            for _ in range(inner):
                next(turns)()
            self._synchronize()
            return time.perf_counter() - begin

        return block, inner, False


class EventStopwatch:
    """The device's own events around the block. Where the device captures graphs, a block is one replay, so that the
    host's time to launch is not in it, as engines run decode steps; else the block is launched call by call."""

    def __init__(self, module: Any, graph_type: Any | None) -> None:
        self._module = module
        self._graph_type = graph_type

    def runner(self, calls: Sequence[Call], inner: int) -> tuple[Callable[[], float], int, bool]:
        # A graph starts at the same copy each time, so it must go all the way round.
        count = min(math.ceil(inner / len(calls)) * len(calls), max(MOST_CALLS_IN_A_GRAPH, len(calls)))
        graph = self._capture(calls, count)
        turns = cycle(calls)

        def launch() -> None:
            if graph is not None:
                graph.replay()
                return
            for _ in range(inner):
                next(turns)()

        def block() -> float:
            begin, end = self._module.Event(enable_timing=True), self._module.Event(enable_timing=True)
            self._module.synchronize()
            begin.record()
            launch()
            end.record()
            self._module.synchronize()
            return float(begin.elapsed_time(end)) * 1e-3

        return block, (inner if graph is None else count), graph is not None

    def _capture(self, calls: Sequence[Call], count: int) -> Any | None:
        if self._graph_type is None:
            return None
        try:
            graph = self._graph_type()
            with self._module.graph(graph):
                for i in range(count):
                    calls[i % len(calls)]()
            return graph
        except RuntimeError:  # the kernel cannot be captured: launch it
            self._module.synchronize()
            return None


def time_calls(stopwatch: Stopwatch, calls: Sequence[Call], effort: Effort) -> Timed:
    """Median seconds of a call; ``calls`` do the same work on different operands."""
    pilot, made, _ = _eager(stopwatch).runner(calls, min(len(calls), 3))
    pilot()  # the first calls also choose kernels and allocate
    begin, once = time.perf_counter(), math.inf
    while once == math.inf or time.perf_counter() - begin < effort.warm_s:
        once = max(1e-8, min(once, pilot() / made))
    inner = min(max(1, math.ceil(effort.block_s / once)), MOST_CALLS)
    block, made, graph = stopwatch.runner(calls, inner)
    block()
    count = min(max(5, int(effort.case_s / (made * once))), effort.samples)
    samples = np.array([block() / made for _ in range(count)])
    low, middle, high = np.percentile(samples, [25, 50, 75])
    return Timed(float(middle), float((high - low) / middle) if middle > 0 else 0.0, count, graph)


def _eager(stopwatch: Stopwatch) -> Stopwatch:
    """The same clock without graphs: warm-up calls must come before a capture."""
    return EventStopwatch(stopwatch._module, None) if isinstance(stopwatch, EventStopwatch) else stopwatch
