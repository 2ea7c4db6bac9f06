"""What an engine holds beside weights, cache and the tensors of a pass: constants of ``conf/engine``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from costmodel.fields import Choice, Quantity

GIB = 2.0**30
PAGING = ("plain", "unified", "whole")  # costmodel.memory.cache.request

MXFP4 = ("triton", "marlin")  # costmodel.memory.weights
RINGS = ("requests", "tokens")  # costmodel.memory.compressed.token_bytes
COMPRESSED = ("packed", "tuples")  # costmodel.memory.compressed.paged


@dataclass(frozen=True)
class WorkingMemory:
    """Bytes on one accelerator, declared once like ``costmodel.engine.Engine``; all zero for an engine that nothing is
    known of, whose ``reserve_bytes`` stands for them. docs/memory.md says where each comes from."""

    context_bytes: Annotated[
        float, Quantity("context and libraries before an engine looks how much is free: outside of its share")
    ] = 0.0
    parallel_context_bytes: Annotated[float, Quantity("more of it with several ranks")] = 0.0
    libraries_bytes: Annotated[float, Quantity("what libraries take afterwards, inside of the share")] = 0.0
    parallel_bytes: Annotated[
        float, Quantity("more of it with several ranks (buffers of all-reduces), on Hopper and later")
    ] = 0.0
    plain_parallel_bytes: Annotated[float, Quantity("and on other accelerators")] = 0.0
    logits_copies: Annotated[
        float, Quantity("tensors of the size of all sequences' fp32 logits alive in the sampler at once")
    ] = 1.0
    held_workspaces: Annotated[
        float, Quantity("share of the experts' workspaces that stays alive beside the sampler", 0, 1)
    ] = 0.0
    latent_tokens: Annotated[int, Quantity("cached tokens whose keys and values an MLA prefill expands at once")] = 0
    indexer_requests: Annotated[
        int, Quantity("longest requests whose index keys a sparse indexer's workspace holds at once")
    ] = 0
    indexer_logits_bytes: Annotated[float, Quantity("scores of a sparse indexer alive at once")] = 0.0
    gathered_requests: Annotated[
        int, Quantity("longest requests whose compressed entries a prefill gathers in bf16 (DeepSeek-V4)")
    ] = 0
    folded_copies: Annotated[float, Quantity("copies of MLA's up-projections in bf16 beside the weights", 0, 10)] = 0.0
    mxfp4_kernels: Annotated[
        str, Choice("of experts in MXFP4 on Hopper, which pad them: vLLM has Marlin's on older accelerators", MXFP4)
    ] = "triton"
    int4_tile: Annotated[
        int,
        Quantity("rows that a rank's share of an INT4 expert is padded to, in groups below 128; 0: to none", 0, 1024),
    ] = 0
    graph_bytes: Annotated[float, Quantity("captured graphs of decode batches, once")] = 0.0
    graph_each_bytes: Annotated[float, Quantity("and for each batch size")] = 0.0
    graph_experts: Annotated[float, Quantity("times as much in models with experts", 0, 100)] = 1.0
    graphs_counted: Annotated[
        float, Quantity("1: the cache is sized beside graphs; 0: they come from what the share leaves", 0, 1)
    ] = 1.0
    encoder_bytes: Annotated[float, Quantity("a vision encoder's peak with the longest dummy input")] = 0.0
    paging: Annotated[
        str,
        Choice(
            "unified: all kinds of layers take blocks of one size; whole: layers with a window keep everything", PAGING
        ),
    ] = "plain"
    window_share: Annotated[
        float,
        Quantity("tokens of the pool of layers with a window, over those of full attention's; 0: what they need", 0, 1),
    ] = 0.0
    compressed_window_share: Annotated[float, Quantity("the same of DeepSeek-V4", 0, 1)] = 0.0
    coarse_rings: Annotated[
        str, Choice("states of DeepSeek-V4's entries of 128 tokens are kept by request, or by token", RINGS)
    ] = "requests"
    passes_in_flight: Annotated[
        float, Quantity("passes whose new tokens layers with a window keep beside it, when requests are counted", 0, 16)
    ] = 1.0
    compressed_blocks: Annotated[
        str, Choice("blocks of DeepSeek-V4: packed group by group, or a place for each size of page", COMPRESSED)
    ] = "packed"
    state_blocks: Annotated[int, Quantity("blocks of a recurrent layer for a request, where they are unified")] = 1


UNKNOWN_MEMORY = WorkingMemory()
