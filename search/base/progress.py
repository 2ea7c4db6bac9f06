"""A progress bar for work that turns out to take over two seconds; nothing where nobody watches."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

T = TypeVar("T")
PATIENCE_S = 2.0
EVERY_S = 0.05  # drawing takes longer than much of the work


def track(items: Iterable[T], label: str, many: int | None = None) -> Iterator[T]:
    """Iterate over ``items``, ``many`` where they have no length; on a terminal, show progress once ``PATIENCE_S`` have
    passed."""
    if not sys.stderr.isatty():
        yield from items
        return
    total = len(items) if many is None and isinstance(items, Sized) else many
    start = time.monotonic()
    shown = 0.0
    progress = None
    try:
        for done, item in enumerate(items):
            if progress is None and time.monotonic() - start > PATIENCE_S:
                from rich.console import Console
                from rich.progress import Progress

                progress = Progress(console=Console(stderr=True), transient=True)
                task = progress.add_task(label, total=total, completed=done)
                progress.start()
            yield item
            if progress is not None and (now := time.monotonic()) - shown > EVERY_S:
                shown = now
                progress.update(task, completed=done + 1)
    finally:
        if progress is not None:
            progress.stop()
