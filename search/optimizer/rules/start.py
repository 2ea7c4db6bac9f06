"""What a server needs to start beyond a layout that the engine takes. One list, for the search (as far as it can be
told before a plan is scored), ``explain``, ``audit`` and ``launch``.

The first rule that is broken keeps a plan out; ``audit`` names all of them with their arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.engine import ENGINES
from costmodel.plans import Plans
from search.optimizer.rules.facts import Facts
from search.optimizer.rules.rule import Mask, Rule

# Formats of a KV cache as each engine spells them; "auto" is the dtype of the model. vllm/config/cache.py CacheDType;
# sglang/srt/arg_groups/fields/model.py kv_cache_dtype; TensorRT-LLM llm_args.py KvCacheConfig.dtype.
CACHE_DTYPES = {
    "vllm": {"bf16": "auto", "fp16": "auto", "fp8": "fp8", "nvfp4": "nvfp4"},
    "sglang": {"bf16": "auto", "fp16": "auto", "fp8": "fp8_e4m3", "nvfp4": "nvfp4"},
    "trtllm": {"bf16": "auto", "fp16": "auto", "fp8": "fp8", "nvfp4": "nvfp4"},
}
# What the setting "hold" counts for a step of engine.hold_steps; 0: the engine holds no prompt back.
HOLDS = {"vllm": 0, "sglang": 2, "trtllm": 1}


@dataclass(frozen=True)
class Start:
    """What a server is told and what it has; numbers, or an array of one for each plan.

    ``length`` tokens that a sequence may have, ``positions`` that the model was made for (0: unknown, or the check is
    turned off), ``text_only``: towers are left out, ``sequences`` and ``budget`` (new tokens a pass) of an attention
    group, ``chunked``: a prompt may take several passes. ``capacity_tokens`` of an attention group's cache,
    ``needed_tokens`` that it must hold at least; ``state_blocks`` for the states of recurrent layers; ``None`` where
    the plan is not scored. ``fixed_bytes`` of a cache whose size is given, ``room_bytes`` that all else leaves of the
    whole memory."""

    engine: str
    length: Any
    positions: int
    sequences: Any
    budget: Any
    cache: str
    hold_steps: float = 0.0
    nvidia: bool = True
    text_only: bool = False
    chunked: bool = True
    capacity_tokens: Any = None
    needed_tokens: Any = None
    state_blocks: Any = None
    fixed_bytes: float = 0.0
    room_bytes: float = np.inf


@dataclass(frozen=True)
class StartRule:
    """``keeps(start)`` is True where the rule allows it; ``arithmetic(start)`` says how it comes out for one server.
    ``scored``: it needs the memory that is left for the cache. ``reads_batch``: it needs ``sequences``."""

    name: str
    source: str
    text: str
    keeps: Callable[[Start], Any]
    arithmetic: Callable[[Start], str]
    engines: tuple[str, ...] = ENGINES
    scored: bool = False
    reads_batch: bool = False


def _n(value: Any) -> str:
    return f"{float(np.ravel(value)[0]):,.0f}"


def _holds(start: Start) -> Any:
    steps = start.hold_steps * HOLDS[start.engine]
    return start.hold_steps == 0.0 or (HOLDS[start.engine] > 0 and steps % 1.0 == 0.0)


START_RULES = (
    StartRule(
        "start.context_fits",
        "vllm/config/model.py _get_and_verify_max_len, 0.33.0; sglang/srt/configs/model_config.py, 0.5.23",
        "a sequence may have no more tokens than the model has positions, rope scaling counted",
        lambda s: (s.positions == 0) | (np.asarray(s.length) <= s.positions),
        lambda s: f"sequences of {_n(s.length)} tokens, the model has {s.positions:,} positions",
    ),
    StartRule(
        "start.cache_format",
        "vllm/config/cache.py, 0.33.0; sglang/srt/arg_groups/fields/model.py, 0.5.23; TensorRT-LLM llm_args.py",
        "the engine knows the format of the KV cache: bf16, fp16, fp8, nvfp4",
        lambda s: s.cache in CACHE_DTYPES[s.engine],
        lambda s: f"the cache is {s.cache}",
    ),
    StartRule(
        "start.held_prompts",
        "vllm/config/scheduler.py, 0.33.0; sglang scheduler_recv_skipper.py, 0.5.23; TensorRT-LLM llm_args.py",
        "engine.hold_steps is 0 in vLLM, whole or half steps in SGLang, whole steps in TensorRT-LLM",
        _holds,
        lambda s: f"engine.hold_steps is {s.hold_steps:g}",
    ),
    StartRule(
        "start.text_only",
        "vllm/engine/arg_utils.py --language-model-only, 0.33.0; no such option is known of the others",
        "model.text_only is false, or the engine can leave vision and audio towers out: vLLM",
        lambda s: not s.text_only,
        lambda s: "model.text_only is true",
        ("sglang", "trtllm"),
    ),
    StartRule(
        "start.accelerator",
        "TensorRT-LLM runs on NVIDIA accelerators alone",
        "the accelerator's vendor is NVIDIA",
        lambda s: s.nvidia,
        lambda s: "the accelerator is another vendor's",
        ("trtllm",),
    ),
    StartRule(
        "vllm.budget_holds_batch",
        "vllm/config/scheduler.py verify_max_model_len, 0.33.0: max_num_batched_tokens >= max_num_seqs",
        "the sequences of an attention-DP rank fit in its token budget",
        lambda s: np.asarray(s.sequences) <= s.budget,
        lambda s: f"{_n(s.sequences)} sequences in a pass of {_n(s.budget)} tokens",
        ("vllm",),
        reads_batch=True,
    ),
    StartRule(
        "vllm.budget_holds_length",
        "vllm/config/scheduler.py verify_max_model_len, 0.33.0",
        "without chunked prefill a pass holds the longest sequence",
        lambda s: s.chunked | (np.asarray(s.length) <= s.budget),
        lambda s: f"sequences of {_n(s.length)} tokens in a pass of {_n(s.budget)}",
        ("vllm",),
    ),
    StartRule(
        "start.memory_holds_all",
        "vllm/v1/worker/gpu_worker.py determine_available_memory, 0.33.0: --kv-cache-memory-bytes is taken as it is",
        "weights, working memory and a cache of fixed size fit in the memory",
        lambda s: s.fixed_bytes <= s.room_bytes,
        lambda s: (
            f"a cache of {s.fixed_bytes / 2**30:.4g} GiB, {s.room_bytes / 2**30:.4g} GiB are free beside the rest"
        ),
        scored=True,
    ),
    StartRule(
        "start.cache_holds_a_request",
        "vllm/v1/core/kv_cache_utils.py _check_enough_kv_cache_memory, 0.33.0; sglang/srt/model_executor/"
        "model_runner.py, 0.5.23 (any cache at all); TensorRT-LLM resource_manager.py",
        "the cache beside the weights holds the longest sequence",
        lambda s: s.capacity_tokens is None or np.asarray(s.capacity_tokens) >= s.needed_tokens,
        lambda s: f"the cache holds {_n(s.capacity_tokens)} tokens of the {_n(s.needed_tokens)} needed",
        scored=True,
    ),
    StartRule(
        "vllm.state_blocks",
        "vllm/config/compilation.py, 0.33.0: max_num_seqs exceeds available Mamba cache blocks",
        "each sequence of a model with recurrent layers has a cache block for its state",
        lambda s: s.state_blocks is None or np.asarray(s.sequences) <= s.state_blocks,
        lambda s: f"{_n(s.sequences)} sequences, {_n(s.state_blocks)} blocks",
        ("vllm",),
        scored=True,
    ),
)


def start_rules(engine: str) -> tuple[StartRule, ...]:
    """Those of one engine."""
    return tuple(rule for rule in START_RULES if engine in rule.engines)


def broken_rules(start: Start) -> list[StartRule]:
    """All that one server breaks, in the order of the list."""
    return [rule for rule in start_rules(start.engine) if not np.all(rule.keeps(start))]


def before_scoring(engine: str) -> list[Rule]:
    """The rules that a search applies to plans before it scores them."""
    return [_as_rule(rule, engine) for rule in start_rules(engine) if not rule.scored]


def start_of_plans(plans: Plans, facts: Facts, engine: str) -> Start:
    """What the launch of each plan would tell a server: the workload's longest request, the plan's own batch."""
    sequences = -(-plans.batch // np.maximum(plans.attn_dp, 1))
    return Start(
        engine, facts.total_tokens, facts.positions, sequences, facts.max_batched_tokens, facts.cache,
        facts.hold_steps, facts.nvidia,
    )  # fmt: skip


def _as_rule(rule: StartRule, engine: str) -> Rule:
    def keeps(plans: Plans, facts: Facts) -> Mask:
        return np.broadcast_to(rule.keeps(start_of_plans(plans, facts, engine)), (len(plans),))

    def arithmetic(plan: Plans, facts: Facts) -> str:
        return rule.arithmetic(start_of_plans(plan, facts, engine))

    return Rule(rule.name, rule.source, rule.text, keeps, arithmetic, rule.reads_batch)


def names(rules: Iterable[StartRule]) -> list[str]:
    """For messages and tests."""
    return [rule.name for rule in rules]
