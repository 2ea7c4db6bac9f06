"""Gated delta net (Yang et al., arXiv:2412.06464), the linear attention of Qwen3-Next and Qwen3.5 (transformers 5.23
modeling_qwen3_next.py, modeling_qwen3_5_moe.py): a matrix of key by value dimension a head instead of a growing cache.

Heads are split over tp (vllm/model_executor/layers/mamba/gdn_linear_attn.py, vLLM 0.33).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from costmodel.architecture import Setting
from costmodel.blocks.recurrence import scan
from costmodel.operations import ACTIVATION_BYTES, Collective, Elementwise, Gemm, Operation

CHUNK = 64  # tokens that the chunked form multiplies at once (fla-org/flash-linear-attention, chunk_gated_delta_rule)


@dataclass(frozen=True)
class GatedDeltaNet:
    """``key_heads`` of ``key_dim``, ``value_heads`` of ``value_dim`` elements; a causal convolution of ``kernel``
    tokens over queries, keys and values; ``state_element_bytes`` of the recurrent state."""

    key_heads: int
    value_heads: int
    key_dim: int
    value_dim: int
    kernel: int
    state_element_bytes: float = 4.0

    @property
    def split_heads(self) -> tuple[int, ...]:
        """Head counts that tp must divide."""
        return (self.key_heads, self.value_heads)

    def _widths(self, tp: Any) -> tuple[Any, Any]:
        return self.key_heads * self.key_dim / tp, self.value_heads * self.value_dim / tp

    def operations(self, setting: Setting) -> Iterator[Operation]:
        of, tp = setting.quantization.of, setting.layout.tp
        hidden = setting.hidden
        key, value = self._widths(tp)
        heads = self.value_heads / tp
        name = "linear_attention"
        yield Gemm(f"{name}.qkvz", of(f"{name}.qkvz"), hidden, 2 * key + 2 * value)
        yield Gemm(f"{name}.gates", of(f"{name}.gates"), hidden, 2 * heads)  # write strength and decay
        mixed = 2 * key + value
        yield Elementwise(f"{name}.convolution", of("norm"), 2.0 * mixed * ACTIVATION_BYTES, mixed * self.kernel)
        state = self.key_dim * self.value_dim
        # Chunked form a token and head: K K' and its inverse applied to K and V, Q K' and P V within the chunk; the
        # state is read twice and written once. Decode does the last three alone.
        within = 2.0 * CHUNK * (3 * self.key_dim + 2 * self.value_dim)
        recurrent = 6.0 * state
        stored = heads * state * self.state_element_bytes
        yield scan(
            f"{name}.scan",
            setting,
            prefill_flops=heads * (within + recurrent),
            decode_flops=heads * recurrent,
            state_bytes=stored,
            io_bytes=(mixed + value) * ACTIVATION_BYTES,
            heads=heads,
            context=float(CHUNK),
        )
        # A norm of each head's values, gated by z; with it the decay's and the step's parameter a head.
        weights = self.value_dim + 2 * heads
        yield Elementwise(f"{name}.norm", of("norm"), 3.0 * value * ACTIVATION_BYTES, weights)
        yield Gemm(f"{name}.output", of(f"{name}.output"), value, hidden)
        yield Collective(f"{name}.all_reduce", "all_reduce", hidden * ACTIVATION_BYTES, tp, 1, before_norm=True)

    def cache_bytes(self, setting: Setting, tokens: Any) -> Any:
        return 0.0 * tokens

    def state_bytes(self, setting: Setting) -> Any:
        """Bytes a sequence: the state of each value head, and the convolution's last ``kernel - 1`` inputs in bf16."""
        key, value = self._widths(setting.layout.tp)
        recurrent = self.value_heads / setting.layout.tp * self.key_dim * self.value_dim * self.state_element_bytes
        return recurrent + (self.kernel - 1) * (2 * key + value) * ACTIVATION_BYTES
