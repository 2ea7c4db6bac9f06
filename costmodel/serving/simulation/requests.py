"""What a simulation takes and what it gives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from costmodel.plans import Array, IntArray


@dataclass(frozen=True)
class Requests:
    """Arrays of shape (n,), in the order of arrival. ``prompt_tokens`` of which ``cached_tokens`` are found in the
    prefix cache by assumption; ``answer_tokens``, the first of them from the prefill. ``blocks``: hashes of each
    prompt's whole blocks of ``block_tokens`` tokens, where a trace states them: what is found then follows from the
    simulation. A client that has no answer after ``patience_s`` gives up, and its request is dropped."""

    arrival_s: Array
    prompt_tokens: IntArray
    answer_tokens: IntArray
    cached_tokens: IntArray | None = None
    blocks: Sequence[Sequence[int]] | None = None
    block_tokens: int = 16
    patience_s: float = math.inf

    def __len__(self) -> int:
        return len(self.arrival_s)


def first_of(requests: Requests, size: int) -> Requests:
    """The first ``size`` of them."""
    return rows_of(requests, np.arange(min(size, len(requests))))


def rows_of(requests: Requests, rows: IntArray) -> Requests:
    """Those in ``rows``, which ascend."""
    cached = None if requests.cached_tokens is None else requests.cached_tokens[rows]
    blocks = None if requests.blocks is None else [requests.blocks[i] for i in rows.tolist()]
    return replace(
        requests, arrival_s=requests.arrival_s[rows], prompt_tokens=requests.prompt_tokens[rows],
        answer_tokens=requests.answer_tokens[rows], cached_tokens=cached, blocks=blocks,
    )  # fmt: skip


@dataclass(frozen=True)
class Served:
    """What became of each request, arrays of shape (n,): seconds from its arrival to its first token and to its last
    (infinite where it cannot be served at all, or where its client gave up), times that it was preempted, prompt tokens
    found in the cache, the replica that served it. ``passes`` that the replicas ran, ``end_s`` when the last answer was
    complete; ``history`` of shape (points, 4): seconds, requests running and waiting, share of the cache that is taken,
    of all replicas."""

    ttft_s: Array
    e2e_s: Array
    preemptions: IntArray
    hit_tokens: IntArray
    replica: IntArray
    passes: int
    end_s: float
    history: Array

    def tpot_s(self, answer_tokens: IntArray) -> Array:
        """Seconds a token after the first; not a number for answers of one token."""
        later = np.asarray(answer_tokens, dtype=float) - 1.0
        with np.errstate(invalid="ignore"):
            return np.where(later > 0, (self.e2e_s - self.ttft_s) / np.maximum(later, 1.0), np.nan)
