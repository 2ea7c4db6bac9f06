"""Outcomes that several tests read, each searched once."""

from __future__ import annotations

import pytest
from report_cases import CASES, few_points, worked_case

from search.run import Outcome


@pytest.fixture(scope="session")
def reported() -> Outcome:
    """The worked case."""
    return worked_case()


@pytest.fixture(scope="session", params=list(CASES))
def any_reported(request: pytest.FixtureRequest) -> Outcome:
    return few_points(CASES[request.param]())
