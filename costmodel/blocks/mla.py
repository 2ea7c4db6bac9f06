"""Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434, section 2.1; transformers 5.23 modeling_deepseek_v3.py).

What is cached is one latent of ``kv_rank`` and one rotary key of ``rope_dim`` a token, shared by all heads: it is not
split over tp, every rank holds it whole. Two ways of computing (vllm/model_executor/layers/attention/mla_attention.py,
vLLM 0.33): prefill expands the latent into each head's keys and values; decode folds W_UK into the queries and W_UV
into the outputs, and works on the latents as multi-query attention. Sparse attention (``indexer``) takes the second
way in both phases.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from costmodel.architecture import Setting
from costmodel.blocks.sparse import Indexer
from costmodel.operations import ACTIVATION_BYTES, Collective, Core, Elementwise, Gemm, Operation, Rows


@dataclass(frozen=True)
class LatentAttention:
    """``q_rank`` is the rank of the queries' low-rank pair, ``None`` for a full projection (DeepSeek-V2-Lite).
    ``nope_dim`` and ``rope_dim`` of a head's query and key, ``v_dim`` of its value, in elements. ``bias`` on the two
    down projections and the output. ``indexer`` bounds what a token attends to. ``output_gate``: a
    projection that gates the output, of one number a head (``head``, Ling-3) or as wide (``full``, Kimi K3)."""

    heads: int
    q_rank: int | None
    kv_rank: int
    nope_dim: int
    rope_dim: int
    v_dim: int
    bias: bool = False
    indexer: Indexer | None = None
    output_gate: Literal["none", "head", "full"] = "none"

    # What the host launches for a layer of prompts beyond the operations below and beyond what a layer of grouped
    # attention asks of it. Chosen on runs, 15 to 22 alike: those of Kimi K2.5 under vLLM, beside MiniMax's there
    # (docs/fidelity.md). Calls found in SGLang 0.5.10 (forward_mha.py, forward_normal_prepare and _core) and in
    # TensorRT-LLM (modules/attention.py, forward_context_default) are a third of it: a second norm, latents joined, a
    # rotary part written back, keys joined, the splits and views of heads. The rest may be the router's groups and the
    # shared experts' stream of such models.
    unlisted_operations: ClassVar[int] = 15

    @property
    def split_heads(self) -> tuple[int, ...]:
        """Head counts that tp must divide."""
        return (self.heads,)

    @property
    def latent(self) -> int:
        """Elements cached a token and layer."""
        return self.kv_rank + self.rope_dim

    def operations(self, setting: Setting) -> Iterator[Operation]:
        of, tp = setting.quantization.of, setting.layout.tp
        heads = self.heads / tp
        key = self.nope_dim + self.rope_dim
        down = (self.q_rank or 0) + self.latent
        bias = down if self.bias else 0.0
        yield Gemm("attention.qkv_down", of("attention.qkv_down"), setting.hidden, down, bias=bias)
        normed = (self.q_rank or 0) + self.kv_rank
        yield Elementwise("attention.rotary", of("norm"), 2.0 * (down + heads * key) * ACTIVATION_BYTES, normed)
        yield Gemm("attention.q_up", of("attention.q_up"), self.q_rank or setting.hidden, heads * key)
        if self.indexer is not None:
            yield from self.indexer.operations(setting, self.q_rank or setting.hidden)
        yield from self._kv_up(setting, heads)
        if self.output_gate != "none":
            gate = heads * (self.v_dim if self.output_gate == "full" else 1)
            yield Gemm("attention.gate", of("attention.gate"), setting.hidden, gate)
        yield Collective(
            "attention.kv_exchange",
            "all_gather",
            self.latent * ACTIVATION_BYTES * setting.layout.sp,
            setting.layout.sp,
            tp,
            "prompt_tokens",
        )
        yield from self._cores(setting, heads)
        bias = setting.hidden if self.bias else 0.0
        out = heads * self.v_dim
        yield Gemm("attention.output", of("attention.output"), out, setting.hidden, bias=bias, after="attention")
        yield Collective(
            "attention.all_reduce", "all_reduce", setting.hidden * ACTIVATION_BYTES, tp, 1, before_norm=True
        )

    def _kv_up(self, setting: Setting, heads: Any) -> Iterator[Operation]:
        """W_UK and W_UV, stored once: as one matrix for prompts, folded per head for decodes. A pass without such
        rows does not read them."""
        stored = setting.quantization.of("attention.kv_up")
        sparse = self.indexer is not None
        if not sparse:
            up = heads * (self.nope_dim + self.v_dim)
            yield Gemm("attention.kv_up", stored, self.kv_rank, up, "prompt_tokens")
        rows: Rows = "tokens" if sparse else "decodes"
        yield Gemm("attention.absorb_k", stored, heads * self.nope_dim, self.kv_rank, rows, resident=sparse)
        yield Gemm("attention.absorb_v", stored, self.kv_rank, heads * self.v_dim, rows, resident=sparse)

    def _cores(self, setting: Setting, heads: Any) -> Iterator[Operation]:
        lengths = setting.lengths
        bound = self.indexer.top_k if self.indexer else None
        pairs, context = lengths.prefill_pairs(bound), lengths.decode_context(bound)
        token = self.latent * setting.kv_bytes
        folded = self.latent + self.kv_rank  # a query against a latent, a probability times a latent
        expanded = self.nope_dim + self.rope_dim + self.v_dim
        prefill = folded if self.indexer else expanded
        core: dict[str, Any] = {
            "dtype": setting.attention_dtype,
            "flops_per_prompt": 2.0 * heads * prefill * pairs,
            "flops_per_decode": 2.0 * heads * folded * context,
            "cache_read_per_prompt": token * lengths.cached,
            "cache_read_per_decode": token * context,
            "cache_write_per_token": token,
            "heads": heads,
        }
        yield Core(
            "attention.prefill",
            "prefill_attention",
            **(core | ({} if self.indexer else {"dtype": setting.latent_prompts})),
            io_per_token=heads * prefill * ACTIVATION_BYTES,
            context=pairs / np.maximum(lengths.new, 1.0),
        )
        yield Core(
            "attention.decode", "mla_decode", **core, io_per_token=heads * folded * ACTIVATION_BYTES, context=context
        )

    def cache_bytes(self, setting: Setting, tokens: Any) -> Any:
        """Bytes a sequence of ``tokens`` holds on every rank: the latent, and the indexer's keys."""
        bytes_per_token = self.latent * setting.kv_bytes
        if self.indexer is not None:
            bytes_per_token = bytes_per_token + self.indexer.cache_bytes_per_token
        return bytes_per_token * tokens

    def state_bytes(self, setting: Setting) -> Any:
        return 0.0
