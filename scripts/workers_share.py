"""What workers save and cost: a large search by this process alone and by two others, by the clock and the processor.

``python scripts/workers_share.py [local processes ray ...] [--of steady|rate|everything|nothing]
[--address HOST:PORT]``. On idle cores the clock says it. On shared ones the processor's time does: with two workers a
search takes at least what this process does itself, which nobody shares, and half of the rest. ``nothing``: what hiring
costs, and each piece beside its work.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from multiprocessing import forkserver
from pathlib import Path

from search.base.workers import opened
from search.inputs.compose import composed
from search.optimizer.run import run

PIECES = 500
BARE = ("strategy=exact", "sensitivity=none", "report=none", "verify.top=0")
SEARCHES = {
    "steady": (
        "+experiment=qwen3_235b", 'space.gpus="8:1024:8"', 'space.dp="1:128:1"', "space.pp=[1,2,4]", "space.sp=[1,2]",
        "space.tp=[1,2,4,8]", "space.ep=[1,2,4,8,16,32,64]", 'space.batch="1:1152:1"',
    ),
    "rate": (
        "+experiment=qwen3_235b_traffic", "space=eight_nodes", 'space.gpus="1:64:1"', 'space.dp="1:64:1"',
        'space.batch="1:2048:1"',
    ),
    "everything": ("+experiment=qwen3_235b", "space=full"),
}  # fmt: skip


def own_s() -> float:
    """Processor seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def others_s() -> float:
    """Processor seconds of workers that have ended, and of the server that they are forked off."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = used.ru_utime + used.ru_stime
    server = getattr(forkserver._forkserver, "_forkserver_pid", None)
    if server is None:
        return ended
    ticks = Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[11:15]
    return ended + sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def hired(kind: str, workers: int, address: str | None) -> None:
    """Seconds until a first piece of no work is back, and of each of many more."""
    start = time.perf_counter()
    with opened(kind, workers, address) as found:
        list(found.map(abs, range(1), 1, ""))
        first = time.perf_counter()
        list(found.map(abs, range(PIECES), PIECES, ""))
        each = (time.perf_counter() - first) / PIECES
    print(f"{kind}: {first - start:.1f} s until the first piece, {1e3 * each:.1f} ms a piece", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=["local", "processes"])
    parser.add_argument("--of", choices=[*SEARCHES, "nothing"], default="rate")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--address")
    options = parser.parse_args()
    for kind in options.kinds:
        if options.of == "nothing":
            hired(kind, options.workers, options.address if kind == "ray" else None)
            continue
        words = [f"compute={kind}"] + [f"compute.workers={options.workers}"] * (kind != "local")
        if kind == "ray" and options.address:
            words.append(f"compute.address='{options.address}'")
        config = composed([*SEARCHES[options.of], *BARE, *words])
        start, own, others = time.perf_counter(), own_s(), others_s()
        outcome = run(config)
        seconds, here, there = time.perf_counter() - start, own_s() - own, others_s() - others
        legal = len(outcome.legal) if outcome.full is None else outcome.full.total.legal
        print(f"{kind}: {seconds:.1f} s by the clock; {here:.1f} s of this process and {there:.1f} s of others; "
              f"{legal:,} legal", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
