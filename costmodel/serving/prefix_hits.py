"""What a prefix cache of any size finds of a trace: stack distances once, then a look-up a plan.

A cache that evicts the block that was used longest ago finds a block again if fewer other blocks than it holds were
used since (Mattson, Gecsei, Slutz and Traiger, Evaluation techniques for storage hierarchies, IBM Systems Journal 9,
1970). One pass over a trace so gives the share for every capacity at once. ``costmodel.serving.simulation`` keeps such
a cache request by request; what it does beyond (blocks in use are not evicted, answers in flight take room) is the
capacity's business: it is what is left for blocks of prompts.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from costmodel.plans import Array, IntArray
from costmodel.serving.simulation.requests import Requests


@dataclass(frozen=True, eq=False)
class HitCurve:
    """``blocks``: sizes of cache, ascending, in blocks of ``block_tokens``, at each of which one more block is found of
    some prompt; ``found_tokens`` up to each of them; ``prompt_tokens`` in all. Shape (found blocks,)."""

    blocks: IntArray
    found_tokens: Array
    prompt_tokens: float
    block_tokens: int

    @classmethod
    def of(cls, requests: Requests, replicas: int = 1) -> HitCurve:
        """Of a trace with block hashes, shared in turn among ``replicas`` that know nothing of each other's caches;
        ``ValueError`` for one without."""
        return cls.of_uses(Uses.of(requests, replicas))

    @classmethod
    def of_uses(cls, uses: Uses) -> HitCurve:
        order = np.argsort(uses.least, kind="stable")
        order = order[: int(np.searchsorted(uses.least[order], NEVER))]
        total = float(uses.requests.prompt_tokens.sum())
        return cls(uses.least[order], np.cumsum(uses.tokens[order]), total, uses.requests.block_tokens)

    def share(self, capacity_tokens: Any) -> Array:
        """Share of all prompt tokens that a cache of so many tokens a replica finds, in the shape of
        ``capacity_tokens``; zero where there is none."""
        blocks = np.floor(np.asarray(capacity_tokens, dtype=float) / self.block_tokens)
        place = np.searchsorted(self.blocks, blocks, side="right")
        return np.concatenate([[0.0], self.found_tokens])[place] / max(self.prompt_tokens, 1.0)

    def enough(self, share: float) -> int:
        """The least blocks of which a cache finds ``share`` of all prompt tokens; the most that help where none
        does."""
        if not len(self.blocks):
            return 0
        place = int(np.searchsorted(self.found_tokens, share * self.prompt_tokens))
        return int(self.blocks[min(place, len(self.blocks) - 1)])


@dataclass(frozen=True, eq=False)
class Uses:
    """Every use of a block: ``least`` blocks of cache in which it is found (or ``NEVER``), ``tokens`` that are then,
    and the row ``of_request`` whose prompt it is in, shape (uses,)."""

    requests: Requests
    least: IntArray
    tokens: Array
    of_request: IntArray
    replicas: int

    @property
    def different(self) -> float:
        """Blocks that one replica sees in all, in the mean."""
        return float(np.sum(self.least >= NEVER)) / self.replicas

    @classmethod
    def of(cls, requests: Requests, replicas: int) -> Uses:
        if requests.blocks is None:
            raise ValueError("the requests have no block hashes")
        needed, tokens, places = [], [], []
        for number in range(min(replicas, max(len(requests), 1))):
            rows = range(number, len(requests), replicas)
            prompts = [requests.blocks[i] for i in rows]
            sizes = np.array([len(prompt) for prompt in prompts], dtype=np.int64)
            least = _least_blocks(prompts, sizes)
            found = np.full(len(least), float(requests.block_tokens))
            # The last token of a prompt is always prefilled: from it comes the answer.
            last = np.cumsum(sizes)[sizes > 0] - 1
            whole = requests.prompt_tokens[number::replicas] == sizes * requests.block_tokens
            found[last[whole[sizes > 0]]] -= 1.0
            needed.append(least)
            tokens.append(found)
            places.append(np.repeat(np.array(rows, dtype=np.int64), sizes))
        return cls(requests, np.concatenate(needed), np.concatenate(tokens), np.concatenate(places), replicas)

    @cached_property
    def _found(self) -> dict[int, Array]:
        return {}

    def found(self, blocks: int) -> Array:
        """Tokens of each request that a cache of so many blocks finds, shape (n,); kept, for other lengths too."""
        if blocks not in self._found:
            if len(self._found) >= MOST_KEPT:
                self._found.clear()
            here = self.least <= blocks
            found = np.bincount(self.of_request[here], self.tokens[here], minlength=len(self.requests))
            self._found[blocks] = found.astype(np.float64)
        return self._found[blocks]


@dataclass(frozen=True, eq=False)
class PrefixTrace:
    """A trace with block hashes, and what caches of any size find of it: worked out once for each number of caches that
    share it. ``longer``: times as long as the trace's own are its blocks."""

    requests: Requests
    longer: float = 1.0
    known: dict[int, tuple[Uses, HitCurve]] = field(default_factory=dict)

    def times(self, factor: float) -> PrefixTrace:
        """The same prompts with all of their blocks ``factor`` times as long."""
        return replace(self, longer=self.longer * factor)

    @property
    def block_tokens(self) -> float:
        return self.requests.block_tokens * self.longer

    def of(self, caches: int) -> tuple[Uses, HitCurve]:
        """The uses and their curve, where ``caches`` share the trace."""
        if caches not in self.known:
            uses = Uses.of(self.requests, caches)
            self.known[caches] = uses, HitCurve.of_uses(uses)
        return self.known[caches]


