"""The sums in closed form against loops over tokens."""

from __future__ import annotations

import pytest
from cost_strategies import CHECKS
from hypothesis import given
from hypothesis import strategies as st

from costmodel.lengths import FixedLengths

small = st.integers(1, 80)


@CHECKS
@given(small, st.sampled_from((0.0, 0.25, 0.5)), st.one_of(st.none(), small))
def test_prefill_pairs(quarters: int, hit: float, window: int | None) -> None:
    lengths = FixedLengths(4 * quarters, 1, hit)  # so that the cached part is whole
    cached = round(lengths.cached)
    pairs = sum(min(i, window or i) for i in range(cached + 1, lengths.isl + 1))
    assert lengths.prefill_pairs(window) == pytest.approx(pairs, rel=1e-12)


@CHECKS
@given(small, st.integers(2, 80), small)
def test_decode_context(isl: int, osl: int, window: int) -> None:
    lengths = FixedLengths(isl, osl)
    # Decode step j reads isl + j tokens, its own among them; steps 1 to osl - 1 average to isl + osl / 2.
    assert sum(isl + j for j in range(1, osl)) / (osl - 1) == pytest.approx(lengths.decode_context())
    # The mean of a function with corners at whole numbers is that of its trapezoids.
    seen = [min(isl + j, window) for j in range(osl + 1)]
    assert lengths.decode_context(window) == pytest.approx((sum(seen) - (seen[0] + seen[-1]) / 2) / osl)


@CHECKS
@given(small, st.integers(1, 80), small)
def test_chunked(isl: int, osl: int, chunk: int) -> None:
    lengths = FixedLengths(isl, osl)
    assert lengths.chunked_pairs(chunk) == pytest.approx(sum(i % chunk + 1 for i in range(isl)), rel=1e-12)
    middles = [x % chunk + 0.5 for x in range(isl, isl + osl)]
    assert lengths.chunked_context(chunk) == pytest.approx(sum(middles) / osl, rel=1e-9)


@pytest.mark.parametrize("chunk", [32, 100, 1000])
def test_chunked_pairs_behind_a_cached_prefix(chunk: int) -> None:
    lengths = FixedLengths(100, 1, 0.5)
    assert lengths.chunked_pairs(chunk) == pytest.approx(sum(i % chunk + 1 for i in range(50, 100)))


def test_a_chunk_longer_than_everything_is_no_chunk() -> None:
    lengths = FixedLengths(2048, 2048)
    assert lengths.chunked_pairs(8192) == lengths.prefill_pairs() == 2048 * 2049 / 2
    assert lengths.chunked_context(8192) == lengths.decode_context() == 3072


def test_counts() -> None:
    lengths = FixedLengths(2000, 100, 0.25)
    assert (lengths.total, lengths.cached, lengths.new, lengths.decodes) == (2100, 500, 1500, 99)
