"""How a group falls apart over nodes, against placing its ranks one by one."""

from __future__ import annotations

import pytest
from cost_strategies import CHECKS
from double_tree import together
from hypothesis import given
from hypothesis import strategies as st
from worked_case import cluster

from costmodel.cluster import Cluster, Tier


def members(domain: int, size: int, stride: int, gpus: int) -> int:
    tiers = Cluster("small", (Tier("node", domain, 1e-6, 1e9), Tier("fabric", 4096, 1e-6, 1e9)))
    assert tiers.members(1, size, stride, gpus) == size
    return int(tiers.members(0, size, stride, gpus))


powers = st.sampled_from((1, 2, 4, 8, 16))


@CHECKS
@given(powers, powers, powers, st.sampled_from((1, 2, 4)))
def test_exact_for_powers_of_two(domain: int, size: int, stride: int, groups: int) -> None:
    gpus = groups * size * stride
    assert members(domain, size, stride, gpus) == together(size, stride, domain, gpus)


@CHECKS
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(1, 4))
def test_never_too_many_together(domain: int, size: int, stride: int, groups: int) -> None:
    """Elsewhere the worst placement is assumed: at least one, and never more than really are together."""
    gpus = groups * size * stride
    assert 1 <= members(domain, size, stride, gpus) <= together(size, stride, domain, gpus)


@pytest.mark.parametrize(
    ("size", "stride", "gpus", "expected"),
    [(8, 1, 8, 8), (4, 4, 16, 2), (2, 8, 16, 1), (3, 1, 12, 2), (3, 1, 6, 3), (16, 1, 64, 8)],
)
def test_groups_on_nodes_of_eight(size: int, stride: int, gpus: int, expected: int) -> None:
    assert members(8, size, stride, gpus) == expected


def test_sizes_and_rates() -> None:
    wired = cluster()
    assert (wired.node_size, wired.max_gpus) == (8, 4096)
    assert Tier("fabric", 64, 1e-6, 100e9, efficiency=0.8, oversubscription=2.0).rate == pytest.approx(40e9)
