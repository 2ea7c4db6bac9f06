"""The kinds of operation that a transformer layer is made of.

A block (``costmodel/blocks``) lists its operations for a layout; each operation holds the weights that live on one
rank and, given a ``Step``, says what work or which message it is. Nothing here knows about time: an efficiency law
turns ``Work`` into seconds, the topology turns a ``Message`` into seconds.

FLOPs count a multiply-add as two. Activations travel in bf16 (``ACTIVATION_BYTES``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from costmodel.formats import WeightFormat
from costmodel.step import Step

ACTIVATION_BYTES = 2.0

WorkKind = Literal["gemm", "experts", "prefill_attention", "decode_attention", "mla_decode", "scan", "elementwise"]
MessageKind = Literal["all_reduce", "all_gather", "reduce_scatter", "all_to_all", "send"]
Rows = Literal["tokens", "dense_tokens", "stage_tokens", "prompt_tokens", "decodes", "samples"]
Writer = Literal["norm", "activation", "attention"]


@dataclass(frozen=True)
class Work:
    """What one rank does in one call: FLOPs, bytes moved, and the shape (m rows, n columns, k inner) for laws that
    depend on it. ``dtype`` names the compute peak. ``weight_bytes``, ``kv_bytes`` and ``io_bytes`` add up to the
    traffic. ``groups`` is the number of separate matrices of a grouped product, ``tile_rows`` the rows that its kernel
    pads each of them to, where that is more than the law's own tile. ``written_by``: the operation before a product,
    if engines have kernels of it that write the input in the product's format; ``blocks``: the weights' scales are
    of blocks; ``token_bytes``: of experts, the tokens that this rank has, each once, whichever experts they take.
    ``known``: what was worked out of rows, shared by the work of a step."""

    kind: WorkKind
    dtype: str
    flops: Any
    weight_bytes: Any
    kv_bytes: Any
    io_bytes: Any
    m: Any
    n: Any
    k: Any
    groups: Any = 1.0
    tile_rows: float = 0.0
    written_by: Writer | None = None
    blocks: bool = False
    token_bytes: Any = 0.0
    known: dict[Any, Any] = field(default_factory=dict)

    @cached_property
    def bytes(self) -> Any:
        return self.weight_bytes + self.kv_bytes + self.io_bytes

    def of_rows(self, function: Callable[[Any], Any]) -> Any:
        """``function`` of ``m``, worked out once for all work in ``known`` that has the same rows."""
        key = function, id(self.m)
        if key not in self.known:
            self.known[key] = self.m, function(self.m)  # which also keeps the rows, and so their id
        return self.known[key][1]


@dataclass(frozen=True)
class Message:
    """One collective: ``bytes`` that one rank holds before it (all_reduce, reduce_scatter, all_to_all, send) or
    receives in all (all_gather), in a group of ``size`` ranks that stand ``stride`` apart; ``rows`` tokens they are
    of."""

    kind: MessageKind
    bytes: Any
    size: Any
    stride: Any
    rows: Any = math.inf


def rows_of(step: Step, rows: Rows) -> Any:
    """The number of rows of a named kind in this pass on one rank."""
    if rows == "prompt_tokens":
        return step.prompts * (step.lengths.new / step.layout.sp)
    if rows == "decodes":
        return step.decodes * step.verified
    return getattr(step, rows)


@dataclass(frozen=True)
class Gemm:
    """``rows`` x k times k x n. ``weights`` is k n (and the bias) unless given, for matrices used in other shapes.
    ``after``: what writes its input."""

    name: str
    format: WeightFormat
    k: Any
    n: Any
    rows: Rows = "tokens"
    bias: Any = 0.0
    resident: bool = True  # False: the weights are counted at another operation that uses the same matrix
    after: Writer = "norm"

    @property
    def weights(self) -> Any:
        return self.k * self.n + self.bias if self.resident else 0.0 * self.n

    @property
    def weight_bytes(self) -> Any:
        return self.weights * self.format.bytes_per_element

    def row_bytes(self) -> Any:
        """Bytes of input and output of one row: what it adds to the activations alive at once."""
        return (self.k + self.n) * ACTIVATION_BYTES

    def work(self, step: Step) -> Work:
        m = rows_of(step, self.rows)
        kn = self.k * self.n
        read = kn * self.format.bytes_per_element
        if self.rows in ("prompt_tokens", "decodes"):
            read = read * (m > 0)  # the pass may hold no such rows; then the matrix is not touched
        return Work(
            "gemm",
            self.format.compute,
            2.0 * kn * m,
            read,
            0.0,
            m * self.row_bytes(),
            m,
            self.n,
            self.k,
            written_by=self.after if self.format.fusable else None,
            blocks=self.format.blocks,
            known=step.known,
        )


@dataclass(frozen=True)
class GroupedGemm:
    """One matrix of every expert on this rank. ``experts_total`` experts, ``top_k`` of them a token, ``local`` on
    this rank, each k x n here; ``corrected``: chosen by a router with a correction bias; ``token_bytes``: of a token of
    the stage, in the mean of those that come to this rank and those that do not.

    Rows, and experts whose weights are read, are those of the busiest rank (``Step.routed``)."""

    name: str
    format: WeightFormat
    experts_total: int
    top_k: float
    local: Any
    k: Any
    n: Any
    bias: Any = 0.0
    corrected: bool = False
    token_bytes: Any = 0.0

    @property
    def weights(self) -> Any:
        return self.local * (self.k * self.n + self.bias)

    @property
    def weight_bytes(self) -> Any:
        return self.weights * self.format.bytes_per_element

    def row_bytes(self) -> Any:
        return (self.k + self.n) * ACTIVATION_BYTES

    def work(self, step: Step) -> Work:
        m, hit = step.routed(self.experts_total, self.top_k, self.corrected)
        kn = self.k * self.n
        return Work(
            "experts",
            self.format.compute,
            2.0 * kn * m,
            hit * kn * self.format.bytes_per_element,
            0.0,
            m * self.row_bytes(),
            m,
            self.n,
            self.k,
            hit,
            step.layout.routing.tile_rows,
            blocks=self.format.blocks,
            token_bytes=step.stage_tokens * self.token_bytes,
        )


@dataclass(frozen=True)
class Elementwise:
    """Norms, activations, residual adds, rotary embedding: bound by memory. ``bytes_per_row`` moved a row.
    ``after_reduce``: the kernel of an all-reduce before it may do it in passing. ``only``: 1 for plans that run it, 0
    for others (absent: all do)."""

    name: str
    format: WeightFormat
    bytes_per_row: Any
    weights: Any = 0.0
    rows: Rows = "tokens"
    reads_weights: bool = True  # False: a look-up, which touches only its rows
    after_reduce: bool = False
    only: Any = None

    @property
    def weight_bytes(self) -> Any:
        return self.weights * self.format.bytes_per_element

    def row_bytes(self) -> Any:
        return 0.0

    def work(self, step: Step) -> Work:
        m = rows_of(step, self.rows)
        m = m if self.only is None else m * self.only
        read = self.weight_bytes if self.reads_weights else 0.0
        return Work("elementwise", self.format.compute, 0.0, read, 0.0, m * self.bytes_per_row, m, 1.0, 1.0)


@dataclass(frozen=True)
class Core:
    """Attention proper, or a state-space scan: FLOPs and cache bytes a prompt and a decode, no weights.

    The figures are for one rank: ``flops_per_prompt`` of one whole prompt, ``flops_per_decode`` of one sequence's
    step, ``cache_read_per_decode`` bytes, ``cache_write_per_token`` bytes, ``io_per_token`` bytes of queries and
    outputs. ``heads`` and ``context`` are the shape for laws that depend on it.
    """

    name: str
    kind: WorkKind
    dtype: str
    flops_per_prompt: Any
    flops_per_decode: Any
    cache_read_per_prompt: Any
    cache_read_per_decode: Any
    cache_write_per_token: Any
    io_per_token: Any
    heads: Any
    context: Any
    weights: float = 0.0
    weight_bytes: float = 0.0

    def row_bytes(self) -> Any:
        return self.io_per_token

    def work(self, step: Step) -> Work:
        if self.kind in ("prefill_attention", "scan"):
            rows = rows_of(step, "prompt_tokens")
            prompts = step.prompts / step.layout.sp
            flops = prompts * self.flops_per_prompt
            kv = prompts * self.cache_read_per_prompt + rows * self.cache_write_per_token
            if self.kind == "scan":  # a recurrence runs over prompts and decodes alike
                flops = flops + step.decodes * self.flops_per_decode
                kv = kv + step.decodes * self.cache_read_per_decode
                rows = rows + step.decodes
        else:
            rows = step.decodes * step.verified  # those of a sequence share its cache
            flops = rows * self.flops_per_decode
            kv = step.decodes * self.cache_read_per_decode + rows * self.cache_write_per_token
        return Work(self.kind, self.dtype, flops, 0.0, kv, rows * self.io_per_token, rows, self.heads, self.context)


@dataclass(frozen=True)
class Collective:
    """A message of ``bytes_per_row`` a row among ``size`` ranks that stand ``stride`` apart. ``before_norm``: a norm of
    the hidden width comes next."""

    name: str
    kind: MessageKind
    bytes_per_row: Any
    size: Any
    stride: Any
    rows: Rows = "tokens"
    before_norm: bool = False
    weights: float = 0.0
    weight_bytes: float = 0.0

    def row_bytes(self) -> Any:
        return 0.0

    @property
    def alike(self) -> tuple[Any, ...]:
        """The same for messages that take as long; arrays are compared by identity."""
        numbers = [x if isinstance(x, int | float) else id(x) for x in (self.bytes_per_row, self.size, self.stride)]
        return self.kind, self.rows, self.before_norm, *numbers

    def message(self, step: Step) -> Message:
        rows = rows_of(step, self.rows)
        return Message(self.kind, rows * self.bytes_per_row, self.size, self.stride, rows)


WorkOperation = Gemm | GroupedGemm | Elementwise | Core
Operation = WorkOperation | Collective
