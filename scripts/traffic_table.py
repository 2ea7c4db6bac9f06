"""Analytic against simulated: random plans, workloads and rates up to 90 % of capacity (docs/traffic.md).

    python scripts/traffic_table.py [COUNT] [SEED]

Prints median and 95th of the absolute relative errors by figure, and the median of the signed ones.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

TESTS = Path(__file__).parents[1] / "tests" / "costmodel"
REQUESTS = 20_000  # of a run, at most


def main(count: int, seed: int) -> None:
    sys.path += [str(TESTS), str(TESTS / "serving")]
    from traffic_cases import errors, random_case, serve
    from worked_case import qwen3, worked_case

    rng = np.random.default_rng(seed)
    base = worked_case(model=qwen3(layers=24))
    found: list[dict[str, float]] = []
    while len(found) < count:
        case = random_case(base, rng)
        if case is not None:
            found.append(errors(serve(case, REQUESTS)))
            if len(found) % 20 == 0:
                print(f"{len(found)} of {count}", file=sys.stderr)
    print("figure median p95 bias")
    for name in found[0]:
        values = np.array([each[name] for each in found])
        off = np.where(np.isfinite(values), np.abs(values), np.inf)
        print(f"{name} {np.median(off):.3f} {np.quantile(off, 0.95, method='higher'):.3f} {np.median(values):+.3f}")


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*(given + [300, 1][len(given) :]))
