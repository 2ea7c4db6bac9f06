"""The timer against known sleeps and a device that is made up."""

from __future__ import annotations

import time
from typing import Any

import pytest

from search.commands.measure.bench import MOST_COPIES, copies_for
from search.commands.measure.timing import QUICK, EventStopwatch, HostStopwatch, time_calls


def test_a_sleep_takes_as_long_as_it_says() -> None:
    timed = time_calls(HostStopwatch(), [lambda: time.sleep(0.004)], QUICK)
    assert 0.004 <= timed.seconds < 0.008  # a sleep ends late where the processor is busy
    assert timed.samples >= 5 and not timed.graph


def test_twice_the_work_takes_twice_as_long() -> None:
    one, two = (time_calls(HostStopwatch(), [lambda s=s: time.sleep(s)], QUICK).seconds for s in (0.01, 0.02))
    assert two / one == pytest.approx(2.0, rel=0.4)


def test_calls_take_turns_across_blocks() -> None:
    seen: list[int] = []
    block, made, _ = HostStopwatch().runner([lambda i=i: seen.append(i) for i in range(3)], 2)
    for _ in range(3):
        block()
    assert made == 2 and seen == [0, 1, 2, 0, 1, 2]


def test_the_device_is_idle_at_both_ends_of_a_block() -> None:
    events: list[str] = []
    watch = HostStopwatch(lambda: events.append("wait"))
    watch.runner([lambda: events.append("call")], 2)[0]()
    assert events == ["wait", "call", "call", "wait"]


class FakeDevice:
    """A device of which each call takes 10 us by its own events; a graph counts the calls it captured."""

    def __init__(self, capture_fails: bool = False) -> None:
        self.now_s, self.capturing, self.fails = 0.0, False, capture_fails
        self.replays: list[int] = []
        self.called: list[int] = []

    def call(self, number: int) -> None:
        self.called.append(number)
        if not self.capturing:
            self.now_s += 10e-6

    def synchronize(self) -> None:
        pass

    def Event(self, enable_timing: bool) -> Any:  # noqa: N802
        device = self

        class Event:
            def record(self) -> None:
                self.at = device.now_s

            def elapsed_time(self, other: Any) -> float:
                return (other.at - self.at) * 1e3

        return Event()

    def graph(self, graph: Any) -> Any:
        device = self

        class Capture:
            def __enter__(self) -> None:
                if device.fails:
                    raise RuntimeError("operation not permitted when stream is capturing")
                device.capturing, self.before = True, len(device.called)

            def __exit__(self, *_: object) -> None:
                device.capturing = False
                graph.size = len(device.called) - self.before

        return Capture()

    def graph_type(self) -> type:
        device = self

        class Graph:
            size = 0

            def replay(self) -> None:
                device.replays.append(self.size)
                device.now_s += 10e-6 * self.size

        return Graph


def test_events_and_graphs_give_the_seconds_of_one_call() -> None:
    device = FakeDevice()
    calls = [lambda i=i: device.call(i) for i in range(7)]
    timed = time_calls(EventStopwatch(device, device.graph_type()), calls, QUICK)
    assert timed.seconds == pytest.approx(10e-6) and timed.graph and timed.spread == pytest.approx(0.0, abs=1e-6)
    assert set(device.replays) == {device.replays[0]} and device.replays[0] % 7 == 0, "all the way round the copies"


def test_a_kernel_that_cannot_be_captured_is_launched() -> None:
    device = FakeDevice(capture_fails=True)
    calls = [lambda i=i: device.call(i) for i in range(7)]
    timed = time_calls(EventStopwatch(device, device.graph_type()), calls, QUICK)
    assert timed.seconds == pytest.approx(10e-6) and not timed.graph and device.replays == []


def test_copies_wash_the_cache_and_fit_the_memory() -> None:
    assert copies_for(1e6, cache_bytes=50e6, room_bytes=1e12) == 150
    assert copies_for(1e9, cache_bytes=50e6, room_bytes=1e12) == 2
    assert copies_for(1e3, cache_bytes=50e6, room_bytes=1e12) == MOST_COPIES
    assert copies_for(1e9, cache_bytes=50e6, room_bytes=1.5e9) == 1
    assert copies_for(1e9, cache_bytes=50e6, room_bytes=0.5e9) == 0
