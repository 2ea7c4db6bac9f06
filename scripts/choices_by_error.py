"""How well a planner could choose that knew the measurements but for a random error: the table in docs/fidelity.md.

    python scripts/choices_by_error.py FILE.csv

No model takes part. Each row's measured TPOT times a lognormal error stands for a prediction (throughput divided by
it), a margin on top of it for caution; drawn 100 times. Loss and limits kept as in
``search.evidence.measured.families``.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from search.base.errors import InputError
from search.evidence.measured.families import Option, option, regret
from search.evidence.measured.grouped import read_cases
from search.evidence.measured.rows import read_rows

ERRORS = (0.01, 0.02, 0.025, 0.03, 0.05, 0.065)  # mean absolute errors
MARGINS = (0.0, 0.02, 0.03, 0.04, 0.06)
DRAWS = 100


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="measurements in the schema of silicon_dev.csv")
    try:
        read = read_cases(read_rows(parser.parse_args().file))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return InputError.exit_code
    rows = [found for i in read.cases if (found := option(read.rows[i], 1.0, 1.0)) is not None]
    print("| mean error of TPOT |" + "".join(f" margin {margin:.0%} |" for margin in MARGINS))
    for error in ERRORS:
        cells = (mean_choice(rows, error, margin) for margin in MARGINS)
        print(f"| {error:.1%} |" + "".join(f" {loss:.1%}, {kept:.1%} |" for loss, kept in cells))
    return 0


def mean_choice(rows: list[Option], error: float, margin: float) -> tuple[float, float]:
    """Mean loss and share of limits kept; the mean of |x| is sqrt(2 / pi) standard deviations."""
    random, deviation = np.random.default_rng(0), error * np.sqrt(np.pi / 2.0)
    choices = []
    for _ in range(DRAWS):
        factors = np.exp(deviation * random.standard_normal(len(rows))).tolist()
        drawn = (
            replace(row, predicted_tpot_s=row.tpot_s * factor * (1.0 + margin), predicted_speed=row.speed / factor)
            for row, factor in zip(rows, factors, strict=True)
        )
        choices.append(regret(drawn))
    return float(np.mean([c.loss for c in choices])), float(np.mean([c.kept for c in choices]))


if __name__ == "__main__":
    sys.exit(main())
