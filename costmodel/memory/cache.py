"""Bytes of cache that a request takes, in the blocks of an engine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from costmodel.architecture import Mixer, Setting
from costmodel.blocks.compressed import CompressedAttention
from costmodel.memory.compressed import pages_of, token_bytes
from costmodel.scenario import Scenario
from costmodel.stages import Stages


def blocks(tokens: Any, block_tokens: int) -> Any:
    """``tokens`` rounded up to whole KV blocks."""
    return np.ceil(tokens / block_tokens) * block_tokens


@dataclass(frozen=True)
class Request:
    """``bytes`` of one request's cache on the fullest accelerator; ``block_bytes`` that are given out at once, over
    all layers that share a block table; shape (n,)."""

    bytes: Any
    block_bytes: Any


def request(
    scenario: Scenario,
    setting: Setting,
    stages: Stages,
    tokens: float,
    pending: float = 0.0,
    drafted: int = 0,
    draft_layers: int = 0,
) -> Request:
    """A request of ``tokens`` cached tokens. ``pending``: new tokens of a pass, for which layers with a window keep
    room beside it when the longest request is counted; ``drafted``: tokens proposed at a time, of which recurrent
    layers keep a state each, by ``draft_layers`` layers of a drafter."""
    mixers = list(dict.fromkeys(k.mixer for k in scenario.model.kinds if k.mixer is not None))
    pending = pending * scenario.engine.memory.passes_in_flight
    if scenario.engine.memory.paging == "unified" and scenario.model.has_mixer(CompressedAttention):
        return Request(*pages_of(scenario, stages, tokens, pending, draft_layers))
    if scenario.engine.memory.paging == "unified" and len(mixers) > 1:
        found = [
            _unified(scenario, setting, stages, s, mixers, tokens, pending, drafted) for s in range(len(stages.counts))
        ]
        best = found[0]
        for other in found[1:]:
            larger = other.bytes > best.bytes
            best = Request(
                np.where(larger, other.bytes, best.bytes), np.where(larger, other.block_bytes, best.block_bytes)
            )
        return best
    bounded = any(isinstance(m, CompressedAttention) or _reach(m) for m in mixers)
    if scenario.engine.memory.window_share > 0.0 and bounded:
        return _pools(scenario, setting, stages, tokens, draft_layers)
    return _plain(scenario, setting, stages, tokens)


def _reach(mixer: Mixer) -> int | None:
    """Tokens that a layer looks back at, where they are bounded; a recurrent layer's chunk is something else."""
    if not hasattr(mixer, "keeps_all"):
        return None
    return getattr(mixer, "window", None) or getattr(mixer, "chunk", None)


def _pools(scenario: Scenario, setting: Setting, stages: Stages, tokens: float, draft_layers: int) -> Request:
    """SGLang's two pools (sglang/srt/model_executor/pool_configurator.py, 0.5.23): layers with a window have room for a
    fixed share of the tokens that full attention has. Where a request is shorter than the window, that pool is the one
    that runs out. A drafter of DeepSeek-V4 is as one layer more."""
    constants, block = scenario.engine.memory, scenario.engine.block_tokens
    tokens = blocks(tokens, block)
    zero = np.zeros_like(setting.layout.tp)
    each, states, short = [], [], 1.0
    for kind in scenario.model.kinds:
        mixer = kind.mixer
        if isinstance(mixer, CompressedAttention):
            layers = scenario.model.layer_count
            more = (layers + 1.0) / layers if draft_layers else 1.0
            each.append(token_bytes(mixer, constants, draft_layers > 0) * more)
            states.append(0.0)
            continue
        reach = None if mixer is None else _reach(mixer)
        share = 1.0 if reach is None else constants.window_share
        each.append(0.0 if mixer is None else share * _kept_whole(mixer).cache_bytes(setting, 1.0))
        states.append(0.0 if mixer is None else mixer.state_bytes(setting))
        if reach is not None:
            short = max(short, min(reach, tokens) / tokens / share)
    held = [one * tokens * short + state for one, state in zip(each, states, strict=True)]
    given = [one * block for one in each]
    return Request(stages.largest(held, zero, zero), np.maximum(stages.largest(given, zero, zero), 1.0))


def _kept_whole(mixer: Mixer) -> Mixer:
    return mixer if _reach(mixer) is None else replace(mixer, keeps_all=True)  # type: ignore[type-var]


def _plain(scenario: Scenario, setting: Setting, stages: Stages, tokens: float) -> Request:
    """Every layer keeps what it can still look at."""
    tokens = blocks(tokens, scenario.engine.block_tokens)
    block = scenario.engine.block_tokens
    zero = np.zeros_like(setting.layout.tp)
    mixers = [kind.mixer for kind in scenario.model.kinds]
    if scenario.engine.memory.paging == "whole":
        mixers = [None if m is None else _kept_whole(m) for m in mixers]
    states = [0.0 if m is None else m.state_bytes(setting) for m in mixers]
    whole = [0.0 if m is None else m.cache_bytes(setting, tokens) for m in mixers]
    one = [0.0 if m is None else m.cache_bytes(setting, float(block)) for m in mixers]
    held = [cache + state for cache, state in zip(whole, states, strict=True)]
    return Request(stages.largest(held, zero, zero), np.maximum(stages.largest(one, zero, zero), 1.0))


def _unified(
    scenario: Scenario,
    setting: Setting,
    stages: Stages,
    s: int,
    mixers: list[Mixer],
    tokens: float,
    pending: float,
    drafted: int,
) -> Request:
    """vLLM's hybrid manager (vllm/v1/core/kv_cache_utils.py, 0.33): all kinds of layers take blocks of one size, that
    of the largest, so that the others' hold more tokens; a recurrent layer's state is a block, and attention's are made
    as large. Layers are dealt into groups of as many as the rarest kind has, or the commonest if it has less than half
    as many again; each group has a block table of its own. A layer with a window needs it and the new tokens of a pass,
    and one block more (SlidingWindowSpec.max_memory_usage_bytes, vllm/v1/kv_cache_interface.py)."""
    block = float(scenario.engine.block_tokens)
    counts = [sum(stages.counts[s, i] for i, k in enumerate(scenario.model.kinds) if k.mixer == m) for m in mixers]
    token = [m.cache_bytes(setting, 1.0) + 0.0 * setting.layout.tp for m in mixers]
    state = [m.state_bytes(setting) + 0.0 * setting.layout.tp for m in mixers]
    grows = [bool(np.all(t > 0.0)) for t in token]
    page: Any = 0.0
    for t, st in zip(token, state, strict=True):
        page = np.maximum(page, np.maximum(block * t, st))
    widest = np.max([t for t, g in zip(token, grows, strict=True) if g] or [np.ones_like(setting.layout.tp)], axis=0)
    page = np.ceil(page / (block * widest)) * block * widest
    held = [c > 0 for c in counts]
    rare = np.min([np.where(h, c, np.inf) for h, c in zip(held, counts, strict=True)], axis=0)
    rare = np.where(np.isfinite(rare), rare, 1.0)
    common = np.max(counts, axis=0)
    size = np.maximum(np.where(common < 1.5 * rare, common, rare), 1.0)
    needed: Any = 0.0
    for m, c, t, g in zip(mixers, counts, token, grows, strict=True):
        if g:
            reach = _reach(m)
            kept = tokens if reach is None else min(reach - 1 + pending, tokens)
            taken = np.ceil(kept / np.floor(page / t)) + (reach is not None)
        else:
            taken = float(scenario.engine.memory.state_blocks + drafted)
        needed = needed + np.ceil(c / size) * taken
    return Request(needed * page * size, page * size)
