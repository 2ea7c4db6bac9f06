"""Blocks of prompts that stay in the cache for the next request that begins alike.

As vLLM's block pool (vllm/v1/core/block_pool.py, 0.33) and SGLang's radix tree do it: a block is found by the hash of
all tokens up to its end; as long as a request uses it, it is pinned; afterwards it may be evicted, the one that was
used longest ago first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence


class PrefixCache:
    """Blocks by hash: ``pinned`` with the number of requests that use them, ``idle`` from the longest unused on."""

    def __init__(self, block_tokens: int) -> None:
        self.block_tokens = block_tokens
        self.pinned: dict[int, int] = {}
        self.idle: OrderedDict[int, None] = OrderedDict()

    def found(self, blocks: Sequence[int]) -> int:
        """How many of the first ``blocks`` are here."""
        pinned, idle = self.pinned, self.idle
        for count, block in enumerate(blocks):
            if block not in pinned and block not in idle:
                return count
        return len(blocks)

    def in_use(self, blocks: Sequence[int]) -> int:
        """How many of the first ``blocks`` somebody uses: room that a request for them need not find."""
        pinned = self.pinned
        for count, block in enumerate(blocks):
            if block not in pinned:
                return count
        return len(blocks)

    def pin(self, blocks: Sequence[int]) -> int:
        """A request uses these blocks, which are here or will be; the number of those that nobody used before."""
        fresh = 0
        for block in blocks:
            users = self.pinned.get(block, 0)
            if not users:
                self.idle.pop(block, None)
                fresh += 1
            self.pinned[block] = users + 1
        return fresh

    def release(self, blocks: Sequence[int]) -> int:
        """A request is through; the number of blocks that nobody uses any more. The last ones are the first to go."""
        free = 0
        for block in reversed(blocks):
            users = self.pinned[block] - 1
            if users:
                self.pinned[block] = users
            else:
                del self.pinned[block]
                self.idle[block] = None
                free += 1
        return free

    def shrink(self, most: int) -> None:
        """Evict until at most ``most`` blocks are idle."""
        while len(self.idle) > max(most, 0):
            self.idle.popitem(last=False)
