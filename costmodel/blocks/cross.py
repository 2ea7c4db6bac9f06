"""A layer that attends to images alone: Llama 3.2 Vision's (Llama 3 report, arXiv:2407.21783, section 7.2;
transformers 5.24 modeling_mllama.py MllamaCrossAttentionDecoderLayer)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.architecture import Setting
from costmodel.operations import Elementwise, Operation


@dataclass(frozen=True)
class CrossAttentionLayer:
    """Attention from text to image features, a gated FFN of width ``inner``, two norms of the hidden width, one of
    queries and one of keys a head, and two trained gates.

    A request without images passes the layer by (``MllamaTextModel.forward`` skips it), so that it is resident and does
    no work; the keys and values of images are not modelled, as the work of the towers is not."""

    heads: int
    kv_heads: int
    head_dim: int
    inner: int

    @property
    def split_heads(self) -> tuple[int, ...]:
        """Head counts that tp must divide."""
        return (self.heads,)

    def operations(self, setting: Setting) -> Iterator[Operation]:
        of, hidden, tp = setting.quantization.of, setting.hidden, setting.layout.tp
        heads, kv_heads = self.heads / tp, np.maximum(np.ceil(self.kv_heads / tp), 1.0)
        inner = self.inner / setting.layout.dense_tp
        resident = {
            "attention.qkv": hidden * (heads + 2.0 * kv_heads) * self.head_dim,
            "attention.output": heads * self.head_dim * hidden,
            "dense.up": 2.0 * hidden * inner,
            "dense.down": inner * hidden,
            "norm": 2.0 * hidden + 2.0 * self.head_dim + 2.0,
        }
        for name, weights in resident.items():
            yield Elementwise(name, of(name), 0.0, weights, reads_weights=False, only=0.0)

    def cache_bytes(self, setting: Setting, tokens: Any) -> Any:
        return 0.0 * np.asarray(tokens) * setting.layout.tp

    def state_bytes(self, setting: Setting) -> Any:
        return 0.0 * setting.layout.tp
