"""Why an engine cannot start a plan: a rule by its name, never an approximation of the plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from costmodel.hardware import maybe_nvidia
from costmodel.plans import Plans
from search.optimizer.legal import why_not
from search.optimizer.rules.facts import Facts
from search.optimizer.rules.registry import engine_rules, general_rules
from search.render.launch.flags import HOLDS
from search.render.launch.server import Server

# Formats of a KV cache as each engine spells them; "auto" is the dtype of the model. vllm/config/cache.py CacheDType;
# sglang/srt/arg_groups/fields/model.py kv_cache_dtype; TensorRT-LLM llm_args.py KvCacheConfig.dtype.
CACHE_DTYPES = {
    "vllm": {"bf16": "auto", "fp16": "auto", "fp8": "fp8", "nvfp4": "nvfp4"},
    "sglang": {"bf16": "auto", "fp16": "auto", "fp8": "fp8_e4m3", "nvfp4": "nvfp4"},
    "trtllm": {"bf16": "auto", "fp16": "auto", "fp8": "fp8", "nvfp4": "nvfp4"},
}


@dataclass(frozen=True)
class Refusal:
    """The name of the first rule broken and what it asks for."""

    rule: str
    text: str


@dataclass(frozen=True)
class StartRule:
    """What a start needs beyond a legal layout. ``keeps(server, engine)``."""

    name: str
    source: str
    text: str
    keeps: Callable[[Server, str], bool]


START_RULES = [
    StartRule(
        "launch.context_fits",
        "vllm/config/model.py _get_and_verify_max_len, 0.33.0; sglang/srt/configs/model_config.py, 0.5.23",
        "a request's tokens, workload.isl + workload.osl, are at most the positions of the model",
        lambda s, engine: s.positions == 0 or s.isl + s.osl <= s.positions,
    ),
    StartRule(
        "launch.cache_holds_a_request",
        "vllm/v1/core/kv_cache_utils.py _check_enough_kv_cache_memory, 0.33.0",
        "the cache beside the weights holds a whole request",
        lambda s, engine: s.capacity_tokens >= s.length,
    ),
    StartRule(
        "launch.cache_format",
        "vllm/config/cache.py, 0.33.0; sglang/srt/arg_groups/fields/model.py, 0.5.23; TensorRT-LLM llm_args.py",
        "the engine knows the format of the KV cache: bf16, fp16, fp8, nvfp4",
        lambda s, engine: s.checkpoint.cache in CACHE_DTYPES[engine],
    ),
    StartRule(
        "launch.held_prompts",
        "vllm/config/scheduler.py, 0.33.0; sglang scheduler_recv_skipper.py, 0.5.23; TensorRT-LLM llm_args.py",
        "engine.hold_steps is 0 in vLLM, whole or half steps in SGLang, whole steps in TensorRT-LLM",
        lambda s, engine: s.hold_steps == 0.0 or (HOLDS[engine] > 0 and s.hold_steps * HOLDS[engine] % 1.0 == 0.0),
    ),
    StartRule(
        "launch.text_only",
        "vllm/engine/arg_utils.py --language-model-only, 0.33.0; no such option is known of the others",
        "model.text_only is false, or the engine can leave vision and audio towers out: vLLM",
        lambda s, engine: engine == "vllm" or not s.checkpoint.text_only,
    ),
    StartRule(
        "launch.accelerator",
        "TensorRT-LLM runs on NVIDIA accelerators alone",
        "the accelerator's vendor is NVIDIA",
        lambda s, engine: engine != "trtllm" or maybe_nvidia(s.vendor),
    ),
]


def layout_refusal(plan: Plans, facts: Facts, engine: str) -> Refusal | None:
    """The first rule of docs/legality.md that one plan breaks: of any engine or of this one."""
    broken = why_not(plan, facts)[0][engine]
    if broken is None:
        return None
    texts = {rule.name: rule.text for rule in [*general_rules(), *engine_rules(engine)]}
    return Refusal(broken, texts[broken])


def start_refusal(server: Server, engine: str) -> Refusal | None:
    """The first rule of ``START_RULES`` that it breaks."""
    return next((Refusal(r.name, r.text) for r in START_RULES if not r.keeps(server, engine)), None)
