"""The index branch of MiniMax-M3's block-sparse attention (transformers 5.24 modeling_minimax_m3_vl.py
``MiniMaxM3VLIndexer``): a few small heads score every earlier key, the best blocks of keys are attended to.

One index key a token is cached beside the keys and values; index heads are as many as KV heads, and keys are shared by
all of them, so that every tp rank holds the keys whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.architecture import Setting
from costmodel.operations import ACTIVATION_BYTES, Core, Elementwise, Gemm, Operation


@dataclass(frozen=True)
class BlockSelector:
    """``heads`` index queries of ``dim`` elements; of blocks of ``block`` keys the best ``blocks`` pass, the query's
    own among them. No values, so it adds nothing to the output."""

    heads: int
    dim: int
    block: int
    blocks: int

    @property
    def seen(self) -> int:
        """The most tokens that one token attends to."""
        return self.block * self.blocks

    @property
    def cache_bytes_per_token(self) -> float:
        """One index key a token, in bf16 whatever the format of the main cache."""
        return self.dim * ACTIVATION_BYTES

    def operations(self, setting: Setting) -> Iterator[Operation]:
        of, lengths = setting.quantization.of, setting.lengths
        heads = np.maximum(self.heads / setting.layout.tp, 1.0)
        width = heads * self.dim
        name = "attention.indexer"
        yield Gemm(f"{name}.query", of(f"{name}.query"), setting.hidden, width)
        yield Gemm(f"{name}.key", of(f"{name}.key"), setting.hidden, self.dim)
        yield Elementwise(f"{name}.norm", of("norm"), 2.0 * (width + self.dim) * ACTIVATION_BYTES, 2 * self.dim)
        token = self.cache_bytes_per_token
        core: dict[str, Any] = {
            "dtype": "bf16",
            "flops_per_prompt": 2.0 * width * lengths.prefill_pairs(),
            "flops_per_decode": 2.0 * width * lengths.decode_context(),
            "cache_read_per_prompt": token * lengths.cached,
            "cache_read_per_decode": token * lengths.decode_context(),
            "cache_write_per_token": token,
            "io_per_token": width * ACTIVATION_BYTES,
            "heads": heads,
        }
        context = lengths.prefill_pairs() / max(lengths.new, 1.0)
        yield Core(f"{name}.prefill", "prefill_attention", **core, context=context)
        yield Core(f"{name}.decode", "decode_attention", **core, context=lengths.decode_context())
