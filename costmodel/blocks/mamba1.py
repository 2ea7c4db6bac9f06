"""Mamba (Gu and Dao, arXiv:2312.00752), the selective state space of Jamba and Falcon-Mamba (transformers 5.24
modeling_jamba.py ``JambaMambaMixer``).

Channels are split over tp; what step, B and C are made of is summed over the ranks, a message of its own
(``x_proj``, a RowParallelLinear in vllm/model_executor/layers/mamba/mamba_mixer.py, vLLM 0.33).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from costmodel.architecture import Setting
from costmodel.blocks.recurrence import scan
from costmodel.operations import ACTIVATION_BYTES, Collective, Elementwise, Gemm, Operation


@dataclass(frozen=True)
class Mamba1:
    """``inner`` channels, each with a state of ``state`` numbers; steps come from a low rank of ``step_rank``.
    ``norms``: RMS norms with weights of step, B and C (Jamba)."""

    inner: int
    state: int
    step_rank: int
    kernel: int
    projection_bias: bool = False
    convolution_bias: bool = True
    norms: bool = True
    state_element_bytes: float = 4.0

    @property
    def split_heads(self) -> tuple[int, ...]:
        """Counts that tp must divide: here the channels."""
        return (self.inner,)

    def operations(self, setting: Setting) -> Iterator[Operation]:
        of, hidden, tp = setting.quantization.of, setting.hidden, setting.layout.tp
        inner = self.inner / tp
        mixed = self.step_rank + 2 * self.state
        biased = self.projection_bias
        yield Gemm("mamba.input", of("mamba.input"), hidden, 2 * inner, bias=2 * inner if biased else 0.0)
        weights = inner * (self.kernel + self.convolution_bias)
        yield Elementwise("mamba.convolution", of("norm"), 2.0 * inner * ACTIVATION_BYTES, weights)
        yield Gemm("mamba.selection", of("mamba.selection"), inner, mixed)
        yield Collective("mamba.selection_reduce", "all_reduce", mixed * ACTIVATION_BYTES, tp, 1)
        yield Gemm("mamba.step", of("mamba.step"), self.step_rank, inner, bias=inner)
        # A token and channel: the decay (an exponential and a product), the input and the output, of each state.
        recurrent = 6.0 * inner * self.state
        stored = inner * self.state * self.state_element_bytes
        yield scan(
            "mamba.scan",
            setting,
            prefill_flops=recurrent,
            decode_flops=recurrent,
            state_bytes=stored,
            io_bytes=(3 * inner + 2 * self.state) * ACTIVATION_BYTES,
            heads=inner,
        )
        # A of each state, D of each channel, and the small norms.
        weights = inner * (self.state + 1) + (mixed if self.norms else 0.0)
        yield Elementwise("mamba.norm", of("norm"), 3.0 * inner * ACTIVATION_BYTES, weights)
        yield Gemm("mamba.output", of("mamba.output"), inner, hidden, bias=hidden if biased else 0.0)
        yield Collective("mamba.all_reduce", "all_reduce", hidden * ACTIVATION_BYTES, tp, 1, before_norm=True)

    def cache_bytes(self, setting: Setting, tokens: Any) -> Any:
        return 0.0 * tokens

    def state_bytes(self, setting: Setting) -> Any:
        """Bytes a sequence: the states, and the convolution's last ``kernel - 1`` inputs in bf16."""
        inner = self.inner / setting.layout.tp
        return inner * (self.state * self.state_element_bytes + (self.kernel - 1) * ACTIVATION_BYTES)
