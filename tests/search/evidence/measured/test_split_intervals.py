"""Intervals of few families that differ by more than their rows do."""

import numpy as np
import pytest

from search.evidence.measured.split_intervals import bounds_of, held

RANDOM = np.random.default_rng(7)
LABELS = np.repeat([f"family {n}" for n in range(8)], 30)
WITHIN = 0.1 * RANDOM.standard_normal(len(LABELS))
OFFSETS = np.repeat(RANDOM.standard_normal(8), 30)


def test_they_hold_one_and_are_wider_the_more_families_differ():
    widths = []
    for apart in (0.0, 0.2, 0.5):
        low, high = bounds_of(WITHIN + apart * OFFSETS, LABELS)
        assert low <= 1.0 <= high
        widths.append(np.log(high / low))
    assert widths == sorted(widths)


@pytest.mark.parametrize("apart", [0.0, 0.2, 0.5])
def test_they_hold_about_as_much_of_a_family_that_is_left_out(apart):
    assert 0.65 < held(WITHIN + apart * OFFSETS, LABELS) < 0.95


def test_one_family_tells_nothing_of_others():
    one = LABELS == "family 0"
    assert np.isnan(held(WITHIN[one], LABELS[one]))
    low, high = bounds_of(WITHIN[one], LABELS[one])
    assert (low, high) == pytest.approx(
        (np.exp(np.quantile(WITHIN[one], 0.1)), np.exp(np.quantile(WITHIN[one], 0.9))), rel=0.05
    )
