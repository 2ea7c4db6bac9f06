"""The short convolution of LFM2 (transformers 5.24 modeling_lfm2.py ``Lfm2ShortConv``): a gated causal convolution over
a few tokens. Channels are split over tp (vllm/model_executor/layers/mamba/short_conv.py, vLLM 0.33)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from costmodel.architecture import Setting
from costmodel.blocks.recurrence import scan
from costmodel.operations import ACTIVATION_BYTES, Collective, Elementwise, Gemm, Operation


@dataclass(frozen=True)
class ShortConvolution:
    """``width`` channels, each convolved over ``kernel`` tokens and gated before and after; ``bias`` on all three."""

    width: int
    kernel: int
    bias: bool = False

    @property
    def split_heads(self) -> tuple[int, ...]:
        """Counts that tp must divide: here the channels."""
        return (self.width,)

    def operations(self, setting: Setting) -> Iterator[Operation]:
        of, hidden, tp = setting.quantization.of, setting.hidden, setting.layout.tp
        width = self.width / tp
        into = 3 * width
        yield Gemm("convolution.input", of("convolution.input"), hidden, into, bias=into if self.bias else 0.0)
        weights = width * (self.kernel + self.bias)
        yield Elementwise("convolution.weights", of("norm"), 0.0, weights)
        flops = (2.0 * self.kernel + 2.0) * width
        stored = self._stored(setting)
        yield scan(
            "convolution.scan",
            setting,
            prefill_flops=flops,
            decode_flops=flops,
            state_bytes=stored,
            io_bytes=4 * width * ACTIVATION_BYTES,
            heads=width,
            context=float(self.kernel),
        )
        bias = hidden if self.bias else 0.0
        yield Gemm("convolution.output", of("convolution.output"), width, hidden, bias=bias)
        yield Collective("convolution.all_reduce", "all_reduce", hidden * ACTIVATION_BYTES, tp, 1, before_norm=True)

    def _stored(self, setting: Setting) -> Any:
        return (self.kernel - 1) * self.width / setting.layout.tp * ACTIVATION_BYTES

    def cache_bytes(self, setting: Setting, tokens: Any) -> Any:
        return 0.0 * tokens

    def state_bytes(self, setting: Setting) -> Any:
        """Bytes a sequence: the last ``kernel - 1`` inputs in bf16."""
        return self._stored(setting)
