"""The common shape of workers, and the one that is always there: this process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from numpy.typing import NDArray

from search.base import interrupt
from search.base.progress import track

P = TypeVar("P")
R = TypeVar("R")
Array = NDArray[Any]
KINDS = ("local", "processes", "ray")
INSIDE = "SERVEFRONT_WORKER"  # set in the environment of a worker: it hires nobody itself
WORTH = 2_000_000  # scored plans below which starting processes takes longer than the work
RUNNING = 1 << 16  # and below which sending it does, to processes that run


class Workers:
    """``map`` in this process. Others do the same elsewhere: a ``task`` is a function without memory, so where it ran,
    and how often, cannot be seen in what it gives."""

    count = 1

    def map(self, task: Callable[[P], R], pieces: Iterable[P], many: int, label: str) -> Iterator[R]:
        """``task`` of every one of ``many`` pieces, in their order; fewer where somebody asked to end."""
        for piece in track(pieces, label, many):
            if interrupt.asked():
                return
            yield task(piece)

    def kept(
        self, task: Callable[[P], tuple[Array, ...]], pieces: Iterable[P], many: int, label: str
    ) -> Iterator[tuple[Array, ...]]:
        """``map`` whose results may outlive this process (``search.base.workers.remembered``)."""
        return self.map(task, pieces, many, label)

    def worth(self, plans: int) -> Workers:
        """Who should score so many ``plans``."""
        return self

    def expect(self, plans: int) -> None:
        """There may be so many to score soon: what takes a while to start begins."""

    def close(self) -> None:
        """Nothing is left running."""

    def end(self) -> None:
        """Before ``close``, where nobody waits any more for what is running."""


LOCAL = Workers()


class Finishing(Workers):
    """This process again, for what is short and still to be done after somebody asked to end."""

    def map(self, task: Callable[[P], R], pieces: Iterable[P], many: int, label: str) -> Iterator[R]:
        return map(task, pieces)


class Hired(Workers):
    """Workers elsewhere, ``count`` of them; small work stays here."""

    running = False  # whether somebody has begun to work

    def __init__(self, count: int) -> None:
        self.count = count

    def worth(self, plans: int) -> Workers:
        return self if plans >= (min(RUNNING, WORTH) if self.running else WORTH) else LOCAL


def inside() -> bool:
    """Whether this process is a worker."""
    return INSIDE in os.environ


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
