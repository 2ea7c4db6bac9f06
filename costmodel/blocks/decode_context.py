"""Decode context parallelism: the cache of a sequence is dealt over ranks of its tp group.

Each rank attends with the queries of all heads of its group of ``ranks`` to its own share of the tokens; queries are
gathered before it, and the heads' answers, with the logarithms of their sums, are put together and given back after it
(vllm/v1/attention/ops/common.py cp_lse_ag_out_rs, 0.33; Helix, arXiv:2507.07120, section 3). FLOPs are the same, what a
rank reads of the cache is ``1 / ranks``: worth it where ranks would otherwise hold copies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from costmodel.blocks.gqa import GroupedQueryAttention
from costmodel.blocks.mla import LatentAttention
from costmodel.operations import ACTIVATION_BYTES, Collective, Core, Operation

LSE_BYTES = 4.0  # of a head and token: fp32


def widths(mixer: Any) -> tuple[int, int, int] | None:
    """Heads, and elements of one head's query and answer where attention meets the cache; ``None`` for mixers whose
    cache is not dealt: none of its own, a window, a selection."""
    if isinstance(mixer, LatentAttention) and mixer.indexer is None:
        return mixer.heads, mixer.latent, mixer.kv_rank
    if isinstance(mixer, GroupedQueryAttention):
        bounded = mixer.window or mixer.chunk or mixer.selector or mixer.sinks
        return None if bounded else (mixer.heads, mixer.head_dim, mixer.value_dim)
    return None


def dealt(operations: Iterable[Operation], mixer: Any, ranks: int, tp: Any) -> Iterator[Operation]:
    """A layer's operations with decodes' attention over a share of the cache."""
    found = widths(mixer)
    for op in operations:
        if found is None or not isinstance(op, Core) or op.kind not in ("decode_attention", "mla_decode"):
            yield op
            continue
        heads, query, answer = found
        group = heads / tp * ranks
        yield Collective("attention.gather_q", "all_gather", group * query * ACTIVATION_BYTES, ranks, 1, "decodes")
        yield replace(
            op,
            cache_read_per_decode=op.cache_read_per_decode / ranks,
            cache_write_per_token=op.cache_write_per_token / ranks,
            io_per_token=op.io_per_token * ranks,
            heads=op.heads * ranks,
            context=op.context / ranks,
        )
        yield Collective("attention.gather_lse", "all_gather", group * ranks * LSE_BYTES, ranks, 1, "decodes")
        yield Collective("attention.scatter", "reduce_scatter", group * answer * ACTIVATION_BYTES, ranks, 1, "decodes")
