"""What vLLM 0.33.0 accepts."""

from __future__ import annotations

import numpy as np

from costmodel.plans import Plans
from search.optimizer.rules.facts import Facts
from search.optimizer.rules.rule import Mask, Rule, cut_blocks, divides, kv_heads_fit, quotients, whole_blocks


def _nodes_divide(plans: Plans, facts: Facts) -> Mask:
    group = plans.tp * plans.sp * plans.pp  # ranks of one attention group with its pipeline: a data-parallel rank
    ranks = group * plans.attn_dp
    nodes = np.maximum(-(-ranks // facts.node_size), 1)
    local = np.maximum(ranks // nodes, 1)
    whole = (local % np.maximum(group, 1) == 0) | (group % local == 0)
    return (nodes == 1) | ((ranks % nodes == 0) & whole)


RULES = [
    Rule(
        "vllm.heads_divide",
        "vllm/config/model.py verify_with_parallel_config, 0.33.0",
        "tp divides the attention heads",
        lambda p, f: divides(p.tp, f.heads),
        lambda p, f: quotients(int(p.tp[0]), f.heads, "tp"),
    ),
    Rule(
        "vllm.kv_heads_divide",
        "vllm/model_executor/layers/linear.py QKVParallelLinear, 0.33.0",
        "tp divides the KV heads, or is a multiple of them",
        kv_heads_fit,
    ),
    Rule(
        "vllm.experts_whole_or_split",
        "vllm/model_executor/layers/fused_moe/config.py FusedMoEParallelConfig.make, 0.33.0",
        "experts are spread over the whole stage (ep = stage width) or split over it (ep = 1), never both",
        lambda p, f: np.full(len(p), True) if not f.moe else (p.ep == p.stage_width) | (p.ep == 1),
    ),
    Rule(
        "vllm.prefill_context_parallel",
        "vllm/config/parallel.py and the GPU model runner, 0.33.0: PCP with GQA or DP is not opened",
        "sp > 1 needs attention other than GQA, and attn_dp 1",
        lambda p, f: (p.sp == 1) | ((p.attn_dp == 1) & (not f.grouped_query)),
    ),
    Rule(
        "vllm.fp8_blocks_divide",
        "vllm/model_executor/layers/quantization/utils/fp8_utils.py validate_fp8_block_shape, 0.33.0: what a rank of a "
        "row- or single column-parallel matrix holds is whole blocks; merged ones may be padded (linear.py)",
        "tp cuts block-FP8 FFNs, shared experts and attention into multiples of the block of 128",
        lambda p, f: whole_blocks(p.tp, (*f.block_dense, *f.block_tp)),
        lambda p, f: cut_blocks(int(p.tp[0]), (*f.block_dense, *f.block_tp), "tp"),
    ),
    Rule(
        "vllm.nodes_divide",
        "vllm/engine/arg_utils.py create_engine_config, 0.33.0: --nnodes divides the world size",
        "a replica's ranks divide evenly over its nodes, whole attention groups to a node or whole nodes to a group",
        _nodes_divide,
    ),
]
