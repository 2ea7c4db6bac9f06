from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cost_strategies import CHECKS
from hypothesis import given
from hypothesis import strategies as st

from costmodel.cluster import Cluster, Tier
from costmodel.collectives import message_seconds
from costmodel.operations import Message

A0, B0, A1, B1 = 2e-6, 300e9, 9e-6, 40e9
NODES = Cluster("nodes", (Tier("node", 8, A0, B0), Tier("fabric", 1024, A1, 2 * B1, oversubscription=2.0)))
GATHERS = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all")


def seconds(kind: Any, data: Any, size: Any, stride: Any = 1, gpus: Any = 64) -> Any:
    return message_seconds(Message(kind, data, np.asarray(size, dtype=float), stride), NODES, gpus)


def test_inside_a_node() -> None:
    part = A0 + 3 / 4 * 1e6 / B0
    assert seconds("all_gather", 1e6, 4) == pytest.approx(part)
    assert seconds("reduce_scatter", 1e6, 4) == pytest.approx(part)
    assert seconds("all_reduce", 1e6, 4) == pytest.approx(2 * part)
    assert seconds("all_to_all", 1e6, 4) == pytest.approx(part)


def test_across_nodes() -> None:
    """32 neighbours are 4 nodes of 8: inside first, then an eighth of the data with each peer."""
    once = A0 + 7 / 8 * 1e6 / B0 + A1 + 3 / 4 * 1e6 / 8 / B1
    assert seconds("all_gather", 1e6, 32) == pytest.approx(once)
    # Of 32 equal parts one stays, 7 go to neighbours, 24 leave the node.
    assert seconds("all_to_all", 1e6, 32) == pytest.approx(A0 + 7 / 32 * 1e6 / B0 + A1 + 24 / 32 * 1e6 / B1)
    # Ranks 8 apart share no node.
    assert seconds("all_gather", 1e6, 4, stride=8) == pytest.approx(A1 + 3 / 4 * 1e6 / B1)


def test_send_goes_over_the_innermost_common_tier() -> None:
    assert seconds("send", 1e6, 2, stride=4, gpus=8) == pytest.approx(A0 + 1e6 / B0)
    assert seconds("send", 1e6, 2, stride=8, gpus=16) == pytest.approx(A1 + 1e6 / B1)
    assert seconds("send", 1e6, 1, stride=8, gpus=16) == 0.0


@pytest.mark.parametrize("kind", [*GATHERS, "send"])
def test_one_rank_and_no_bytes_cost_nothing(kind: str) -> None:
    assert np.all(seconds(kind, np.array([0.0, 1e9, 0.0]), [1, 1, 8]) == 0.0)
    assert np.all(seconds(kind, 1e9, [1, 1]) == 0.0)


sizes = st.sampled_from((1, 2, 3, 4, 6, 8, 16, 32, 64))


@CHECKS
@given(st.sampled_from(GATHERS), st.floats(1, 1e10), st.floats(1, 10), sizes, st.sampled_from((1, 2, 8)))
def test_more_bytes_are_never_faster(kind: str, data: float, factor: float, size: int, stride: int) -> None:
    gpus = 1024
    assert seconds(kind, data * factor, size, stride, gpus) >= seconds(kind, data, size, stride, gpus) >= 0.0


@CHECKS
@given(st.floats(1, 1e10), st.sampled_from((2, 3, 4, 6, 8)))
def test_all_reduce_is_reduce_scatter_and_all_gather_or_one_pass_within_a_node(data: float, size: int) -> None:
    parts = float(seconds("reduce_scatter", data, size, 1, 8) + seconds("all_gather", data, size, 1, 8))
    one_pass = A0 + (size - 1) * data / B0
    assert seconds("all_reduce", data, size, 1, 8) == pytest.approx(min(parts, one_pass), rel=1e-12)


def test_an_all_reduce_over_nodes_is_the_librarys() -> None:
    """Two nodes of eight by hand, for a fabric of NCCL's own 5 us a hop: 25.2 us for nothing but a flag (what NCCL
    prints for 128 bytes), LL's 11.25 GB/s up to where LL128's 48.5 us pay, and all bytes there and back at the end."""
    fast = Cluster("fast", (Tier("node", 8, A0, B0), Tier("fabric", 64, 5e-6, B1)))

    def of(data: float, size: int = 16, stride: int = 1) -> float:
        return float(message_seconds(Message("all_reduce", data, np.asarray(float(size)), stride), fast, 64))

    assert of(128) == pytest.approx(25.2e-6, rel=1e-3)
    assert of(64e3) == pytest.approx((6.8 + 2 * (7 * 0.6 + 5.0)) * 1e-6 + 64e3 / 11.25e9)
    assert of(1e6) == pytest.approx((14 + 2 * (7 * 1.25 + 8.5)) * 1e-6 + 1e6 / (0.276 * 8 * B1))
    carried = 2 * (7 / 8 / B0 + 1 / 2 / 8 / B1) * 1e9
    assert of(1e9) == pytest.approx((8.4 + 2 * (7 * 4.0 + 14.0)) * 1e-6 + carried)
    # Four nodes are two hops of the network; ranks 8 apart meet nobody in their node.
    assert of(128, 32) - of(128) == pytest.approx(2 * 5e-6, rel=1e-6)
    assert of(128, 2, stride=8) == pytest.approx(6.8e-6 + 2 * 5e-6, rel=2e-3)


