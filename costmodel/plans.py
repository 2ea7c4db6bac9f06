"""Plans: a struct of arrays, one entry a plan; the words are those of docs/words.md."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

AXES = ("tp", "ep", "dp", "pp", "sp", "batch", "gpus")
READING_ORDER = ("gpus", "dp", "pp", "sp", "tp", "ep", "batch")  # in which people read a plan

PACKED = 1 << 62  # numbers that one number of 64 bits can hold
TABLED = 1 << 16  # numbers below it are told apart by a table, others by sorting


def distinct(numbers: Any) -> tuple[Any, IntArray]:
    """``np.unique`` with its inverse, of an array of whole numbers from 0 on (their type may be float)."""
    whole = numbers.astype(np.int64)
    if len(whole) == 0 or whole.max() >= TABLED or whole.min() < 0:
        return np.unique(numbers, return_inverse=True)
    there = np.zeros(int(whole.max()) + 1, dtype=bool)
    there[whole] = True
    return np.flatnonzero(there).astype(numbers.dtype), (np.cumsum(there) - 1)[whole]


def packed(columns: list[IntArray]) -> IntArray:
    """One number for each row of numbers from 0 on, in their order."""
    key, size = np.zeros_like(columns[0]), 1
    for column in columns:
        radix = int(column.max(initial=0)) + 1
        if size * radix > PACKED:
            key = np.unique(key, return_inverse=True)[1].reshape(-1)
            size = len(key)
        key, size = key * radix + column, size * radix
    return key


def grouped(keys: Any) -> tuple[IntArray, IntArray]:
    """A place of each different key, in their order, and which of them each one is."""
    if np.all(keys[1:] > keys[:-1]):
        every = np.arange(len(keys))
        return every, every
    order = np.argsort(keys)
    found = keys[order]
    new = np.concatenate([[True], found[1:] != found[:-1]])
    which = np.empty_like(order)
    which[order] = np.cumsum(new) - 1
    return order[new], which


@dataclass(frozen=True)
class Plans:
    """Degrees of ``n`` plans as int64 arrays of shape (n,).

    ``tp`` tensor, ``ep`` expert, ``dp`` replica, ``pp`` pipeline and ``sp`` prefill-sequence parallel degree;
    ``batch`` sequences in flight per replica; ``gpus`` accelerators of the whole deployment.
    """

    tp: IntArray
    ep: IntArray
    dp: IntArray
    pp: IntArray
    sp: IntArray
    batch: IntArray
    gpus: IntArray

    @classmethod
    def of(cls, **axes: Any) -> Plans:
        """Plans from scalars or sequences, broadcast against each other; absent degrees are 1."""
        unknown = set(axes) - set(AXES)
        if unknown:
            raise ValueError(f"unknown plan axis {sorted(unknown)[0]!r}; known: {', '.join(AXES)}")
        columns = [np.atleast_1d(np.asarray(axes.get(name, 1), dtype=np.int64)) for name in AXES]
        return cls(*(np.ascontiguousarray(c) for c in np.broadcast_arrays(*columns)))

    def __len__(self) -> int:
        return len(self.tp)

    def take(self, index: Any) -> Plans:
        """The plans at ``index`` (integer array, boolean mask or slice)."""
        return Plans(*(getattr(self, f.name)[index] for f in fields(self)))

    @property
    def stage_width(self) -> IntArray:
        """GPUs that hold one pipeline stage of one replica."""
        return self.gpus // (self.dp * self.pp)

    @property
    def attn_dp(self) -> IntArray:
        """Attention groups in one stage that see different sequences."""
        return self.stage_width // (self.tp * self.sp)

    @property
    def moe_tp(self) -> IntArray:
        """How many ways each expert's own matrices are split."""
        return self.stage_width // self.ep

    def row(self, i: int) -> dict[str, int]:
        """Plan ``i`` as a dictionary of Python integers, in the order of ``AXES``."""
        return {name: int(getattr(self, name)[i]) for name in AXES}


def concatenate(parts: list[Plans]) -> Plans:
    """One ``Plans`` out of several, in order."""
    return Plans(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Plans)))
