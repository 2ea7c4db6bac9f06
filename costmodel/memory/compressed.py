"""Cache of compressed sparse attention (DeepSeek-V4) in the pages of vLLM.

Four kinds of cache share one pool of blocks (vllm/models/deepseek_v4/{attention,compressor}.py, vllm/v1/attention/
backends/mla/sparse_swa.py and ``group_and_unify_kv_cache_specs`` of vllm/v1/core/kv_cache_utils.py, 0.22 to 0.33):

- compressed entries and index keys: a page holds 256 tokens, so ``256 / rate`` entries;
- every layer's window: a page holds 64 tokens;
- what the compressors keep in fp32 while an entry fills: pages of 4 tokens at rate 4 (window 8), of 8 tokens at rate
  128 (window 128), padded to the size of an entry page.

Layers are dealt into groups of as many as waste least; a block has room for the fullest group.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

from costmodel.blocks.compressed import STATE_BYTES, CompressedAttention
from costmodel.scenario import Scenario
from costmodel.stages import Stages
from costmodel.working_memory import WorkingMemory

PAGE_TOKENS, WINDOW_TOKENS = 256, 64
ALIGNMENT = 576  # bytes to which a page of the packed fp8 layout is rounded up
FEW, MANY = 4, 8  # tokens a page of states: at the rate of layers with an indexer, and at the other


@dataclass(frozen=True)
class Paged:
    """``block_bytes`` of the pool's blocks, and how many of them one request takes."""

    block_bytes: float
    blocks: float

    @property
    def bytes(self) -> float:
        """Of that request."""
        return self.blocks * self.block_bytes


def pages_of(scenario: Scenario, stages: Stages, tokens: float, pending: float, drafters: int) -> tuple[Any, Any]:
    """Bytes of a request of ``tokens`` tokens and of one block, on the fullest stage, shape (n,). ``pending``: new
    tokens in flight, for which windows and states keep pages; ``drafters``: further layers with a window alone."""
    _, first, which = np.unique(stages.pp, return_index=True, return_inverse=True)  # layers of a stage follow from pp
    found = [_of_plan(scenario, stages, int(n), tokens, pending, drafters) for n in first]
    taken, blocks = (np.array([getattr(p, name) for p in found]) for name in ("bytes", "block_bytes"))
    return taken[which], blocks[which]


def _of_plan(scenario: Scenario, stages: Stages, plan: int, tokens: float, pending: float, drafters: int) -> Paged:
    kinds = [k.mixer for k in scenario.model.kinds]
    last = int(stages.pp[plan]) - 1
    best = Paged(1.0, 0.0)
    for stage in range(last + 1):
        layers = [
            (mixer, int(stages.counts[stage, kind, plan]))
            for kind, mixer in enumerate(kinds)
            if isinstance(mixer, CompressedAttention)
        ]
        packed = scenario.engine.memory.compressed_blocks == "packed"
        one = paged(layers, tokens, pending, drafters if stage == last else 0, packed)
        best = max(best, one, key=lambda p: p.bytes)
    return best