@CHECKS
@given(st.floats(1, 1e10), st.sampled_from((16, 32, 64)))
def test_an_all_reduce_over_nodes_is_slower_than_inside_one(data: float, size: int) -> None:
    assert seconds("all_reduce", data, size, 1, 1024) > seconds("all_reduce", data, 8, 1, 8)


@CHECKS
@given(st.floats(1, 1e10), st.sampled_from((1e-6, 1e-5, 1e-4)))
def test_an_all_reduce_over_nodes_waits_for_the_network(data: float, latency: float) -> None:
    """Each hop's latency is paid up and down the tree at least once, and at most 2.8 times as much (NCCL's Simple)."""
    node, fabric = NODES.tiers
    slower = Cluster("slower", (node, replace(fabric, latency_s=fabric.latency_s + latency)))
    message = Message("all_reduce", data, np.asarray(32.0), 1)
    more = float(message_seconds(message, slower, 64)) - float(message_seconds(message, NODES, 64))
    assert 4 * latency * 0.999 <= more <= 4 * 2.8 * latency * 1.001


def test_small_all_reduces_are_one_pass() -> None:
    assert seconds("all_reduce", 1e3, 8) == pytest.approx(A0 + 7 * 1e3 / B0)
    assert seconds("all_reduce", 1e6, 8) == pytest.approx(2 * (A0 + 7 / 8 * 1e6 / B0))
    # Equal where the second pass's latency is worth the bytes that it saves: (7 - 7/4) B / beta = alpha.
    border = A0 * B0 / (7 - 7 / 4)
    assert seconds("all_reduce", border, 8) == pytest.approx(A0 + 7 * border / B0)
    assert seconds("all_reduce", 2 * border, 8) < A0 + 7 * 2 * border / B0


def test_few_rows_take_one_pass_however_many_bytes_they_are() -> None:
    """128 rows of 8192 in bf16 are 2 MiB, which two passes among 8 would carry in less than half the time."""
    data = 128 * 8192 * 2.0

    def of(rows: float, limit: int) -> float:
        return float(
            message_seconds(Message("all_reduce", data, np.asarray(8.0), 1, rows), NODES, 8, one_pass_tokens=limit)
        )

    assert of(128, 128) == pytest.approx(A0 + 7 * data / B0)
    assert of(129, 128) == of(128, 0) == pytest.approx(2 * (A0 + 7 / 8 * data / B0))


def test_a_switch_adds_up_what_is_large() -> None:
    """Each rank sends and receives its bytes once, 7/4 as much in two passes among 8."""
    node, fabric = NODES.tiers
    switched = Cluster("switched", (replace(node, switch_latency_s=60e-6), fabric))
    message = {size: Message("all_reduce", size, np.asarray(8.0), 1) for size in (1e6, 1e9)}
    small, large = (float(message_seconds(message[size], switched, 64)) for size in (1e6, 1e9))
    assert small == float(message_seconds(message[1e6], NODES, 64))
    assert large == pytest.approx(60e-6 + 1e9 / B0)
    assert large < 0.6 * float(message_seconds(message[1e9], NODES, 64))


def test_other_kernels_than_the_all_reduce_behind_a_switch() -> None:
    """Latency and share of a node whose switch adds up are the all-reduce's; other nodes state no kernel's."""
    node, fabric = NODES.tiers
    switched = Cluster("switched", (replace(node, switch_latency_s=60e-6), fabric))
    for kind, latency, share in (("all_gather", 1.85, 0.74), ("reduce_scatter", 1.85, 0.74), ("all_to_all", 2.5, 0.62)):
        message = Message(kind, 1e9, np.asarray(8.0), 1)
        plain, slower = (float(message_seconds(message, c, 64)) for c in (NODES, switched))
        assert plain == pytest.approx(A0 + 7 / 8 * 1e9 / B0)
        assert slower == pytest.approx(latency * A0 + 7 / 8 * 1e9 / (share * B0))
        wide = Message(kind, 1e9, np.asarray(16.0), 1)
        across = float(message_seconds(wide, switched, 64)) - float(message_seconds(wide, NODES, 64))
        assert 0 < across < 2 * (slower - plain)
