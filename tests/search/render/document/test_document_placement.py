"""Placement against brute force: ranks listed by nested loops, groups found by what their members share."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise, product

from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.cluster import Cluster, Tier
from search.render.document.placement import Rank, expert_range, place, traffic

SMALL = st.integers(1, 4)


@st.composite
def layouts(draw: st.DrawFn) -> dict[str, int]:
    tp, sp, groups, pp, dp = (draw(SMALL) for _ in range(5))
    width = tp * sp * groups
    ep = draw(st.sampled_from([d for d in range(1, width + 1) if width % d == 0]))
    return {"gpus": dp * pp * width, "dp": dp, "pp": pp, "sp": sp, "tp": tp, "ep": ep}


@settings(deadline=None, max_examples=60)
@given(layout=layouts(), experts=st.integers(64, 130), node_size=st.integers(1, 9))
def test_ranks_as_nested_loops_number_them(layout: dict[str, int], experts: int, node_size: int) -> None:
    width = layout["gpus"] // (layout["dp"] * layout["pp"])
    groups, moe_tp = width // (layout["tp"] * layout["sp"]), width // layout["ep"]
    expected = []
    loops = product(*(range(n) for n in (layout["dp"], layout["pp"], groups, layout["sp"], layout["tp"])))
    for rank, (replica, stage, group, sp, tp) in enumerate(loops):
        local = (group * layout["sp"] + sp) * layout["tp"] + tp
        owned = [e for e in range(experts) if _owner(e, layout["ep"], experts) == local // moe_tp]
        expected.append(
            Rank(
                rank, rank // node_size, replica, stage, group, sp, tp, local // moe_tp, local % moe_tp,
                owned[0], owned[-1] + 1,
            )
        )  # fmt: skip
    assert place(layout, experts, node_size) == expected


def _owner(expert: int, ep: int, experts: int) -> int:
    """Deal out experts one by one: how many each rank gets, then in order."""
    sizes = [len(range(r, experts, ep)) for r in range(ep)]
    for rank, size in enumerate(sizes):
        if expert < size:
            return rank
        expert -= size
    raise AssertionError


@settings(deadline=None, max_examples=60)
@given(ep=st.integers(1, 64), experts=st.integers(64, 512))
def test_every_expert_has_one_rank(ep: int, experts: int) -> None:
    ranges = [expert_range(r, ep, experts) for r in range(ep)]
    assert [e for first, end in ranges for e in range(first, end)] == list(range(experts))
    assert max(end - first for first, end in ranges) == -(-experts // ep)


def by(ranks: list[Rank], *names: str) -> list[list[Rank]]:
    """Ranks that agree in everything but ``names``."""
    fixed = [n for n in ("replica", "stage", "group", "sp", "tp") if n not in names]
    groups = defaultdict(list)
    for rank in ranks:
        groups[tuple(getattr(rank, n) for n in fixed)].append(rank)
    return list(groups.values())


@settings(deadline=None, max_examples=60)
@given(layout=layouts(), node_size=st.integers(1, 9), exchange=st.sampled_from([None, "allgather", "alltoall"]))
def test_groups_that_leave_a_node(layout: dict[str, int], node_size: int, exchange: str | None) -> None:
    ranks = place(layout, 64, node_size)
    found = {t.name: t for t in traffic(layout, node_size, exchange=exchange, wide_dense=True)}
    kinds = {
        "tp all-reduce": ("tp",),
        "sp exchange of K and V": ("sp",),
        "gather and scatter of dense FFNs": ("group", "sp"),
    }
    if exchange is not None:
        across = ("group", "sp") if exchange == "allgather" else ("group", "sp", "tp")
        if len(by(ranks, "group", "sp")[0]) > 1:
            kinds["expert dispatch and combine"] = across
    for name, free in kinds.items():
        groups = by(ranks, *free)
        if len(groups[0]) == 1:
            assert name not in found
            continue
        spans = [len({r.node for r in g}) for g in groups]
        t = found[name]
        assert (t.size, t.groups) == (len(groups[0]), len(groups))
        assert (t.leaving, t.nodes_spanned) == (sum(n > 1 for n in spans), max(spans))
        assert t.inside == (max(spans) == 1)
    if layout["pp"] > 1:
        chains = [sorted(g, key=lambda r: r.stage) for g in by(ranks, "stage")]
        hops = [(a.node, b.node) for g in chains for a, b in pairwise(g)]
        assert found["pipeline hand-over"].groups == len(hops)
        assert found["pipeline hand-over"].leaving == sum(a != b for a, b in hops)


@settings(deadline=None, max_examples=60)
@given(layout=layouts(), node_size=st.integers(1, 9))
def test_what_the_cost_model_keeps_inside_a_node_is_inside(layout: dict[str, int], node_size: int) -> None:
    cluster = Cluster("c", (Tier("node", node_size, 0.0, 1.0), Tier("fabric", 10_000, 0.0, 1.0)))
    for t in traffic(layout, node_size, exchange="allgather", wide_dense=False):
        if t.name != "pipeline hand-over" and cluster.members(0, t.size, t.stride, layout["gpus"]) == t.size:
            assert t.inside
