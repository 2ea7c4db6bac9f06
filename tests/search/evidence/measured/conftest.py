"""Small files of measurements in both schemas."""

import csv
from pathlib import Path

import pytest


@pytest.fixture
def table(tmp_path):
    """Write rows that change a base row: ``table(SILICON, {"row": "a"}, {"row": "b", "engine": "x"})``."""

    def write(base: dict[str, str], *changes: dict[str, str], name: str = "rows.csv") -> Path:
        path = tmp_path / name
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(base))
            writer.writeheader()
            writer.writerows({**base, **change} for change in changes)
        return path

    return write
