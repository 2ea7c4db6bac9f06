"""Bytes of cache that a request takes, in the blocks of an engine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from costmodel.architecture import Mixer, Setting
from costmodel.blocks.compressed import CompressedAttention
from costmodel.layout import Runs
from costmodel.memory.compressed import pages_of
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

    def spread(self, runs: Runs) -> Request:
        """From one entry a run to one a plan."""
        return Request(runs.spread(self.bytes), runs.spread(self.block_bytes))


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
    return _plain(scenario, setting, stages, tokens)


def _kept_whole(mixer: Mixer) -> Mixer:
    reach = getattr(mixer, "window", None) or getattr(mixer, "chunk", None)
    return mixer if reach is None else replace(mixer, keeps_all=True)  # type: ignore[type-var]


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
            reach = getattr(m, "window", None) or getattr(m, "chunk", None)
            kept = tokens if reach is None else min(reach - 1 + pending, tokens)
            taken = np.ceil(kept / np.floor(page / t)) + (reach is not None)
        else:
            taken = float(scenario.engine.memory.state_blocks + drafted)
        needed = needed + np.ceil(c / size) * taken
    return Request(needed * page * size, page * size)
