"""What TensorRT-LLM accepts (tensorrt_llm/mapping.py and its documentation of parallel strategies, 1.x)."""

from __future__ import annotations

import numpy as np

from search.optimizer.rules.rule import Rule, divides, kv_heads_fit, quotients

RULES = [
    Rule(
        "trtllm.heads_divide",
        "tensorrt_llm/_torch/modules/attention.py, 1.x",
        "tp divides the attention heads",
        lambda p, f: divides(p.tp, f.heads),
        lambda p, f: quotients(int(p.tp[0]), f.heads, "tp"),
    ),
    Rule(
        "trtllm.kv_heads_divide",
        "tensorrt_llm/_torch/modules/attention.py, 1.x",
        "tp divides the KV heads, or is a multiple of them",
        kv_heads_fit,
    ),
    Rule(
        "trtllm.attention_dp_all_or_nothing",
        "tensorrt_llm/mapping.py enable_attention_dp, 1.x",
        "attn_dp is 1 or the whole of stage width / sp",
        lambda p, f: (p.attn_dp == 1) | (p.attn_dp * p.sp == p.stage_width),
    ),
    Rule(
        "trtllm.experts_divide",
        "tensorrt_llm/_torch/modules/fused_moe, 1.x: num_experts % ep_size == 0",
        "ep divides the experts",
        lambda p, f: divides(p.ep, f.experts),
    ),
    Rule(
        "trtllm.moe_inside_tensor_group",
        "tensorrt_llm/mapping.py, 1.x: moe_tp * moe_ep = tp_size, which leaves context ranks out (Ulysses)",
        "a mixture of experts has sp 1",
        lambda p, f: np.full(len(p), True) if not f.moe else p.sp == 1,
    ),
    Rule(
        "trtllm.ulysses_heads_divide",
        "tensorrt_llm/mapping.py cp_config, 1.x: Ulysses splits heads over tp * cp",
        "tp * sp divides the attention heads",
        lambda p, f: (p.sp == 1) | divides(p.tp * p.sp, f.heads),
    ),
]
