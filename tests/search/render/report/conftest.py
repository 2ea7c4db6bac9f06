"""Outcomes that several tests read, each searched once, and a browser with the page of one of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import browser, load, missing
from report_cases import CASES, few_points, worked_case

from search.optimizer.outcome import Outcome
from search.render.report import collect, render


@pytest.fixture(scope="session")
def reported() -> Outcome:
    """The worked case."""
    return worked_case()


@pytest.fixture(scope="session", params=list(CASES))
def any_reported(request: pytest.FixtureRequest) -> Outcome:
    return few_points(CASES[request.param]())


@pytest.fixture(scope="session")
def written(reported: Outcome, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The worked case's page on the disk, with few points; skips where no browser could look at it."""
    if missing():
        pytest.skip(f"no browser to look at the page with: {missing()}")
    page = tmp_path_factory.mktemp("page") / "report.html"
    page.write_text(render(collect(few_points(reported))), encoding="utf-8")
    return page


@pytest.fixture(scope="session")
def window(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser as wide as a desk's."""
    with browser(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def desk(window: Any, written: Path) -> Any:
    """The worked case's page, freshly loaded, with nothing logged yet."""
    window.get_log("browser")
    window.get_log("performance")
    load(window, written)
    return window
