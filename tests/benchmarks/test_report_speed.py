"""How long the report takes beyond the search (``pytest --benchmark-only``): a front of 500 plans, 20,000 candidates.

No speed is asserted: machines differ. ``extra_info`` holds the seconds at the median round, and the size of the page.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from search.optimizer.outcome import Outcome
from search.render.report import collect, pareto_svg, render


@pytest.fixture(scope="module")
def large() -> Outcome:
    """From the folder of the report's tests."""
    sys.path.append(str(Path(__file__).parents[1] / "search" / "render" / "report"))
    from report_cases import large_case

    return large_case()


def both_files(outcome: Outcome) -> tuple[str, str]:
    values = collect(outcome)
    return render(values), pareto_svg(values)


def test_report(benchmark: Any, large: Outcome) -> None:
    page, picture = benchmark(both_files, large)
    if benchmark.stats:
        benchmark.extra_info["seconds"] = round(benchmark.stats.stats.median, 3)
        benchmark.extra_info["page_bytes"] = len(page.encode())
    assert page.startswith("<!DOCTYPE html>")
    assert picture.startswith("<svg")
