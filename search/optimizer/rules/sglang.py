"""What SGLang 0.5.23 accepts."""

from __future__ import annotations

import numpy as np

from costmodel.plans import Plans
from search.optimizer.rules.facts import Facts
from search.optimizer.rules.rule import Mask, Rule, cut_blocks, divides, kv_heads_fit, quotients, whole_blocks


def _nodes_divide(plans: Plans, facts: Facts) -> Mask:
    ranks = plans.stage_width * plans.pp
    nodes = np.maximum(-(-ranks // facts.node_size), 1)
    return ranks % nodes == 0


def _blocks_divide(plans: Plans, facts: Facts) -> Mask:
    kept = np.ones(len(plans), dtype=bool)
    if facts.weight_block:
        for inner in facts.expert_inner:
            kept &= (inner // np.maximum(plans.moe_tp, 1)) % facts.weight_block == 0
    dense = plans.stage_width if facts.dense_split == "stage" else plans.tp
    return kept & whole_blocks(dense, facts.block_dense) & whole_blocks(plans.tp, facts.block_tp)


def _blocks_cut(plan: Plans, facts: Facts) -> str:
    tp, moe_tp = int(plan.tp[0]), int(plan.moe_tp[0])
    dense = int(plan.stage_width[0]) if facts.dense_split == "stage" else tp
    experts = cut_blocks(moe_tp, facts.expert_inner if facts.weight_block else (), "moe_tp")
    parts = (experts, cut_blocks(dense, facts.block_dense, "ranks"), cut_blocks(tp, facts.block_tp, "tp"))
    return "; ".join(part for part in parts if part)


RULES = [
    Rule(
        "sglang.heads_divide",
        "sglang/srt/layers/dp_attention.py and model files, 0.5.23",
        "tp divides the attention heads",
        lambda p, f: divides(p.tp, f.heads),
        lambda p, f: quotients(int(p.tp[0]), f.heads, "tp"),
    ),
    Rule(
        "sglang.kv_heads_divide",
        "sglang/srt/layers/linear.py QKVParallelLinear, 0.5.23",
        "tp divides the KV heads, or is a multiple of them",
        kv_heads_fit,
    ),
    Rule(
        "sglang.experts_divide",
        "sglang/srt/layers/moe/fused_moe_triton/layer.py, 0.5.23: num_experts % ep_size == 0",
        "ep divides the experts",
        lambda p, f: divides(p.ep, f.experts),
    ),
    Rule(
        "sglang.fp8_blocks_divide",
        "sglang/srt/layers/quantization/fp8.py, 0.5.23 (AITER on AMD excepted)",
        "experts, dense FFNs, shared experts and attention in block-FP8 are cut into multiples of the block of 128",
        _blocks_divide,
        _blocks_cut,
    ),
    Rule(
        "sglang.attention_context_parallel",
        "sglang/srt/server_args.py --attn-cp-size, 0.5.23",
        "sp > 1 needs tp 1 and attn_dp 1",
        lambda p, f: (p.sp == 1) | ((p.tp == 1) & (p.attn_dp == 1)),
    ),
    Rule(
        "sglang.nodes_divide",
        "sglang/srt/server_args.py, 0.5.23: (tp_size * pp_size) % nnodes == 0",
        "a replica's ranks divide evenly over its nodes",
        _nodes_divide,
    ),
]
