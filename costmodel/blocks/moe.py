"""Mixture of experts: router, routed experts, shared experts, and the exchange of tokens between ranks.

Where every rank of the stage sees the same tokens (one attention group) each computes its experts for all of them and
one all-reduce adds up. With several groups, tokens travel first: either everybody gathers everything and the sums are
scattered back (vLLM's default backend ``allgather_reducescatter``), or each token goes only to the ranks of its
experts (``alltoall``: DeepEP, github.com/deepseek-ai/DeepEP; one copy a rank, fp8 out, bf16 back).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.architecture import Setting
from costmodel.blocks.dense import matrices
from costmodel.operations import ACTIVATION_BYTES, Collective, Elementwise, Gemm, GroupedGemm, Operation

DISPATCH_BYTES = 1.0  # DeepEP sends fp8 tokens; their scales (4 bytes in 128) are neglected


@dataclass(frozen=True)
class MoeFfn:
    """``experts`` of width ``inner``, ``top_k`` of them a token; ``shared_inner`` the summed width of the shared
    ones. ``gated``: three matrices an expert, else two. ``router_bias``: one trained number an expert; ``corrected``:
    the router chooses with a correction bias, moved in training until loads are even (DeepSeek-V3); ``expert_bias``:
    biases in the experts (gpt-oss); ``shared_gate``: a hidden-to-one gate on the shared experts (Qwen). ``latent``:
    experts work in a narrower width, projected down and up (Nemotron). ``shared_apart``: the shared part is normed
    before it is added, so its sum needs an all-reduce of its own (the dense FFN beside Gemma 4's experts).
    ``zero_experts``: more that the router chooses among, which hand a token back as it is: no weights, no work
    (LongCat-Flash, arXiv:2509.01322). Of ``top_k`` chosen, as many as their share of all are taken to be real."""

    experts: int
    top_k: int
    inner: int
    shared_inner: int = 0
    gated: bool = True
    router_bias: bool = False
    expert_bias: bool = False
    shared_gate: bool = False
    latent: int | None = None
    extra_router_parameters: int = 0
    shared_apart: bool = False
    corrected: bool = False
    zero_experts: int = 0

    @property
    def chosen(self) -> float:
        """Experts with work that a token goes to, on average."""
        return self.top_k * self.experts / (self.experts + self.zero_experts) if self.zero_experts else self.top_k

    def operations(self, setting: Setting) -> Iterator[Operation]:
        layout, of, hidden = setting.layout, setting.quantization.of, setting.hidden
        width = self.latent or hidden
        local = layout.local_experts(self.experts)
        inner = self.inner / layout.moe_tp
        up = inner * (2 if self.gated else 1)

        token_bytes = self._seen(setting) * width * ACTIVATION_BYTES
        bias = (self.experts if self.router_bias else 0) + self.extra_router_parameters
        yield Gemm("router", of("router"), hidden, self.experts + self.zero_experts, bias=bias)
        if self.latent:
            yield Gemm("experts.latent_down", of("experts.latent_down"), hidden, width)
        yield from self._dispatch(setting, width)
        yield GroupedGemm(
            "experts.up",
            of("experts.up"),
            self.experts,
            self.chosen,
            local,
            width,
            up,
            bias=up if self.expert_bias else 0.0,
            corrected=self.corrected,
            token_bytes=token_bytes,
        )
        per_row = (up + inner) * ACTIVATION_BYTES * self.chosen / layout.ep
        if setting.expert_rows == "all":
            per_row = per_row + elsewhere(self.chosen, up, inner, width) * (1.0 - 1.0 / layout.ep)
        yield Elementwise("experts.activation", of("norm"), per_row, rows="stage_tokens")
        yield GroupedGemm(
            "experts.down",
            of("experts.down"),
            self.experts,
            self.chosen,
            local,
            inner,
            width,
            bias=width if self.expert_bias else 0.0,
            corrected=self.corrected,
            token_bytes=token_bytes,
        )
        yield from self._combine(setting, width)
        if self.latent:
            yield Gemm("experts.latent_up", of("experts.latent_up"), width, hidden)
        if self.shared_inner:
            if self.shared_gate:
                yield Gemm("shared.gate", of("router"), hidden, 1.0)
            # Its sum rides on the experts' all-reduce.
            yield from matrices(setting, "shared", self.shared_inner, self.gated, bias=False)
            if self.shared_apart:
                yield Collective("shared.all_reduce", "all_reduce", hidden * ACTIVATION_BYTES, layout.tp, 1)

    def _dispatch(self, setting: Setting, width: int) -> Iterator[Operation]:
        layout = setting.layout
        groups = layout.attn_dp * layout.sp
        if setting.exchange == "allgather":
            row = width * ACTIVATION_BYTES
            yield Collective("experts.dispatch", "all_gather", row, groups, layout.tp, "stage_tokens")
        else:
            size = np.where(groups > 1, layout.width, 1.0)
            row = self._copies(setting) * width * DISPATCH_BYTES
            yield Collective("experts.dispatch", "all_to_all", row, size, 1)

    def _combine(self, setting: Setting, width: int) -> Iterator[Operation]:
        layout = setting.layout
        groups = layout.attn_dp * layout.sp
        row = width * ACTIVATION_BYTES
        if setting.exchange == "allgather":
            yield Collective("experts.combine", "reduce_scatter", row, groups, layout.tp, "stage_tokens")
            yield Collective("experts.all_reduce", "all_reduce", row, layout.tp, 1, before_norm=not self.latent)
        else:
            size = np.where(groups > 1, layout.width, 1.0)
            yield Collective("experts.combine", "all_to_all", self._copies(setting) * row, size, 1)
            # After an all-to-all each tp rank holds its share of the tokens and all of them are gathered.
            yield Collective("experts.all_gather", "all_gather", row, np.where(groups > 1, layout.tp, 1.0), 1)
            alone = np.where(groups > 1, 1.0, layout.tp)
            yield Collective("experts.all_reduce", "all_reduce", row, alone, 1, before_norm=not self.latent)

    def _copies(self, setting: Setting) -> Any:
        """Rows that one rank sends for each row of its group: the tp ranks share the group's tokens, and a token goes
        once to every rank that holds one of its experts."""
        width = setting.layout.width
        return width * self._chosen(width) / setting.layout.tp

    def _seen(self, setting: Setting) -> Any:
        """Share of the stage's tokens that come to a rank: all, or those that an all-to-all sends it."""
        layout = setting.layout
        if setting.exchange == "allgather":
            return 1.0
        return np.where(layout.attn_dp * layout.sp > 1, self._chosen(layout.width), 1.0)

    def _chosen(self, width: Any) -> Any:
        """Expected share of tokens that have an expert on a given one of ``width`` ranks."""
        return 1.0 - (1.0 - 1.0 / width) ** self.chosen


def elsewhere(top_k: Any, up: Any, inner: Any, width: Any) -> Any:
    """Bytes a token for rows whose experts are on other ranks, in kernels that keep a place for every row
    (vllm/model_executor/layers/fused_moe/fused_moe.py, 0.33; SGLang's alike): outputs of both products are filled
    with zeros, the activation reads and writes them, they are quantised and summed."""
    return top_k * (2.0 * (up + inner + width) * ACTIVATION_BYTES + inner)
