"""The dense feed-forward part: gate and up projection fused, down projection (Shazeer, arXiv:2002.05202).

Column- then row-parallel, one all-reduce (Shoeybi et al., Megatron-LM, arXiv:1909.08053).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from costmodel.architecture import Setting
from costmodel.operations import ACTIVATION_BYTES, Collective, Elementwise, Gemm, Operation


def matrices(setting: Setting, name: str, inner: int, gated: bool, bias: bool) -> Iterator[Operation]:
    """The products of one FFN of width ``inner`` (also of shared experts), without its messages."""
    of = setting.quantization.of
    local = inner / setting.layout.dense_tp
    up = local * (2 if gated else 1)
    out = setting.hidden
    yield Gemm(f"{name}.up", of(f"{name}.up"), out, up, "dense_tokens", bias=up if bias else 0.0)
    yield Elementwise(f"{name}.activation", of("norm"), (up + local) * ACTIVATION_BYTES, rows="dense_tokens")
    down = out if bias else 0.0
    yield Gemm(f"{name}.down", of(f"{name}.down"), local, out, "dense_tokens", bias=down, after="activation")


@dataclass(frozen=True)
class DenseFfn:
    """``gated``: three matrices (gate, up, down); otherwise two."""

    inner: int
    gated: bool = True
    bias: bool = False

    def operations(self, setting: Setting) -> Iterator[Operation]:
        layout = setting.layout
        row = setting.hidden * ACTIVATION_BYTES
        # Split wider than tp, the FFN needs the tokens of the other attention groups.
        peers = layout.dense_tp / layout.tp
        yield Collective("dense.all_gather", "all_gather", row, peers, layout.tp, "stage_tokens")
        yield from matrices(setting, "dense", self.inner, self.gated, self.bias)
        yield Collective("dense.reduce_scatter", "reduce_scatter", row, peers, layout.tp, "stage_tokens")
        yield Collective("dense.all_reduce", "all_reduce", row, layout.tp, 1, before_norm=True)
