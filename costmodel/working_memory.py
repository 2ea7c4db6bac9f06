"""What an engine holds beside weights, cache and the tensors of a pass: the constants of ``conf/engine``."""

from __future__ import annotations

from dataclasses import dataclass

GIB = 2.0**30
PAGING = ("plain", "unified", "whole")


@dataclass(frozen=True)
class WorkingMemory:
    """Bytes on one accelerator, all zero for an engine that nothing is known of (its ``reserve_bytes`` stands for
    them). docs/memory.md says where each comes from.

    ``context_bytes``: context and libraries that are there before an engine looks how much is free, so outside of its
    share; ``parallel_context_bytes`` more with several ranks. ``libraries_bytes``: what libraries take afterwards,
    inside of it; ``parallel_bytes`` more with several ranks (buffers of all-reduces) on Hopper and later,
    ``plain_parallel_bytes`` on others. ``logits_copies``: tensors of the size of all sequences' fp32 logits alive in
    the sampler at once. ``held_workspaces``: 1 where experts' workspaces stay alive beside the sampler, 0 where they
    are given back. ``latent_tokens``: cached tokens whose keys and values an MLA prefill expands at once.
    ``folded_copies``: 1 where MLA's up-projections are kept a second time, in bf16. ``graph_bytes`` and
    ``graph_each_bytes``: captured graphs of decode batches, once and for each size, ``graph_experts`` times as much
    in models with experts; ``graphs_counted``: 1 where the cache is sized beside them, 0 where they are captured
    from what the share leaves. ``encoder_bytes``: the peak of a vision encoder with the longest dummy input.
    ``paging``: ``unified`` where all kinds of layers take blocks of one size (vLLM's hybrid cache manager), ``whole``
    where layers with a window keep everything, else ``plain``; ``state_blocks``: blocks that a recurrent layer holds
    for a request where they are unified."""

    context_bytes: float = 0.0
    parallel_context_bytes: float = 0.0
    libraries_bytes: float = 0.0
    parallel_bytes: float = 0.0
    plain_parallel_bytes: float = 0.0
    logits_copies: float = 1.0
    held_workspaces: float = 0.0
    latent_tokens: int = 0
    folded_copies: float = 0.0
    graph_bytes: float = 0.0
    graph_each_bytes: float = 0.0
    graph_experts: float = 1.0
    graphs_counted: float = 1.0
    encoder_bytes: float = 0.0
    paging: str = "plain"
    state_blocks: int = 1


UNKNOWN_MEMORY = WorkingMemory()
