"""The first Ctrl-C asks a search to end with what it has; the second one stops it at once, as SIGTERM does."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_asked = False
_worthwhile = False


class Nothing(KeyboardInterrupt):
    """Somebody asked to end, and there is nothing yet to end with."""


class Terminated(KeyboardInterrupt):
    """Somebody ended this process, as ``kill``, a scheduler or a container's host does."""


def asked() -> bool:
    """Whether somebody asked to end early: loops whose part is worth something stop here."""
    return _asked


def worthwhile() -> None:
    """From now on there is something to end with."""
    global _worthwhile
    _worthwhile = True


@contextmanager
def heeded(said: str) -> Iterator[None]:
    """While this lasts, the first SIGINT that comes when something is ``worthwhile`` is remembered, and ``said`` on
    standard error; the next one is as ever. Inside another one, or in a thread, nothing changes."""
    global _asked, _worthwhile
    before = signal.getsignal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else None
    if before is not signal.default_int_handler:
        yield
        return

    def remember(number: int, frame: FrameType | None) -> None:
        global _asked
        if not _worthwhile:
            raise KeyboardInterrupt
        _asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print(said, file=sys.stderr, flush=True)

    _asked = _worthwhile = False
    signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        _asked = _worthwhile = False


@contextmanager
def terminable() -> Iterator[None]:
    """While this lasts, the first SIGTERM raises ``Terminated``, so that what was begun is tidied up; the next one ends
    the process as ever. Where somebody else heeds it, or in a thread, nothing changes."""
    before = signal.getsignal(signal.SIGTERM) if threading.current_thread() is threading.main_thread() else None
    if before is not signal.SIG_DFL:
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise Terminated

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
