"""What workers save and cost: one large search by this process alone and by two others, by the clock and the processor.

``python scripts/workers_share.py [local processes ray ...] [--address HOST:PORT]``. On idle cores the clock says it; on
shared ones the processor's time does: what this process did itself nobody can share.
"""

from __future__ import annotations

import argparse
import resource
import time

from search.inputs.compose import composed
from search.optimizer.run import run

SPACE = (
    "+experiment=qwen3_235b", "strategy=exact", "sensitivity=none", "report=none", 'space.gpus="8:1024:8"',
    'space.dp="1:128:1"', "space.pp=[1,2,4]", "space.sp=[1,2]", "space.tp=[1,2,4,8]", "space.ep=[1,2,4,8,16,32,64]",
    'space.batch="1:1152:1"',
)  # fmt: skip


def used() -> tuple[float, float]:
    """Processor seconds of this process, and of those that it started and that have ended."""
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime, others.ru_utime + others.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=["local", "processes"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--address")
    options = parser.parse_args()
    for kind in options.kinds:
        words = [f"compute={kind}", f"compute.workers={options.workers}"]
        if kind == "ray" and options.address:
            words.append(f"compute.address='{options.address}'")
        config = composed([*SPACE, *words])
        start, before = time.perf_counter(), used()
        outcome = run(config)
        seconds, after = time.perf_counter() - start, used()
        here, there = (b - a for a, b in zip(before, after, strict=True))
        print(f"{kind}: {seconds:.1f} s, {here:.1f} s of this process and {there:.1f} s of others; "
              f"{len(outcome.legal):,} legal, {len(outcome.front)} on the front", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