MOST_KEPT = 256  # sizes of cache for which what each request finds is kept
NEVER = 1 << 60  # blocks that would find a block that was never seen before


def _least_blocks(prompts: list[Any], sizes: IntArray) -> IntArray:
    """The least cache, in blocks, in which each block of each prompt is found, in the order of the prompts.

    A prompt uses its last block first, so that of two that came together the one nearer to the beginning is the newer.
    A block needs its own place and one for each different block used between its last use and this prompt: uses j in
    between whose own last use was before this block's. All uses up to the block's last one are such, so counting uses
    before this prompt with an earlier last use and taking those off is enough. A block is found only behind all
    blocks before it.
    """
    if not len(sizes) or not sizes.sum():
        return np.zeros(0, dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    used = np.concatenate([np.asarray(prompt[::-1], dtype=np.int64) for prompt in prompts if len(prompt)])
    before = _last_uses(used)
    own = np.arange(len(used)) - np.repeat(starts, sizes)  # blocks of the same prompt that were counted too
    apart = _earlier_and_not_above(before) - (before + 1) - own
    least = np.where(before >= 0, apart + 1, NEVER)
    whole = np.repeat(np.arange(len(sizes)), sizes)
    forward = np.repeat(2 * starts + sizes - 1, sizes) - np.arange(len(used))  # each prompt turned round again
    steps = np.maximum.accumulate(np.minimum(least[forward], len(used) + 1) + whole * (len(used) + 2))
    chained = steps - whole * (len(used) + 2)
    return np.where(chained > len(used), NEVER, chained)


def _last_uses(used: IntArray) -> IntArray:
    """For each use the place of the last one of the same block before it, or -1."""
    order = np.argsort(used, kind="stable")
    again = used[order][1:] == used[order][:-1]
    before = np.full(len(used), -1, dtype=np.int64)
    before[order[1:][again]] = order[:-1][again]
    return before


def _earlier_and_not_above(values: IntArray) -> IntArray:
    """For each i the number of j < i with values[j] <= values[i], by merging ever longer sorted pieces."""
    size = 1 << int(np.ceil(np.log2(max(len(values), 2))))
    high = np.int64(len(values) + 2)
    padded = np.full(size, high - 1, dtype=np.int64)
    padded[: len(values)] = values
    found = np.zeros(size, dtype=np.int64)
    width = 1
    while width < size:
        pieces = padded.reshape(-1, 2, width)
        key = np.arange(len(pieces), dtype=np.int64)[:, None] * (high + 2)
        left = np.sort(pieces[:, 0] + 1, axis=1) + key
        right = pieces[:, 1] + 1 + key
        place = np.searchsorted(left.ravel(), right.ravel(), side="right").reshape(right.shape)
        found.reshape(-1, 2, width)[:, 1] += place - np.arange(len(pieces))[:, None] * width
        width *= 2
    return found[: len(values)]
