"""Compressed sparse attention (DeepSeek-V4; transformers 5.24 modeling_deepseek_v4.py, vLLM
model_executor/layers/deepseek_v4_attention.py).

All heads share one entry a token, key and value at once. A layer sees the last ``window`` tokens and, beyond them,
entries that stand for ``rate`` tokens each: all of them (heavily compressed), or the best ``top_k`` that an indexer
finds among its own compressed keys. Queries come through a low rank; outputs leave in groups, through a low rank too.

Heads and output groups are split over tp; what is cached, compressed and indexed is whole on every rank, as in latent
attention.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from costmodel.architecture import Setting
from costmodel.operations import ACTIVATION_BYTES, Collective, Core, Elementwise, Gemm, Operation

STATE_BYTES = 4.0  # the compressor keeps what waits for a full window in fp32 (deepseek_compressor.py, vLLM)


@dataclass(frozen=True)
class CompressedIndexer:
    """``heads`` index queries of ``dim`` elements against compressed index keys; ``top_k`` entries pass."""

    heads: int
    dim: int
    top_k: int

    @property
    def entry_bytes(self) -> float:
        """A compressed index key in fp8 with an fp32 scale for 128 elements."""
        return self.dim + 4.0 * -(-self.dim // 128)


@dataclass(frozen=True)
class CompressedAttention:
    """``heads`` of ``head_dim`` elements, the last ``rope_dim`` of them rotary; ``rate`` tokens an entry, 0 for a layer
    that sees its window alone. With an ``indexer`` two overlapping series are compressed, else one."""

    heads: int
    head_dim: int
    rope_dim: int
    q_rank: int
    window: int
    rate: int
    out_groups: int
    out_rank: int
    indexer: CompressedIndexer | None = None

    @property
    def split_heads(self) -> tuple[int, ...]:
        """Head counts that tp must divide."""
        return (self.heads, self.out_groups)

    @property
    def entry_bytes(self) -> float:
        """What vLLM keeps of a token or a compressed entry: fp8, the rotary part in bf16, a scale byte for 64 elements
        and one of padding (``head_bytes`` there), whatever the cache's format is said to be."""
        plain = self.head_dim - self.rope_dim
        return plain + 2.0 * self.rope_dim + plain // 64 + 1

    @property
    def _series(self) -> int:
        return 1 if self.indexer is None else 2

    def operations(self, setting: Setting) -> Iterator[Operation]:
        of, hidden, tp = setting.quantization.of, setting.hidden, setting.layout.tp
        heads, d = self.heads / tp, self.head_dim
        yield Gemm("attention.qkv_down", of("attention.qkv_down"), hidden, self.q_rank + d)
        moved = 2.0 * (self.q_rank + d + heads * d) * ACTIVATION_BYTES
        yield Elementwise("attention.rotary", of("norm"), moved, self.q_rank + d + heads)  # two norms and the sinks
        yield Gemm("attention.q_up", of("attention.q_up"), self.q_rank, heads * d)
        if self.rate:
            yield from self._compressor(setting, "attention.compressor", d)
        if self.indexer is not None:
            yield from self._index(setting, self.indexer)
        exchanged = self.entry_bytes * setting.layout.sp
        yield Collective("attention.kv_exchange", "all_gather", exchanged, setting.layout.sp, tp, "prompt_tokens")
        yield from self._cores(setting, heads)
        groups, rank = self.out_groups / tp, self.out_rank
        down = of("attention.output_down")
        yield Gemm("attention.output_down", down, self.heads * d / self.out_groups, groups * rank, after="attention")
        yield Gemm("attention.output", of("attention.output"), groups * rank, hidden)
        yield Collective("attention.all_reduce", "all_reduce", hidden * ACTIVATION_BYTES, tp, 1, before_norm=True)

    def _compressor(self, setting: Setting, name: str, width: int) -> Iterator[Operation]:
        """Values and their weights of each series, a bias a position of the window, and the entry's norm."""
        each = 2 * self._series * width
        yield Gemm(name, setting.quantization.of(name), setting.hidden, each)
        weights = self.rate * self._series * width + width
        yield Elementwise(f"{name}.pool", setting.quantization.of("norm"), 2.0 * each * ACTIVATION_BYTES, weights)

    def _index(self, setting: Setting, indexer: CompressedIndexer) -> Iterator[Operation]:
        of, lengths, name = setting.quantization.of, setting.lengths, "attention.indexer"
        width = indexer.heads * indexer.dim
        yield Gemm(f"{name}.query", of(f"{name}.query"), self.q_rank, width)
        yield Gemm(f"{name}.weights", of("router"), setting.hidden, indexer.heads)
        yield from self._compressor(setting, f"{name}.compressor", indexer.dim)
        pairs, context = lengths.prefill_pairs() / self.rate, lengths.decode_context() / self.rate
        core: dict[str, Any] = {
            "dtype": "fp8",
            "flops_per_prompt": 2.0 * width * pairs,
            "flops_per_decode": 2.0 * width * context,
            "cache_read_per_prompt": indexer.entry_bytes * lengths.cached / self.rate,
            "cache_read_per_decode": indexer.entry_bytes * context,
            "cache_write_per_token": indexer.entry_bytes / self.rate,
            "io_per_token": float(width),
            "heads": indexer.heads,
        }
        yield Core(f"{name}.prefill", "prefill_attention", **core, context=pairs / max(lengths.new, 1.0))
        yield Core(f"{name}.decode", "decode_attention", **core, context=context)

    def _cores(self, setting: Setting, heads: Any) -> Iterator[Operation]:
        lengths, d = setting.lengths, self.head_dim
        pairs, context = lengths.prefill_pairs(self.window), lengths.decode_context(self.window)
        cached, written = min(lengths.cached, self.window), 1.0
        if self.rate:
            reach = None if self.indexer is None else self.indexer.top_k * self.rate
            pairs += lengths.prefill_pairs(reach) / self.rate
            context += lengths.decode_context(reach) / self.rate
            cached += lengths.cached / self.rate
            written += 1.0 / self.rate
        core: dict[str, Any] = {
            "dtype": setting.attention_dtype,
            "flops_per_prompt": 4.0 * heads * d * pairs,
            "flops_per_decode": 4.0 * heads * d * context,
            "cache_read_per_prompt": self.entry_bytes * cached,
            "cache_read_per_decode": self.entry_bytes * context,
            "cache_write_per_token": self.entry_bytes * written,
            "io_per_token": 2.0 * heads * d * ACTIVATION_BYTES,
            "heads": heads,
        }
        yield Core("attention.prefill", "prefill_attention", **core, context=pairs / max(lengths.new, 1.0))
        yield Core("attention.decode", "mla_decode", **core, context=context)

    def cache_bytes(self, setting: Setting, tokens: Any) -> Any:
        """Bytes on every rank: the compressed entries and index keys of ``tokens`` tokens. The window is a state."""
        if not self.rate:
            return 0.0 * tokens
        index = 0.0 if self.indexer is None else self.indexer.entry_bytes
        return tokens / self.rate * (self.entry_bytes + index)

    def state_bytes(self, setting: Setting) -> Any:
        """Bytes a sequence: its window, and the tokens that wait for their compressed entry (two windows of them where
        they overlap), values and weights of each series in fp32."""
        width = self.head_dim + (0 if self.indexer is None else self.indexer.dim)
        waiting = self.rate * self._series * 2 * self._series * width * STATE_BYTES
        return self.window * self.entry_bytes + waiting
