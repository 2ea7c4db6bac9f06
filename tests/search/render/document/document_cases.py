"""Outcomes for the tests of the document, built from the conf files."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from omegaconf import OmegaConf

from search.base.paths import conf_dir
from search.inputs.models.catalog import load_entry
from search.inputs.typed import typed
from search.optimizer.outcome import Outcome
from search.optimizer.run import run

QWEN3_SMALL = {
    "model_type": "qwen3",
    "attention_bias": False,
    "head_dim": 128,
    "hidden_act": "silu",
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "max_position_embeddings": 4096,
    "num_attention_heads": 16,
    "num_hidden_layers": 27,
    "num_key_value_heads": 4,
    "tie_word_embeddings": True,
    "vocab_size": 151936,
}

DEEPSEEK_SMALL = {
    "model_type": "deepseek_v3",
    "attention_bias": False,
    "first_k_dense_replace": 1,
    "hidden_act": "silu",
    "hidden_size": 2048,
    "intermediate_size": 10944,
    "kv_lora_rank": 512,
    "max_position_embeddings": 163840,
    "moe_intermediate_size": 1408,
    "n_routed_experts": 64,
    "n_shared_experts": 2,
    "num_attention_heads": 16,
    "num_experts_per_tok": 6,
    "num_hidden_layers": 27,
    "num_key_value_heads": 16,
    "q_lora_rank": None,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "tie_word_embeddings": False,
    "v_head_dim": 128,
    "vocab_size": 102400,
}


def _group(group: str, option: str) -> Any:
    return OmegaConf.load(conf_dir() / group / f"{option}.yaml")


def outcome(model: dict[str, Any], changes: dict[str, Any]) -> Outcome:
    """The worked case's groups with another model; ``changes`` are dotted keys with values."""
    choices = {
        "hardware": "worked_case_64gb",
        "cluster": "worked_case",
        "engine": "any",
        "workload": "in2048_out2048",
        "limits": "burst_30s",
        "space": "two_nodes",
        "objective": "throughput_latency_gpus",
        "strategy": "nsga2",
        "sensitivity": "default",
    }
    config = OmegaConf.create({group: _group(group, option) for group, option in choices.items()})
    config.model = model
    config.strategy.n_trials = 100
    config.sensitivity.draws = 30
    for key, value in changes.items():
        OmegaConf.update(config, key, value, merge=False, force_add=True)
    return run(typed(config))


def worked_case(**changes: Any) -> Outcome:
    """The worked case as its experiment has it."""
    experiment = OmegaConf.load(conf_dir() / "experiment" / "qwen3_235b.yaml")
    model = load_entry("qwen3_235b_fp8_cast")
    rest = {key: experiment[key] for key in ("name", "baselines", "assumptions")}
    return outcome(model, rest | changes)


def renamed(outcome: Outcome, name: str) -> Outcome:
    """The same with ``name`` in every place of a name, also the run's, where a search does not take just any."""
    scenario = outcome.scenario
    tiers = tuple(replace(tier, name=name) for tier in scenario.cluster.tiers)
    return replace(
        outcome,
        config=replace(outcome.config, name=name),
        scenario=replace(
            scenario,
            model=replace(scenario.model, name=name),
            accelerator=replace(scenario.accelerator, name=name),
            cluster=replace(scenario.cluster, name=name, tiers=tiers),
        ),
        baselines=tuple(replace(b, name=name) for b in outcome.baselines),
    )


def dense_case() -> Outcome:
    """A small dense model with tied embeddings in a pipeline of uneven stages; every limit set; no earlier plan; a
    share of the prompts cached; more tokens than the model has positions."""
    changes = {
        "name": "dense",
        "limits": {"ttft_s": 5.0, "ttft_statistic": "mean", "tpot_s": 0.5, "min_requests_per_s": 0.5},
        "strategy.sampler": "exact",
        "workload.prefix_hit": 0.25,
        "space": {"gpus": [8], "tp": [1, 2], "pp": 4, "dp": [1, 2], "batch": [7, 16, 33]},
        "engine.name": "vllm",
        "engine.version": "0.33.0",
    }
    return outcome({"name": "small", "source": "made up", "published": QWEN3_SMALL}, changes)


def latent_case() -> Outcome:
    """Latent attention, shared experts and a dense first layer over five nodes; all-to-all, overlap, a wide split of
    dense FFNs; experts that do not divide."""
    changes = {
        "name": "latent",
        "engine.exchange": "alltoall",
        "engine.dense_split": "stage",
        "engine.comm_overlap": 0.5,
        "cluster.tiers": [
            {**_group("cluster", "worked_case").tiers[0], "size": 2},
            _group("cluster", "worked_case").tiers[1],
        ],
        "space": {
            "gpus": [8, 10],
            "tp": [1, 2],
            "ep": [1, 5, 8],
            "dp": 1,
            "batch": {"start": 20, "stop": 200, "step": 20},
        },
        "limits.ttft_s": None,
    }
    return outcome({"name": "latent", "published": DEEPSEEK_SMALL}, changes)
