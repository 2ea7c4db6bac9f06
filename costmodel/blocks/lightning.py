"""Lightning attention (Qin et al., arXiv:2405.17381), the linear attention of MiniMax-Text-01 and M1 (transformers 5.24
modeling_minimax.py ``MiniMaxLightningAttention``): a decayed sum of key by value products a head, no growing cache.

Heads are split over tp; the norm before the gate spans them all (vllm/model_executor/layers/mamba/linear_attn.py, vLLM
0.33, MiniMaxText01RMSNormTP).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from costmodel.architecture import Setting
from costmodel.blocks.recurrence import scan
from costmodel.operations import ACTIVATION_BYTES, Collective, Elementwise, Gemm, Operation


@dataclass(frozen=True)
class LightningAttention:
    """``heads`` of ``head_dim`` elements, each with a state of head_dim by head_dim; ``chunk`` tokens are multiplied at
    once in prefill; ``state_element_bytes`` of the state."""

    heads: int
    head_dim: int
    chunk: int = 256
    state_element_bytes: float = 4.0

    @property
    def split_heads(self) -> tuple[int, ...]:
        """Head counts that tp must divide."""
        return (self.heads,)

    def operations(self, setting: Setting) -> Iterator[Operation]:
        of, hidden, tp = setting.quantization.of, setting.hidden, setting.layout.tp
        heads = self.heads / tp
        inner = heads * self.head_dim
        name = "linear_attention"
        yield Gemm(f"{name}.qkvz", of(f"{name}.qkvz"), hidden, 4 * inner)  # queries, keys, values and the gate
        # A token: k v' into the state and q times it; within a chunk (half of it, causal) q k' and its product with v.
        recurrent = 4.0 * inner * self.head_dim
        within = 2.0 * self.chunk * inner
        stored = inner * self.head_dim * self.state_element_bytes
        yield scan(
            f"{name}.scan",
            setting,
            prefill_flops=recurrent + within,
            decode_flops=recurrent,
            state_bytes=stored,
            io_bytes=4 * inner * ACTIVATION_BYTES,
            heads=heads,
            context=float(self.chunk),
        )
        yield Elementwise(f"{name}.norm", of("norm"), 3.0 * inner * ACTIVATION_BYTES, inner)
        yield Gemm(f"{name}.output", of(f"{name}.output"), inner, hidden)
        yield Collective(f"{name}.all_reduce", "all_reduce", hidden * ACTIVATION_BYTES, tp, 1, before_norm=True)

    def cache_bytes(self, setting: Setting, tokens: Any) -> Any:
        return 0.0 * tokens

    def state_bytes(self, setting: Setting) -> Any:
        """Bytes a sequence: the state of each head."""
        return self.heads / setting.layout.tp * self.head_dim**2 * self.state_element_bytes
