"""What joins layers beyond an addition: several residual streams, or a choice among earlier layers' outputs. Each is
there twice a layer, before the mixer and before the feed-forward part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from costmodel.architecture import Setting
from costmodel.operations import ACTIVATION_BYTES, Elementwise, Gemm, Operation


@dataclass(frozen=True)
class HyperConnections:
    """Manifold-constrained hyper-connections (Xie et al., arXiv:2512.24880; transformers 5.24 modeling_deepseek_v4.py
    ``DeepseekV4HyperConnection``): ``streams`` residual streams, collapsed into one, expanded again and mixed by
    weights that are projected from all of them."""

    streams: int

    def operations(self, setting: Setting) -> Iterator[Operation]:
        of, streams = setting.quantization.of, self.streams
        outputs = (2 + streams) * streams
        for _ in range(2):
            # Its matrix, biases and three scales are kept in full precision, like a router's.
            yield Gemm("hyper.weights", of("router"), streams * setting.hidden, outputs, bias=outputs + 3)
            # The streams are read and written once; the collapsed one is written and the block's output read.
            moved = 2.0 * (streams + 1) * setting.hidden * ACTIVATION_BYTES
            yield Elementwise("hyper.mix", of("norm"), moved)

    def head_parameters(self, hidden: int) -> int:
        """Of the last collapse: a matrix, a bias a stream and one scale."""
        return self.streams * self.streams * hidden + self.streams + 1


@dataclass(frozen=True)
class AttentionResiduals:
    """Attention residuals (Kimi K3, arXiv:2607.24653; its published weights ``self_attention_res_*``, ``mlp_res_*``): a
    weight for each block of ``block`` earlier layers, from a norm and a projection to one number; ``layers`` in all, of
    which a layer finds half before it on average."""

    block: int
    layers: int

    def operations(self, setting: Setting) -> Iterator[Operation]:
        of, hidden = setting.quantization.of, setting.hidden
        earlier = self.layers / self.block / 2.0
        for _ in range(2):
            moved = (2.0 * earlier + 1.0) * hidden * ACTIVATION_BYTES  # scored, then summed
            yield Elementwise("residual.attention", of("norm"), moved, 2 * hidden)

    def head_parameters(self, hidden: int) -> int:
        """Of the last choice, before the final norm."""
        return 2 * hidden
