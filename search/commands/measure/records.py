"""A measured call, and the ``Work`` that the planner's operations would describe it by. No torch here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from costmodel.operations import ACTIVATION_BYTES, Work

# Bytes of a stored element by compute dtype. fp16 is recorded as bf16, as everywhere in the planner.
ELEMENT_BYTES = {"fp32": 4.0, "bf16": 2.0, "fp8": 1.0, "int8": 1.0}


@dataclass(frozen=True)
class Timing:
    """One call. ``kind``: gemm, prefill, decode, elementwise or a collective. ``seconds`` is the median, ``spread``
    the interquartile range over it. The rest is the shape, zero where it has no meaning:

    gemm: ``m`` rows, ``n`` columns, ``k`` inner; prefill and decode: ``batch`` sequences, ``heads`` of queries,
    ``kv_heads``, ``head_dim``, ``length`` of the prompt or the context; elementwise and collectives: ``bytes`` moved
    or of the message; collectives: ``ways`` ranks.
    """

    kind: str
    kernel: str
    dtype: str
    seconds: float = 0.0
    spread: float = 0.0
    samples: int = 0
    graph: bool = False
    m: int = 0
    n: int = 0
    k: int = 0
    batch: int = 0
    heads: int = 0
    kv_heads: int = 0
    head_dim: int = 0
    length: int = 0
    bytes: int = 0
    ways: int = 0


def column(rows: Sequence[Timing], name: str) -> np.ndarray:
    """One field of all rows, as floats."""
    return np.array([getattr(row, name) for row in rows], dtype=float)


def work(rows: Sequence[Timing]) -> Work:
    """The work of calls of one kind and dtype, as arrays; the same formulas as ``search.evidence.kernels.cases``."""
    kinds = {(row.kind, row.dtype) for row in rows}
    if len(kinds) != 1:
        raise ValueError(f"calls of one kind and dtype belong together, got {sorted(kinds)}")
    kind, dtype = kinds.pop()
    return _WORK[kind](rows, dtype)


def _gemm(rows: Sequence[Timing], dtype: str) -> Work:
    """Weights at their stored size, input and output at two bytes, also in fp32 (whose rows carry twice as much)."""
    m, n, k = (column(rows, c) for c in "mnk")
    size = ELEMENT_BYTES[dtype]
    travelling = max(ACTIVATION_BYTES, size)
    return Work("gemm", dtype, 2 * m * n * k, n * k * size, 0.0, m * (k + n) * travelling, m, n, k)


def _prefill(rows: Sequence[Timing], dtype: str) -> Work:
    batch, heads, kv, d, new = _heads(rows)
    pairs = new * (new + 1) / 2
    tokens = batch * new
    written = tokens * 2 * kv * d * ACTIVATION_BYTES
    io = tokens * 2 * heads * d * ACTIVATION_BYTES
    flops = 4 * heads * d * pairs * batch
    return Work("prefill_attention", dtype, flops, 0.0, written, io, tokens, heads, pairs / new)


def _decode(rows: Sequence[Timing], dtype: str) -> Work:
    batch, heads, kv, d, context = _heads(rows)
    cache = batch * 2 * kv * d * ACTIVATION_BYTES * context
    io = batch * 2 * heads * d * ACTIVATION_BYTES
    return Work("decode_attention", dtype, 4 * heads * d * context * batch, 0.0, cache, io, batch, heads, context)


def _elementwise(rows: Sequence[Timing], dtype: str) -> Work:
    moved = column(rows, "bytes")
    return Work("elementwise", dtype, 0.0, 0.0, 0.0, moved, np.ones(len(rows)), 1.0, 1.0)


def _heads(rows: Sequence[Timing]) -> list[np.ndarray]:
    return [column(rows, c) for c in ("batch", "heads", "kv_heads", "head_dim", "length")]


_WORK: dict[str, Callable[[Sequence[Timing], str], Work]] = {
    "gemm": _gemm,
    "prefill": _prefill,
    "decode": _decode,
    "elementwise": _elementwise,
}
