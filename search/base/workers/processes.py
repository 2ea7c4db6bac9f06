"""Processes of this machine: nothing of this one's memory is taken for granted.

On Linux they are forked off a server that has imported what this process had, once and beside whatever goes on here;
elsewhere each is started afresh."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Any, TypeVar

from search.base import interrupt
from search.base.errors import InputError
from search.base.progress import track
from search.base.workers.local import INSIDE, Hired

P = TypeVar("P")
R = TypeVar("R")
AHEAD = 2  # pieces that wait for each worker
MOST_DEATHS = 3  # in a row, without a piece that was done
METHOD = "forkserver" if sys.platform == "linux" else "spawn"
OURS = ("costmodel.", "search.")


def _begin() -> None:
    """Before a worker's first piece: Ctrl-C is for the one who hired it, and it does not outlive that one."""
    os.environ[INSIDE] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    hirer = multiprocessing.parent_process()
    if hirer is not None:
        threading.Thread(target=_end_with, args=(hirer.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


class Processes(Hired):
    """Started when the first piece comes. A piece whose worker died is done again by another."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self._pool: ProcessPoolExecutor | None = None

    @property
    def running(self) -> bool:  # type: ignore[override]
        return self._pool is not None

    def expect(self, plans: int) -> None:
        if METHOD == "forkserver" and self.worth(plans) is self:
            from multiprocessing import forkserver

            multiprocessing.set_forkserver_preload([name for name in sys.modules if name.startswith(OURS)])
            forkserver.ensure_running()

    def map(self, task: Callable[[P], R], pieces: Iterable[P], many: int, label: str) -> Iterator[R]:
        waiting: deque[tuple[P, Future[R]]] = deque()
        try:
            yield from self._results(task, iter(pieces), many, label, waiting)
        finally:  # also where whoever asked has enough
            for _, future in waiting:
                future.cancel()

    def _results(
        self, task: Callable[[P], R], left: Iterator[P], many: int, label: str, waiting: deque[tuple[P, Future[R]]]
    ) -> Iterator[R]:
        deaths = 0
        for _ in track(range(many), label, many):
            if interrupt.asked():
                return
            while len(waiting) < AHEAD * self.count and (piece := next(left, waiting)) is not waiting:
                waiting.append(self._submit(task, piece))  # type: ignore[arg-type]
            while True:
                try:
                    result = waiting[0][1].result()
                    break
                except BrokenProcessPool as error:
                    deaths += 1
                    if deaths > MOST_DEATHS:
                        raise InputError(
                            f"compute.workers: {self.count} processes: one was killed {deaths} times, as where memory "
                            "is short; give fewer, or compute=local"
                        ) from error
                    self.close()
                    again = [self._submit(task, piece) for piece, _ in waiting]
                    waiting.clear()
                    waiting.extend(again)
            waiting.popleft()
            deaths = 0
            yield result

    def _submit(self, task: Callable[[P], R], piece: P) -> tuple[P, Future[R]]:
        try:
            return piece, self._running().submit(task, piece)
        except BrokenProcessPool:  # it broke while nobody looked
            self.close()
            return piece, self._running().submit(task, piece)

    def _running(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context: Any = multiprocessing.get_context(METHOD)
            self._pool = ProcessPoolExecutor(self.count, mp_context=context, initializer=_begin)
        return self._pool

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def end(self) -> None:
        if self._pool is not None:
            for process in list(self._pool._processes.values()):  # what kill_workers() is from Python 3.14 on
                process.kill()
