"""One rank of ``servefront measure --ranks``: a process that ends with the one that started it, whatever it does."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def end_with_parent() -> None:
    """End this process once the one that started it has ended and so closed this one's standard input. On Linux the
    kernel sees to it at once: importing torch keeps Python's other threads waiting for seconds."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))

    def watch() -> None:
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    end_with_parent()
    from search.commands.measure.collectives import run_rank

    run_rank(sys.argv[1:])
