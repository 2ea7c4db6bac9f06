"""The main job on each family: the same small configs, widened to sizes that take an accelerator's time, planned on one
accelerator. A step is never faster than reading what it must read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from costmodel.evaluate import evaluate
from costmodel.parameters import kv_bytes_per_sequence, state_bytes_per_sequence, weight_bytes
from search.base.paths import conf_dir
from search.inputs.config import read_scenario
from search.inputs.models import read_architecture
from search.inputs.typed import typed
from search.optimizer.legal import legal_plans
from search.optimizer.rules.facts import facts_of
from search.optimizer.space import Space

ATTENTION: dict[str, Any] = {
    "hidden_size": 2048,
    "num_hidden_layers": 16,
    "vocab_size": 64_000,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "intermediate_size": 6144,
    "max_position_embeddings": 32_768,
    "tie_word_embeddings": False,
}
EXPERTS = {"num_experts": 32, "num_experts_per_tok": 4, "moe_intermediate_size": 1024}
MAMBA2 = {"mamba_n_heads": 64, "mamba_d_head": 64, "mamba_n_groups": 1, "mamba_d_state": 128, "mamba_d_conv": 4}
LATENT = {"kv_lora_rank": 512, "q_lora_rank": 768, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128}
NAMED: dict[str, dict[str, Any]] = {
    "apertus": {"hidden_act": "xielu"},
    "arcee": {"hidden_act": "relu2"},
    "cohere2": {"sliding_window": 4096},
    "dots1": EXPERTS | {"n_shared_experts": 1, "first_k_dense_replace": 1},
    "ernie4_5": {"use_bias": False},
    "exaone4": {"sliding_window": 4096, "sliding_window_pattern": "LLLG"},
    "falcon_h1": MAMBA2 | {"mamba_d_ssm": 4096},
    "gemma3_text": {"sliding_window": 1024},
    "glm4": {"attention_bias": False},
    "granite": {},
    "granitemoehybrid": MAMBA2
    | {"num_local_experts": 32, "num_experts_per_tok": 4, "intermediate_size": 512, "shared_intermediate_size": 1024}
    | {"layer_types": (["mamba"] * 7 + ["attention"]) * 2},
    "hunyuan_v1_moe": EXPERTS | {"num_shared_expert": 1, "use_qk_norm": True},
    "jamba": EXPERTS
    | {"attn_layer_period": 8, "attn_layer_offset": 4, "expert_layer_period": 2, "expert_layer_offset": 1}
    | {"intermediate_size": 2048, "mamba_d_state": 16, "moe_intermediate_size": None},
    "kimi_linear": EXPERTS
    | LATENT
    | {"head_dim": None, "num_key_value_heads": 16, "num_shared_experts": 1, "first_k_dense_replace": 1}
    | {"linear_attn_config": {"kda_layers": [i for i in range(1, 17) if i % 4], "full_attn_layers": [4, 8, 12, 16]}
       | {"head_dim": 128, "num_heads": 16, "short_conv_kernel_size": 4}},
    "lfm2": {"full_attn_idxs": [2, 5, 8, 11], "block_auto_adjust_ff_dim": False},
    "longcat_flash": LATENT
    | {"head_dim": None, "num_key_value_heads": 16, "intermediate_size": None, "num_hidden_layers": None}
    | {"num_layers": 8, "ffn_hidden_size": 4096, "expert_ffn_hidden_size": 1024, "n_routed_experts": 32}
    | {"zero_expert_num": 16, "moe_topk": 6},
    "mamba": {"num_attention_heads": None, "num_key_value_heads": None, "head_dim": None, "intermediate_size": None}
    | {"state_size": 16, "conv_kernel": 4, "expand": 2, "time_step_rank": 128},
    "mimo_v2_flash": EXPERTS
    | {"v_head_dim": 64, "hybrid_layer_pattern": [0, 1, 1, 1] * 4, "moe_layer_freq": [0, *[1] * 15]}
    | {"sliding_window_size": 128},
    "minimax": {"num_local_experts": 32, "num_experts_per_tok": 4, "intermediate_size": 1024}
    | {"attn_type_list": [0, 0, 0, 1] * 4},
    "minimax_m3_vl_text": {"num_local_experts": 32, "num_experts_per_tok": 4, "intermediate_size": 1024}
    | {"dense_intermediate_size": 6144, "moe_layer_freq": [0, *[1] * 15], "use_qk_norm": True}
    | {"sparse_attention_config": {"sparse_num_index_heads": 4, "sparse_index_dim": 128, "sparse_block_size": 128}
       | {"sparse_topk_blocks": 8, "sparse_attention_freq": [0, *[1] * 15]}},
    "deepseek_v4": EXPERTS
    | {"num_key_value_heads": 1, "head_dim": 512, "q_lora_rank": 768, "o_groups": 4, "o_lora_rank": 512}
    | {"index_n_heads": 16, "index_head_dim": 128, "hc_mult": 4, "n_shared_experts": 1, "intermediate_size": None}
    | {"compress_ratios": [0, 128, 4, 128] * 4},
    "nemotron": {"hidden_act": "relu2"},
    "nemotron-nas": {"num_key_value_heads": None, "intermediate_size": None}
    | {"block_configs": [{"attention": {"n_heads_in_group": 4}, "ffn": {"ffn_mult": 3.0}},
                         {"attention": {"no_op": True}, "ffn": {"ffn_mult": 1.5}}] * 8},
    "olmo3": {"sliding_window": 4096},
    "olmoe": EXPERTS | {"moe_intermediate_size": None, "intermediate_size": 1024},
    "phimoe": {"num_local_experts": 16, "num_experts_per_tok": 2, "attention_bias": True},
    "seed_oss": {"attention_bias": True, "attention_out_bias": False},
    "smollm3": {},
    "starcoder2": {"use_bias": True},
}  # fmt: skip


def _read(kind: str) -> Any:
    config = {k: v for k, v in (ATTENTION | NAMED[kind] | {"model_type": kind}).items() if v is not None}
    return read_architecture(config, name=kind).architecture


@pytest.mark.parametrize("kind", NAMED)
def test_one_accelerator(kind: str) -> None:
    model = _read(kind)
    overrides = [
        "engine=any", "hardware=h100_sxm", "space.gpus=1", "space.dp=1", "space.sp=1", "space.pp=1", "space.tp=1",
        "space.ep=1", "space.batch=[1,8]", "workload.isl=2048", "workload.osl=512",
    ]  # fmt: skip
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = typed(compose("config", overrides))
    scenario = read_scenario(config, model)
    legal = legal_plans(Space.from_config(vars(config.space)), facts_of(scenario), "any")
    assert len(legal) == 2
    scores = evaluate(scenario, legal.plans)
    assert bool(np.all(scores.feasible))
    weights = sum(weight_bytes(model).values())
    kept = kv_bytes_per_sequence(model, 2560) + state_bytes_per_sequence(model)
    memory = scores.memory_bytes_per_gpu
    assert np.all(memory > weights + kept)
    assert memory[1] > memory[0]
    # At batch 1 nearly all of a dense model is read each step, and of experts those that one token takes.
    floor = 0.0 if model.has_experts else 0.9 * (weights - 2 * model.vocabulary * model.hidden)
    assert np.all(scores.tpot_s > floor / scenario.accelerator.memory_bytes_per_s)
    assert np.all(scores.tpot_s < 0.1)
    assert np.all(np.isfinite(scores.ttft_s) & (scores.ttft_s > 0))


@pytest.mark.parametrize("kind", ["minimax", "kimi_linear", "granitemoehybrid", "jamba"])
def test_longer_contexts_hardly_cost_recurrent_layers_memory(kind: str) -> None:
    model = _read(kind)
    every = 16 * 2 * 4 * 128 * 2.0  # bytes of a token if every layer kept keys and values
    assert kv_bytes_per_sequence(model, 1000) < 0.3 * 1000 * every
    assert state_bytes_per_sequence(model) > 0
