"""What a drafter costs: seconds of a step, bytes of an accelerator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from costmodel.architecture import Setting
from costmodel.blocks.decode_context import dealt
from costmodel.drafts.drafter import EAGLE3_VOCABULARY, Drafter
from costmodel.forward import tally
from costmodel.layout import Layout
from costmodel.operations import Gemm, Operation
from costmodel.scenario import Scenario
from costmodel.step import Step

# Engines that deal the cache of a draft of the model's own kind like the model's (vllm/v1/spec_decode/draft_model.py
# _create_draft_vllm_config, 0.33); SGLang holds it whole on every rank (sglang/srt/model_executor/pool_configurator.py,
# 0.5.23: draft_kv_size *= dcp_size).
DEALT_DRAFTS = ("vllm",)


def _dealt_too(scenario: Scenario) -> bool:
    return scenario.decode_ranks > 1 and scenario.engine.name in DEALT_DRAFTS


def _setting(scenario: Scenario, layout: Layout, drafter: Drafter) -> Setting:
    return replace(scenario.setting(layout), quantization=drafter.quantization(scenario.model))


def operations(scenario: Scenario, setting: Setting, drafter: Drafter) -> Iterator[Operation]:
    """One draft of a sequence: the projection, the layer, the head. MTP's head is the model's own."""
    model, layer = scenario.model, drafter.layer(scenario.model)
    if layer is None:
        return
    tp = setting.layout.tp
    yield Gemm("draft.fuse", setting.quantization.of("draft.fuse"), drafter.fused(model), model.hidden / tp)
    layers = layer.operations(setting)
    yield from dealt(layers, layer.mixer, scenario.dealing, tp) if _dealt_too(scenario) else layers
    if drafter.kind == "mtp":
        yield from model.head(replace(setting, quantization=model.quantization))
    else:
        yield Gemm("draft.head", setting.quantization.of("head"), model.hidden, EAGLE3_VOCABULARY / tp, "samples")


def drafting_seconds(scenario: Scenario, step: Step) -> Any:
    """Seconds of all drafts of a pass of decodes, one after the other, shape of ``step.decodes``."""
    drafter = scenario.drafter
    if drafter is None:
        return 0.0 * step.decodes
    setting = _setting(scenario, step.layout, drafter)
    each = replace(step, samples=step.decodes, verified=1.0)
    one = tally(operations(scenario, setting, drafter), each, scenario).seconds(scenario.engine.comm_overlap)
    layers = 0.0 if drafter.layer(scenario.model) is None else scenario.engine.layer_overhead_s
    return drafter.tokens * (one + layers)


def drafter_bytes(scenario: Scenario, layout: Layout) -> Any:
    """Weights of the drafter on one rank; MTP's head and embedding are the model's."""
    drafter = scenario.drafter
    if drafter is None:
        return np.zeros_like(layout.tp)
    found = operations(scenario, _setting(scenario, layout, drafter), drafter)
    total: Any = np.zeros_like(layout.tp)
    for op in found:
        if not op.name.startswith(("head", "norm.final")):
            total = total + op.weight_bytes
    return total


def cache_share(scenario: Scenario, layout: Layout) -> Any:
    """Bytes of a sequence's cache on a rank, the drafter's with them, over those of the model's alone, not dealt."""
    drafter, ranks = scenario.drafter, scenario.decode_ranks
    layer = drafter.layer(scenario.model) if drafter else None
    if drafter is None or layer is None or layer.mixer is None:
        return np.ones_like(layout.tp) / ranks
    tokens = float(scenario.lengths.total)
    own = layer.mixer.cache_bytes(_setting(scenario, layout, drafter), tokens)
    counts = np.bincount(scenario.model.sequence, minlength=len(scenario.model.kinds))
    setting = scenario.setting(layout)
    whole: Any = np.zeros_like(layout.tp)
    for count, kind in zip(counts, scenario.model.kinds, strict=True):
        if kind.mixer is not None:
            whole = whole + count * kind.mixer.cache_bytes(setting, tokens)
    return 1.0 / ranks + own / np.maximum(whole, 1.0) / (ranks if _dealt_too(scenario) else 1)


def with_drafter(scenario: Scenario, drafter: Drafter | None) -> Scenario:
    """A scenario whose server drafts: its engine checks as many rows and gains as many tokens."""
    if drafter is None:
        return scenario
    engine = replace(scenario.engine, drafts=drafter.tokens, draft_acceptance=drafter.even)
    return replace(scenario, engine=engine, drafter=drafter)
