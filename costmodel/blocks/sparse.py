"""The lightning indexer of DeepSeek sparse attention (DeepSeek-V3.2, arXiv:2512.02556, section 2.1; transformers 5.23
modeling_deepseek_v32.py): a small attention in fp8 scores all earlier tokens, and the ``top_k`` best are attended to.

It is replicated over tp, weights, keys and work alike (ReplicatedLinear in vllm/model_executor/models/deepseek_v2.py,
vLLM 0.33).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.architecture import Setting
from costmodel.operations import ACTIVATION_BYTES, Core, Elementwise, Gemm, Operation

SCALE_BYTES = 4.0  # one fp32 scale for each 128 cached fp8 elements (DeepseekV32IndexerCache, the same file)
SCALE_BLOCK = 128


@dataclass(frozen=True)
class Indexer:
    """``heads`` index queries of ``dim`` elements against one index key a token; ``top_k`` tokens pass. ``shared``: an
    earlier layer's choice is used again: no weights, no keys, no work here (GLM-5.2; ``indexer_types`` in transformers
    5.24 modeling_glm_moe_dsa.py)."""

    heads: int
    dim: int
    top_k: int
    shared: bool = False

    @property
    def cache_bytes_per_token(self) -> float:
        """Index keys are cached in fp8 with their scales, whatever the format of the main cache."""
        return 0.0 if self.shared else self.dim + SCALE_BYTES * -(-self.dim // SCALE_BLOCK)

    def operations(self, setting: Setting, query_width: int) -> Iterator[Operation]:
        """``query_width``: the queries' low rank that index queries are projected from."""
        if self.shared:
            return
        of, lengths = setting.quantization.of, setting.lengths
        name = "attention.indexer"
        yield Gemm(f"{name}.query", of(f"{name}.query"), query_width, self.heads * self.dim)
        yield Gemm(f"{name}.key", of(f"{name}.key"), setting.hidden, self.dim)
        # The heads' weights are left unquantised, like a router.
        yield Gemm(f"{name}.weights", of("router"), setting.hidden, self.heads)
        moved = 2.0 * (self.heads + 1) * self.dim * ACTIVATION_BYTES
        yield Elementwise(f"{name}.norm", of("norm"), moved, 2 * self.dim)  # a LayerNorm: weight and bias
        width = self.heads * self.dim
        token = self.cache_bytes_per_token
        core: dict[str, Any] = {
            "dtype": "fp8",
            "flops_per_prompt": 2.0 * width * lengths.prefill_pairs(),
            "flops_per_decode": 2.0 * width * lengths.decode_context(),
            "cache_read_per_prompt": token * lengths.cached,
            "cache_read_per_decode": token * lengths.decode_context(),
            "cache_write_per_token": token,
            "io_per_token": float(width),
            "heads": self.heads,
        }
        context = lengths.prefill_pairs() / np.maximum(lengths.new, 1.0)
        yield Core(f"{name}.prefill", "prefill_attention", **core, context=context)
        yield Core(f"{name}.decode", "decode_attention", **core, context=lengths.decode_context())
