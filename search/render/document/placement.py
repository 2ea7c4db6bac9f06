"""Which rank stands where, what it holds, and which messages leave its node.

Ranks are numbered as in ``costmodel/layout.py``: tp innermost, then sp, attn_dp, pp, dp. Within a stage the ranks of
one expert-parallel rank are neighbours (``moe_tp`` inside ``ep``: SGLang's moe_ep_rank = tp_rank // moe_tp_size), and
experts are handed out in order, the first ranks one more where they do not divide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Rank:
    """One accelerator. ``group`` is its attention group, ``ep`` its expert-parallel rank, ``moe_tp`` its share of each
    expert; experts are ``[first_expert, end_expert)``, both 0 without experts."""

    rank: int
    node: int
    replica: int
    stage: int
    group: int
    sp: int
    tp: int
    ep: int
    moe_tp: int
    first_expert: int
    end_expert: int


@dataclass(frozen=True)
class Traffic:
    """A kind of message: its groups of ``size`` ranks that stand ``stride`` apart, and how many of them have members
    on more than one node."""

    name: str
    size: int
    stride: int
    groups: int
    leaving: int
    nodes_spanned: int

    @property
    def inside(self) -> bool:
        """True if no group leaves its node."""
        return self.leaving == 0


def expert_range(ep_rank: int, ep: int, experts: int) -> tuple[int, int]:
    """First expert of a rank and the one after its last."""
    share, rest = divmod(experts, ep)
    first = ep_rank * share + min(ep_rank, rest)
    return first, first + share + (ep_rank < rest)


def place(layout: Mapping[str, int], experts: int, node_size: int) -> list[Rank]:
    """Every rank of the deployment. ``layout`` has gpus, dp, pp, sp, tp, ep; ``experts`` is 0 for a dense model."""
    tp, sp = layout["tp"], layout["sp"]
    width = layout["gpus"] // (layout["dp"] * layout["pp"])
    moe_tp = width // layout["ep"]
    ranks = []
    for rank in range(layout["gpus"]):
        stage, local = divmod(rank, width)
        first, end = expert_range(local // moe_tp, layout["ep"], experts)
        ranks.append(
            Rank(
                rank=rank,
                node=rank // node_size,
                replica=stage // layout["pp"],
                stage=stage % layout["pp"],
                group=local // (tp * sp),
                sp=local // tp % sp,
                tp=local % tp,
                ep=local // moe_tp,
                moe_tp=local % moe_tp,
                first_expert=first,
                end_expert=end,
            )
        )
    return ranks


def traffic(layout: Mapping[str, int], node_size: int, *, exchange: str | None, wide_dense: bool) -> list[Traffic]:
    """The kinds of message that the layout has, each with where its groups lie. ``exchange`` is the engine's way with
    tokens of experts, ``None`` without experts; ``wide_dense``: dense FFNs are split over the whole stage."""
    tp, sp, pp = layout["tp"], layout["sp"], layout["pp"]
    width = layout["gpus"] // (layout["dp"] * pp)
    attn_dp = width // (tp * sp)
    kinds = [("tp all-reduce", tp, 1), ("sp exchange of K and V", sp, tp)]
    if exchange is not None and attn_dp * sp > 1:
        size, stride = (attn_dp * sp, tp) if exchange == "allgather" else (width, 1)
        kinds.append(("expert dispatch and combine", size, stride))
    if wide_dense and width > tp:
        kinds.append(("gather and scatter of dense FFNs", width // tp, tp))
    found = [_traffic(name, size, stride, layout["gpus"], node_size) for name, size, stride in kinds if size > 1]
    if pp > 1:
        found.append(_handover(layout["gpus"], width, pp, node_size))
    return found


def _traffic(name: str, size: int, stride: int, gpus: int, node_size: int) -> Traffic:
    spans = [len({r // node_size for r in ranks}) for ranks in members(size, stride, gpus)]
    return Traffic(name, size, stride, len(spans), sum(n > 1 for n in spans), max(spans))


def members(size: int, stride: int, gpus: int) -> Iterator[range]:
    """The ranks of each group of ``size`` ranks ``stride`` apart."""
    extent = size * stride
    for start in range(0, gpus, extent):
        for offset in range(stride):
            yield range(start + offset, start + offset + extent, stride)


def _handover(gpus: int, width: int, pp: int, node_size: int) -> Traffic:
    """Each rank sends to the one at its place in the next stage."""
    hops = [(r, r + width) for r in range(gpus) if r // width % pp < pp - 1]
    leaving = sum(a // node_size != b // node_size for a, b in hops)
    return Traffic("pipeline hand-over", 2, width, len(hops), leaving, 2 if leaving else 1)
