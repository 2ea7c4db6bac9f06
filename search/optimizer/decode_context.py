"""``space.decode_cp``: the cache of decodes dealt over ranks of a tp group, beside plans that do not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from costmodel.architecture import Architecture
from costmodel.blocks.decode_context import widths
from costmodel.blocks.gqa import GroupedQueryAttention
from costmodel.blocks.mla import LatentAttention
from costmodel.blocks.parallel import mixers_of
from costmodel.columns import column
from costmodel.evaluate import evaluate
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.scores import Scores
from search.base.errors import InputError
from search.evidence.measured.intervals import coverage_of
from search.inputs.schema import Config
from search.optimizer.recommend import Policy, best_feasible
from search.optimizer.space import axis_values
from search.optimizer.split.asked import serving_of


@dataclass(frozen=True)
class Dealt:
    """``ranks`` that share a sequence's cache: the best plan, its deciding figure over that of the best without, and
    the tokens that its cache holds over those without. ``None`` where no plan keeps every limit."""

    ranks: int
    plan: Plans | None
    scores: Scores | None
    value: float
    ratio: float | None
    capacity: float | None


def ranks_of(config: Config, scenario: Scenario) -> tuple[int, ...]:
    """Degrees above 1 to try; ``InputError`` for an engine, an accelerator or a model whose cache is not dealt so."""
    values = axis_values("space.decode_cp", config.space.decode_cp)
    if values == (1,):
        return ()
    if 1 not in values:
        raise InputError(f"space.decode_cp: {list(values)} is not allowed; name 1 too: it is what others stand beside")
    engine, split = config.engine.name, "split" in serving_of(config.space.serving)
    if engine not in ("vllm", "sglang", "trtllm"):
        raise InputError(f"space.decode_cp: engine {engine} is not allowed; give vllm, sglang or trtllm")
    if engine == "trtllm" and not (split and scenario.accelerator.blackwell):
        # docs/source/features/helix.md, 1.2
        raise InputError(
            "space.decode_cp: TensorRT-LLM's Helix is for the servers of a split plan that decode, on Blackwell; give "
            "space.serving=[aggregated,split] and such an accelerator, or vllm or sglang"
        )
    model = scenario.model
    if any(widths(m) is None for m in mixers_of(model)) or (engine != "vllm" and not all_latent(model)):
        raise InputError(f"space.decode_cp: {engine} does not deal the cache of {model.name}")
    return values[1:]


def all_latent(model: Architecture) -> bool:
    return all(isinstance(mixer, LatentAttention) for mixer in mixers_of(model))


def may_deal(scenario: Scenario, ranks: int, plans: Plans, pools: bool = False) -> NDArray[np.bool_]:
    """vLLM's rule (vllm/config/model.py verify_with_parallel_config, 0.33): tp is a multiple of the degree, and with
    grouped queries the degree at most the copies of a KV head, tp / KV heads, and a divisor of the heads that share
    one. SGLang and TensorRT-LLM have it for latent attention alone. In ``pools`` of a split plan vLLM's NixlConnector
    takes a dealt cache of latent attention over the whole tp group alone (vllm/config/vllm.py, 0.33), and TensorRT-LLM
    has it there only: its tensor_parallel_size is tp over the degree (tensorrt_llm/mapping.py, 1.2)."""
    kept = (plans.tp % ranks == 0) & (plans.sp == 1)
    if scenario.engine.name == "sglang" and pools:  # no transfer between several stages is known with it
        kept &= plans.pp == 1
    if scenario.engine.name == "trtllm":
        return kept & pools
    if scenario.engine.name == "vllm" and pools:
        kept &= (plans.tp == ranks) & all_latent(scenario.model)
    for mixer in mixers_of(scenario.model):
        if isinstance(mixer, GroupedQueryAttention):
            kept &= (plans.tp >= ranks * mixer.kv_heads) & (mixer.heads // mixer.kv_heads % ranks == 0)
    return kept


def search_decode_context(
    scenario: Scenario, degrees: tuple[int, ...], plans: Plans, policy: Policy, row: int | None, scores: Scores
) -> tuple[Dealt, ...]:
    """``plans`` that are legal without; ``row`` of the recommended one. Nothing of TensorRT-LLM, which deals the caches
    of split plans alone."""
    if scenario.engine.name == "trtllm":
        return ()
    name, _ = policy.first
    without = None if row is None else float(column(name, plans, scores)[row])
    found = []
    for ranks in degrees:
        kept = np.flatnonzero(may_deal(scenario, ranks, plans))
        there = replace(scenario, decode_ranks=ranks)
        own = plans.take(kept)
        best = None
        if len(kept):
            dealt = evaluate(there, own)
            if dealt.feasible.any():
                best = best_feasible(own, dealt, policy, coverage_of(there, own, dealt))
        if best is None:
            found.append(Dealt(ranks, None, None, np.nan, None, None))
            continue
        value = float(column(name, own, dealt)[best])
        ratio = None if without is None else value / without
        capacity = float(dealt.kv_capacity_tokens[best] / max(scores.kv_capacity_tokens[kept[best]], 1.0))
        at = np.array([best])
        found.append(Dealt(ranks, own.take(at), dealt.take(at), value, ratio, capacity))
    return tuple(found)
