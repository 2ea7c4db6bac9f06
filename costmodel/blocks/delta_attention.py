"""Kimi delta attention (Kimi Linear, arXiv:2510.26692): a gated delta net whose decay differs from channel to channel
(transformers 5.24 modeling_kimi_linear.py, modeling_bailing_hybrid.py).

Heads are split over tp (vllm/model_executor/layers/kda.py, vLLM 0.33); the small first halves of low-rank gates are
copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from costmodel.architecture import Setting
from costmodel.blocks.delta_net import CHUNK
from costmodel.blocks.recurrence import scan
from costmodel.operations import ACTIVATION_BYTES, Collective, Elementwise, Gemm, Operation


@dataclass(frozen=True)
class KimiDeltaAttention:
    """``heads`` of ``head_dim`` elements (keys and values alike), each with a state of head_dim by head_dim; a causal
    convolution of ``kernel`` tokens over queries, keys and values. The decay is projected through a rank of head_dim
    (``low_rank_decay``) or directly (Ling-3), and so is the output's gate (``low_rank_gate``; direct in Kimi K3).
    ``decays``: trained decays where they are not one a head."""

    heads: int
    head_dim: int
    kernel: int
    low_rank_decay: bool = True
    low_rank_gate: bool = True
    decays: int | None = None
    state_element_bytes: float = 4.0

    @property
    def split_heads(self) -> tuple[int, ...]:
        """Head counts that tp must divide."""
        return (self.heads,)

    def operations(self, setting: Setting) -> Iterator[Operation]:
        of, hidden, tp = setting.quantization.of, setting.hidden, setting.layout.tp
        heads, d = self.heads / tp, self.head_dim
        inner = heads * d
        name = "linear_attention"
        yield Gemm(f"{name}.qkvz", of(f"{name}.qkvz"), hidden, 3 * inner)
        ranked = self.low_rank_decay + self.low_rank_gate
        direct = (2 - ranked) * inner + heads  # with the write strength, one number a head
        yield Gemm(f"{name}.gates", of(f"{name}.gates"), hidden, direct + ranked * d)
        if ranked:
            yield Gemm(f"{name}.gates_up", of(f"{name}.gates"), d, ranked * inner)
        mixed = 3 * inner
        yield Elementwise(f"{name}.convolution", of("norm"), 2.0 * mixed * ACTIVATION_BYTES, mixed * self.kernel)
        # As in a gated delta net (``delta_net.py``), with keys and values of one width.
        within, recurrent = 10.0 * CHUNK * d, 6.0 * d * d
        stored = heads * d * d * self.state_element_bytes
        yield scan(
            f"{name}.scan",
            setting,
            prefill_flops=heads * (within + recurrent),
            decode_flops=heads * recurrent,
            state_bytes=stored,
            io_bytes=(mixed + 2 * inner) * ACTIVATION_BYTES,
            heads=heads,
            context=float(CHUNK),
        )
        # The norm of a head's output; a decay a head and the step's bias a channel.
        decays = heads if self.decays is None else self.decays
        yield Elementwise(f"{name}.norm", of("norm"), 3.0 * inner * ACTIVATION_BYTES, d + decays + inner)
        yield Gemm(f"{name}.output", of(f"{name}.output"), inner, hidden)
        yield Collective(f"{name}.all_reduce", "all_reduce", hidden * ACTIVATION_BYTES, tp, 1, before_norm=True)

    def cache_bytes(self, setting: Setting, tokens: Any) -> Any:
        return 0.0 * tokens

    def state_bytes(self, setting: Setting) -> Any:
        """Bytes a sequence: the state of each head, and the convolution's last ``kernel - 1`` inputs in bf16."""
        heads = self.heads / setting.layout.tp
        convolution = (self.kernel - 1) * 3 * self.head_dim * ACTIVATION_BYTES
        return heads * (self.head_dim**2 * self.state_element_bytes + convolution)
