"""Rules that follow from the definitions of the degrees (docs/words.md), whatever the engine."""

from __future__ import annotations

import numpy as np

from search.optimizer.rules.rule import Rule, divides, quotients

DEFINITION = "docs/words.md: every derived degree is whole"

RULES = [
    Rule(
        "replicas_fill_gpus",
        DEFINITION,
        "gpus is a multiple of dp * pp",
        lambda p, f: (p.gpus % (p.dp * p.pp) == 0) & (p.gpus >= p.dp * p.pp),
    ),
    Rule(
        "attention_fills_stage",
        DEFINITION,
        "gpus / (dp * pp) is a multiple of tp * sp",
        lambda p, f: (p.stage_width % (p.tp * p.sp) == 0) & (p.stage_width >= p.tp * p.sp),
    ),
    Rule(
        "experts_fill_stage",
        DEFINITION,
        "gpus / (dp * pp) is a multiple of ep",
        lambda p, f: (p.stage_width % p.ep == 0) & (p.stage_width >= p.ep),
    ),
    Rule(
        "dense_has_one_group",
        "docs/words.md: for a dense model ep, moe_tp and attn_dp are 1; replicas are dp",
        "a dense model has ep 1 and fills its stage with tp * sp",
        lambda p, f: np.full(len(p), True) if f.moe else (p.ep == 1) & (p.stage_width == p.tp * p.sp),
    ),
    Rule(
        "experts_to_go_round",
        DEFINITION,
        "ep does not exceed the number of experts",
        lambda p, f: np.full(len(p), True) if not f.moe else p.ep <= min(f.experts),
    ),
    Rule(
        "layers_to_go_round",
        "vllm/config/model.py verify_with_parallel_config, vLLM 0.33; TensorRT-LLM mapping.py",
        "pp does not exceed the number of layers",
        lambda p, f: p.pp <= f.layers,
    ),
    Rule(
        "fabric_reaches",
        "conf/cluster: the size of the outermost tier",
        "gpus does not exceed what the cluster connects",
        lambda p, f: p.gpus <= f.max_gpus,
    ),
    Rule(
        "matrices_divide",
        "vllm/distributed/utils.py divide, vLLM 0.33; the others likewise",
        "tp divides the dense FFN's width and moe_tp the experts' width",
        lambda p, f: divides(p.tp, f.dense_inner) & divides(p.moe_tp, f.expert_inner),
        lambda p, f: ", ".join(
            part
            for part in (
                quotients(int(p.tp[0]), f.dense_inner, "tp"),
                quotients(int(p.moe_tp[0]), f.expert_inner, "moe_tp"),
            )
            if part
        ),
    ),
]
