"""What each engine refuses of drafts, beside the rules of the layout. One list, for the search and for ``audit``.

A drafter that is not modelled (``standalone``: a smaller model) has its rules here too: a command may name it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from costmodel.architecture import Architecture
from costmodel.engine import ENGINES
from costmodel.plans import Plans
from search.optimizer.rules.rule import Mask


@dataclass(frozen=True)
class DraftRule:
    """``keeps(kind, tokens, plans, model)`` is True for the plans of which the engine lets so many tokens be drafted;
    ``arithmetic`` says how it comes out for one."""

    name: str
    source: str
    text: str
    keeps: Callable[[str, int, Plans, Architecture], Mask]
    arithmetic: Callable[[str, int, Plans, Architecture], str]
    engines: tuple[str, ...] = ENGINES


def _all(plans: Plans, kept: bool) -> Mask:
    return np.full(len(plans), kept)


def _groups(kind: str, tokens: int, plans: Plans, model: Architecture) -> str:
    return f"{int(plans.attn_dp[0])} attention groups"


DRAFT_RULES = (
    DraftRule(
        "drafts.prediction_module",
        "vllm/config/speculative.py, 0.33.0; sglang/srt/models/*_nextn.py, 0.5.23; TensorRT-LLM llm_args.py",
        "mtp needs a checkpoint with multi-token-prediction modules",
        lambda kind, tokens, p, m: _all(p, kind != "mtp" or m.mtp_parameters > 0),
        lambda kind, tokens, p, m: f"{m.name} has none",
    ),
    DraftRule(
        "vllm.drafts_of_modules",
        "vllm/config/speculative.py __post_init__, 0.33.0: num_speculative_tokens % n_predict",
        "more mtp drafts than there are modules are a multiple of them",
        lambda kind, tokens, p, m: _all(
            p, kind != "mtp" or tokens <= m.mtp_modules or tokens % max(m.mtp_modules, 1) == 0
        ),
        lambda kind, tokens, p, m: f"{tokens} drafts, {m.mtp_modules} modules",
        ("vllm",),
    ),
    DraftRule(
        "sglang.ngram_has_one_group",
        "sglang/srt/arg_groups/speculative_hook.py _handle_ngram, 0.5.23",
        "NGRAM knows no attention data parallelism",
        lambda kind, tokens, p, m: (p.attn_dp == 1) | (kind != "ngram"),
        _groups,
        ("sglang",),
    ),
    DraftRule(
        "sglang.standalone_has_one_group",
        "sglang/srt/arg_groups/speculative_hook.py _handle_eagle_family, 0.5.23",
        "STANDALONE knows no attention data parallelism",
        lambda kind, tokens, p, m: (p.attn_dp == 1) | (kind != "standalone"),
        _groups,
        ("sglang",),
    ),
)


def draft_rules(engine: str) -> list[DraftRule]:
    """Those of one engine."""
    return [rule for rule in DRAFT_RULES if engine in rule.engines]


def allowed(kind: str, tokens: int, plans: Plans, model: Architecture, engine: str) -> Mask:
    """Plans of which every rule of the engine lets so many tokens be drafted."""
    kept = _all(plans, True)
    for rule in draft_rules(engine):
        kept &= rule.keeps(kind, tokens, plans, model)
    return kept


def modelled(plans: Plans) -> Mask:
    """Plans whose drafts the cost model has terms for: where a draft runs in a pipeline (SGLang 0.5.23 and vLLM 0.33
    have it) or beside prompts that are split is not known here."""
    return np.asarray((plans.pp == 1) & (plans.sp == 1))


# Drafts of servers that deal the cache of decodes over ranks. What is modelled: the model's own module and n-grams; an
# EAGLE-3 head has grouped queries of its own.
BESIDE_DEALT = ("mtp", "ngram")


def beside_dealt(kind: str, engine: str, pools: bool) -> str | None:
    """Why drafts and a dealt cache do not go together, in servers of ``pools`` of a split plan or in others; ``None``
    where they do. vLLM deals by blocks where NixlConnector sends caches (vllm/config/vllm.py
    adjust_dcp_kv_cache_interleave_size, 0.33), which no attention backend but two checks drafts against
    (vllm/v1/worker/cp_utils.py check_attention_cp_compatibility: FlashMLA's sparse one, TokenSpeed's). SGLang 0.5.23
    has no such limit; TensorRT-LLM's Helix takes no drafts (1.2)."""
    if engine == "trtllm":
        return "TensorRT-LLM's Helix takes no drafts (1.2)"
    if engine == "vllm" and pools:
        return (
            "with NixlConnector vLLM deals a cache by whole blocks, against which no dense backend checks drafts (0.33)"
        )
    return None if kind in BESIDE_DEALT else f"{kind} beside a dealt cache of decodes is not modelled"