def paged(
    layers: list[tuple[CompressedAttention, int]], tokens: float, pending: float, drafters: int, packed: bool
) -> Paged:
    """The pages of so many layers of each kind. ``packed``: pages of a group lie back to back (since 0.27), so that a
    block is as large as the largest group; before, each size of page had as many places as the fullest group."""
    indexed = [(m, n) for m, n in layers if m.indexer is not None and n]
    heavy = [(m, n) for m, n in layers if m.rate and m.indexer is None and n]
    sparse, dense = sum(n for _, n in indexed), sum(n for _, n in heavy)
    windows = sum(n for _, n in layers) + drafters
    if not windows:
        return Paged(1.0, 0.0)
    any_layer = layers[0][0]
    window_page = _page(WINDOW_TOKENS * any_layer.entry_bytes)
    entries = {m: _page(PAGE_TOKENS / m.rate * m.entry_bytes) for m, _ in indexed + heavy}
    keys = {m: _page(PAGE_TOKENS / m.rate * m.indexer.entry_bytes) for m, _ in indexed if m.indexer is not None}
    sizes = sorted({*entries.values(), *keys.values()}) or [window_page]
    sets = [max(sparse, dense), windows, *([sparse] if sparse else []), *([dense] if dense else [])]
    width = _width(sets, max(sparse, dense, 1))
    whole = sum(entries[m] * n for m, n in indexed + heavy) + sum(keys[m] * n for m, n in indexed)
    stacks = [whole, width * _padded(window_page, sizes)]
    stacks += [n * sum(_padded(p, sizes) for p in _states(m)) for m, n in indexed]
    stacks += [n * sum(_padded(p, sizes) for p in _states(m)) for m, n in heavy]
    block = max(stacks) if packed else float(width * sum(sizes))
    taken = ceil(tokens / PAGE_TOKENS) * (sparse + dense > 0)
    taken += ceil(windows / width) * _window_pages(any_layer.window, pending, tokens, WINDOW_TOKENS)
    for these, page in ((indexed, FEW), (heavy, MANY)):
        if these:
            reach = these[0][0].rate * (2 if page == FEW else 1)
            taken += ceil(sum(n for _, n in these) / width) * _window_pages(reach, pending, tokens, page)
    return Paged(float(block), float(taken))


def _page(size: float) -> float:
    return ceil(size / ALIGNMENT) * ALIGNMENT


def _padded(page: float, sizes: list[float]) -> float:
    """The next larger size of page that entries have; a larger one stays as it is."""
    return next((size for size in sizes if size >= page), page)


def _states(mixer: CompressedAttention) -> list[float]:
    """Pages of the states of a layer's compressor and of its indexer's: values and weights of each series."""
    series, tokens = (2, FEW) if mixer.indexer is not None else (1, MANY)
    widths = [mixer.head_dim] + ([mixer.indexer.dim] if mixer.indexer is not None else [])
    return [_page(tokens * 2 * series * width * STATE_BYTES) for width in widths]


def _window_pages(reach: int, pending: float, tokens: float, page: int) -> int:
    """The window, the new tokens, and one page that both ends share (``SlidingWindowSpec.max_memory_usage_bytes``)."""
    return ceil(min(reach - 1 + pending, tokens) / page) + 1


def _width(sets: list[int], least: int) -> int:
    """Layers of a group: the number from ``least`` on that wastes fewest places (``_approximate_gcd``)."""
    choices = range(least, max(max(sets), least) + 1)
    return min(choices, key=lambda d: (sum(-n % d for n in sets), -d))


# Tokens of the rings that SGLang keeps while an entry fills, of layers with an indexer and of the others: twice as many
# with a drafter (get_compress_state_ring_size, sglang/srt/mem_cache/deepseek_v4_memory_pool.py, 0.5.23).
FINE_RING, COARSE_RING = 8, 128


def token_bytes(mixer: CompressedAttention, constants: WorkingMemory, drafted: bool) -> float:
    """Bytes of a token of SGLang's pools in one layer (DSV4PoolConfigurator, sglang/srt/model_executor/
    pool_configurator.py, 0.5.23): a share of a window's entry, entries and index keys by their rate, and rings of
    states for each page of the window. Rings of layers without an indexer belong to requests and are left out, unless
    ``coarse_rings`` says otherwise."""
    share, entry = constants.compressed_window_share, mixer.entry_bytes
    size = share * entry + (entry / mixer.rate if mixer.rate else 0.0)
    rings = share * (2 if drafted else 1) / mixer.window
    if mixer.indexer is not None:
        states = 2 * 2 * (mixer.head_dim + mixer.indexer.dim) * STATE_BYTES
        return size + mixer.indexer.entry_bytes / mixer.rate + rings * FINE_RING * states
    if mixer.rate and constants.coarse_rings == "tokens":
        return size + rings * COARSE_RING * 2 * mixer.head_dim * STATE_BYTES
    return size
