"""Grouped-query attention (Ainslie et al., arXiv:2305.13245); MHA and MQA are its ends.

Queries are split over tp. Key and value heads too, until there is one a rank: beyond that they are replicated
(vllm/model_executor/layers/linear.py QKVParallelLinear, vLLM 0.33), weights and cache alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from costmodel.architecture import Setting
from costmodel.blocks.selector import BlockSelector
from costmodel.operations import ACTIVATION_BYTES, Collective, Core, Elementwise, Gemm, Operation


@dataclass(frozen=True)
class GroupedQueryAttention:
    """``window``: each token sees the last ``window`` tokens; ``chunk``: only those of its own block of ``chunk``.
    ``qk_norm``: for q and for k one weight vector of head_dim (``head``), one for each head (``each``), or a norm over
    the whole width (``full``). ``output_gate``: a second query-wide projection that gates the output. ``sinks``: one
    learned logit a head. ``shared_kv``: keys serve as values (no value projection). ``keeps_all``: the cache holds
    tokens that the layer can no longer see. ``v_dim``: width of a head's value where it is not ``head_dim``
    (MiMo-V2). ``selector``: chooses the blocks of keys that a token attends to (MiniMax-M3). ``head_gate``: a
    projection of one number a head that gates its output (Step-3.5)."""

    heads: int
    kv_heads: int
    head_dim: int
    qkv_bias: bool = False
    output_bias: bool = False
    qk_norm: Literal["none", "head", "each", "full"] = "none"
    output_gate: bool = False
    sinks: bool = False
    window: int | None = None
    chunk: int | None = None
    shared_kv: bool = False
    keeps_all: bool = False
    v_dim: int | None = None
    selector: BlockSelector | None = None
    head_gate: bool = False

    @property
    def value_dim(self) -> int:
        """Elements of a head's value."""
        return self.head_dim if self.v_dim is None else self.v_dim

    @property
    def split_heads(self) -> tuple[int, ...]:
        """Head counts that tp must divide."""
        return (self.heads,)

    def _local(self, setting: Setting) -> tuple[Any, Any]:
        tp = setting.layout.tp
        return self.heads / tp, np.maximum(np.ceil(self.kv_heads / tp), 1.0)

    def operations(self, setting: Setting) -> Iterator[Operation]:
        layout, of, lengths = setting.layout, setting.quantization.of, setting.lengths
        heads, kv_heads = self._local(setting)
        d = self.head_dim
        query, key, value = heads * d, kv_heads * d, kv_heads * self.value_dim
        out = heads * self.value_dim
        width = query + self.output_gate * out + key + (0.0 if self.shared_kv else value)

        yield Gemm("attention.qkv", of("attention.qkv"), setting.hidden, width, bias=width if self.qkv_bias else 0.0)

        if self.head_gate:
            yield Gemm("attention.gate", of("attention.gate"), setting.hidden, heads)
        norm_weights = {"none": 0.0, "head": 2.0 * d, "each": query + key, "full": query + key}[self.qk_norm]
        norm_weights = norm_weights + (heads if self.sinks else 0.0)
        # Rotary embedding (and the norm, fused) reads and writes q and k.
        yield Elementwise("attention.rotary", of("norm"), 2.0 * (query + key) * ACTIVATION_BYTES, norm_weights)

        if self.qk_norm == "full":
            # A norm over the whole width needs the sums of squares of all tp ranks: two fp32 a token, of q and of k, in
            # one message (vllm/model_executor/layers/mamba/linear_attn.py MiniMaxText01RMSNormTP.forward_qk since
            # 0.14, pull request 31493; SGLang since pull request 14416).
            yield Elementwise("attention.qk_sums", of("norm"), (query + key) * ACTIVATION_BYTES, only=layout.tp > 1)
            yield Collective("attention.qk_norm", "all_reduce", 8.0, layout.tp, 1)
        if self.selector is not None:
            yield from self.selector.operations(setting)
            pairs, context = lengths.prefill_pairs(self.selector.seen), lengths.decode_context(self.selector.seen)
        elif self.chunk is not None:
            pairs, context = lengths.chunked_pairs(self.chunk), lengths.chunked_context(self.chunk)
        else:
            pairs, context = lengths.prefill_pairs(self.window), lengths.decode_context(self.window)
        cache_token = (key + value) * setting.kv_bytes
        core = {
            "dtype": setting.attention_dtype,
            "flops_per_prompt": 2.0 * (query + out) * pairs,  # q k' and p v, two FLOPs a product
            "flops_per_decode": 2.0 * (query + out) * context,
            "cache_read_per_prompt": cache_token * self._kept(lengths.cached),
            "cache_read_per_decode": cache_token * context,
            "cache_write_per_token": cache_token,
            "io_per_token": (query + out) * ACTIVATION_BYTES,
            "heads": heads,
        }
        # Each sp rank holds a share of the prompt and gathers everybody's keys and values
        # (ring or all-gather context parallelism, Llama 3 report arXiv:2407.21783, section 3.3.2).
        gathered = (key + value) * ACTIVATION_BYTES * layout.sp
        yield Collective("attention.kv_exchange", "all_gather", gathered, layout.sp, layout.tp, "prompt_tokens")
        yield Core("attention.prefill", "prefill_attention", **core, context=pairs / np.maximum(lengths.new, 1.0))
        yield Core("attention.decode", "decode_attention", **core, context=context)
        yield Gemm(
            "attention.output",
            of("attention.output"),
            out,
            setting.hidden,
            bias=setting.hidden if self.output_bias else 0.0,
            after="attention",
        )
        yield Collective(
            "attention.all_reduce", "all_reduce", setting.hidden * ACTIVATION_BYTES, layout.tp, 1, before_norm=True
        )

    def cache_bytes(self, setting: Setting, tokens: Any) -> Any:
        _, kv_heads = self._local(setting)
        token = kv_heads * (self.head_dim + self.value_dim) * setting.kv_bytes
        selector = self.selector.cache_bytes_per_token * tokens if self.selector is not None else 0.0
        return token * (tokens if self.keeps_all else self._kept(tokens)) + selector

    def _kept(self, tokens: Any) -> Any:
        """Of ``tokens`` before it, those that a layer can still look at."""
        reach = self.window or self.chunk
        return tokens if reach is None else np.minimum(tokens, reach)

    def state_bytes(self, setting: Setting) -> Any:
        return 0.0
