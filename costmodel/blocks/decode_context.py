"""Decode context parallelism: the cache of a sequence is dealt over ranks of its tp group.

Each rank attends with the queries of all heads of its group of ``ranks`` to its own share of the tokens; the heads'
answers, with the logarithms of their sums, are put together afterwards. FLOPs are the same, what a rank reads of the
cache is ``1 / ranks``: worth it where ranks would otherwise hold copies. Engines differ in the messages:

vLLM (vllm/v1/attention/ops/common.py cp_lse_ag_out_rs, 0.33, its default): queries are gathered before, sums gathered
and answers scattered after. SGLang (sglang/srt/arg_groups/overrides.py _dcp_comm_backend_default, 0.5.23): queries are
gathered, answers and sums go all to all. TensorRT-LLM's Helix (arXiv:2507.07120, section 3;
tensorrt_llm/_torch/modules/attention.py MLA and _helix_post_process, 1.2): every rank holds the query projections of
its whole group and makes these queries itself; answers in 16 bits and two sums in 32 go all to all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from costmodel.blocks.gqa import GroupedQueryAttention
from costmodel.blocks.mla import LatentAttention
from costmodel.operations import ACTIVATION_BYTES, Collective, Core, Gemm, Operation

LSE_BYTES = 4.0  # of a head and token: fp32
WHOLE_GROUP = ("attention.q_up", "attention.kv_up", "attention.absorb_k")  # whose outputs are the group's own heads


@dataclass(frozen=True)
class Dealing:
    """``ranks`` that share a sequence's cache; ``own_queries``: each makes the queries of its group itself;
    ``exchanged``: answers and sums go all to all, ``sums`` of each head and token."""

    ranks: int = 1
    own_queries: bool = False
    exchanged: bool = False
    sums: int = 1


def dealing(engine: str, ranks: int) -> Dealing:
    """As an engine does it."""
    helix = engine == "trtllm"
    return Dealing(ranks, helix and ranks > 1, helix or engine == "sglang", 2 if helix else 1)


def widths(mixer: Any) -> tuple[int, int, int] | None:
    """Heads, and elements of one head's query and answer where attention meets the cache; ``None`` for mixers whose
    cache is not dealt: none of its own, a window, a selection."""
    if isinstance(mixer, LatentAttention) and mixer.indexer is None:
        return mixer.heads, mixer.latent, mixer.kv_rank
    if isinstance(mixer, GroupedQueryAttention):
        bounded = mixer.window or mixer.chunk or mixer.selector or mixer.sinks
        return None if bounded else (mixer.heads, mixer.head_dim, mixer.value_dim)
    return None


def dealt(operations: Iterable[Operation], mixer: Any, how: Dealing, tp: Any) -> Iterator[Operation]:
    """A layer's operations with decodes' attention over a share of the cache."""
    found, ranks = widths(mixer), how.ranks
    for op in operations:
        if found is None or ranks == 1:
            yield op
        elif isinstance(op, Gemm) and how.own_queries and op.name in WHOLE_GROUP:
            yield replace(op, k=op.k * ranks) if op.name == "attention.absorb_k" else replace(op, n=op.n * ranks)
        elif isinstance(op, Core) and op.kind in ("decode_attention", "mla_decode"):
            yield from _shared(op, found, how, tp)
        else:
            yield op


def _shared(op: Core, width: tuple[int, int, int], how: Dealing, tp: Any) -> Iterator[Operation]:
    heads, query, answer = width
    ranks = how.ranks
    group = heads / tp * ranks
    if not how.own_queries:
        yield Collective("attention.gather_q", "all_gather", group * query * ACTIVATION_BYTES, ranks, 1, "decodes")
    yield replace(
        op,
        cache_read_per_decode=op.cache_read_per_decode / ranks,
        cache_write_per_token=op.cache_write_per_token / ranks,
        io_per_token=op.io_per_token * ranks,
        heads=op.heads * ranks,
        context=op.context / ranks,
    )
    if how.exchanged:
        row = group * (answer * ACTIVATION_BYTES + how.sums * LSE_BYTES)
        yield Collective("attention.exchange", "all_to_all", row, ranks, 1, "decodes")
        return
    yield Collective("attention.gather_lse", "all_gather", group * ranks * LSE_BYTES, ranks, 1, "decodes")
    yield Collective("attention.scatter", "reduce_scatter", group * answer * ACTIVATION_BYTES, ranks, 1, "decodes")
