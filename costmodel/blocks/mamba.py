"""Mamba-2 (Dao and Gu, arXiv:2405.21060), the state-space mixer of Nemotron-H (transformers 5.23
modeling_nemotron_h.py).

Heads are split over tp; groups too, until there is one a rank (extra_groups_for_head_shards in
vllm/model_executor/layers/mamba/mamba_utils.py, vLLM 0.33).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.architecture import Setting
from costmodel.blocks.recurrence import scan
from costmodel.operations import ACTIVATION_BYTES, Collective, Elementwise, Gemm, Operation


@dataclass(frozen=True)
class Mamba2:
    """``heads`` of ``head_dim`` elements, each with a state of head_dim by ``state``; ``groups`` share B and C.
    ``chunk`` tokens are multiplied at once in prefill; ``state_element_bytes`` of the recurrent state. ``norm``: the
    gated norm of the output has weights (Falcon-H1 may have none)."""

    heads: int
    head_dim: int
    state: int
    groups: int
    kernel: int
    chunk: int
    projection_bias: bool = False
    convolution_bias: bool = True
    state_element_bytes: float = 4.0
    norm: bool = True

    @property
    def split_heads(self) -> tuple[int, ...]:
        """Head counts that tp must divide."""
        return (self.heads,)

    def _local(self, setting: Setting) -> tuple[Any, Any, Any]:
        """Heads, inner width and width of B (or C) on one rank."""
        tp = setting.layout.tp
        groups = np.maximum(np.ceil(self.groups / tp), 1.0)
        return self.heads / tp, self.heads * self.head_dim / tp, groups * self.state

    def operations(self, setting: Setting) -> Iterator[Operation]:
        of, hidden, tp = setting.quantization.of, setting.hidden, setting.layout.tp
        heads, inner, bc = self._local(setting)
        mixed = inner + 2 * bc
        into = inner + mixed + heads  # gate; x, B and C; step
        bias = into if self.projection_bias else 0.0
        yield Gemm("mamba.input", of("mamba.input"), hidden, into, bias=bias)
        weights = mixed * (self.kernel + self.convolution_bias)
        yield Elementwise("mamba.convolution", of("norm"), 2.0 * mixed * ACTIVATION_BYTES, weights)
        # A token: B x' into the state and C times the state; within a chunk (half of it, causal) C B' a group and
        # its product with x.
        recurrent = 4.0 * inner * self.state
        within = self.chunk * (bc + inner)
        stored = inner * self.state * self.state_element_bytes
        yield scan(
            "mamba.scan",
            setting,
            prefill_flops=recurrent + within,
            decode_flops=recurrent,
            state_bytes=stored,
            io_bytes=(mixed + inner) * ACTIVATION_BYTES,
            heads=heads,
            context=float(self.chunk),
        )
        # The gated norm, and A, D and the step's bias, one number a head.
        yield Elementwise("mamba.norm", of("norm"), 3.0 * inner * ACTIVATION_BYTES, self.norm * inner + 3 * heads)
        bias = hidden if self.projection_bias else 0.0
        yield Gemm("mamba.output", of("mamba.output"), inner, hidden, bias=bias)
        yield Collective("mamba.all_reduce", "all_reduce", hidden * ACTIVATION_BYTES, tp, 1, before_norm=True)

    def cache_bytes(self, setting: Setting, tokens: Any) -> Any:
        return 0.0 * tokens

    def state_bytes(self, setting: Setting) -> Any:
        """Bytes a sequence: the state, and the convolution's last ``kernel - 1`` inputs in bf16."""
        _, inner, bc = self._local(setting)
        convolution = (self.kernel - 1) * (inner + 2 * bc) * ACTIVATION_BYTES
        return inner * self.state * self.state_element_bytes + convolution
