"""The script behind the table of what accuracy choices need."""

import importlib.util
from types import ModuleType

import pytest

from search.evidence.measured.families import Option


@pytest.fixture(scope="module")
def script(repo) -> ModuleType:
    spec = importlib.util.spec_from_file_location("choices_by_error", repo / "scripts" / "choices_by_error.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PLACES = [("a", 0.0099, 100.0), ("a", 0.0199, 200.0), ("b", 0.0101, 120.0), ("b", 0.0305, 250.0)]
ROWS = [Option(("setting",), (layout,), tpot_s, speed, 1.0, 1.0) for layout, tpot_s, speed in PLACES]


def test_without_error_every_choice_is_the_best(script):
    assert script.mean_choice(ROWS, 0.0, 0.0) == (0.0, 1.0)


def test_a_margin_costs_and_errors_break_limits(script):
    """Of 15, 20, 30, 50 and 100 ms, a margin of 2 % loses 19.9 ms at 20; errors let 30.5 ms pass at 30."""
    assert script.mean_choice(ROWS, 0.0, 0.02) == (pytest.approx((1 - 120 / 200) / 5), 1.0)
    loss, kept = script.mean_choice(ROWS, 0.03, 0.0)
    assert 0.0 < loss < (1 - 120 / 200) / 5
    assert 0.8 < kept < 1.0
