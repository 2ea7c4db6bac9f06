"""Prompt and answer lengths, and the sums over them that attention needs.

Every figure is an expectation over requests, so that a distribution can take the place of the fixed pair: the rest
of the model asks only for the properties and methods here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class FixedLengths:
    """Every request has ``isl`` prompt tokens, of which ``prefix_hit`` (a share) are found in the prefix cache,
    and ``osl`` answer tokens, the first of them produced by the prefill."""

    isl: int
    osl: int
    prefix_hit: float = 0.0

    @property
    def prefixes(self) -> Any:
        """What prompts have in common, block by block, where what is found of them depends on each plan's cache
        (``costmodel.serving.prefix_hits.PrefixTrace``); ``None`` where it is ``prefix_hit`` for all."""
        return None

    @property
    def total(self) -> int:
        """Tokens of KV cache that a finished request holds."""
        return self.isl + self.osl

    @property
    def cached(self) -> float:
        """Prompt tokens whose keys and values are already there."""
        return self.isl * self.prefix_hit

    @property
    def new(self) -> float:
        """Prompt tokens to prefill."""
        return self.isl - self.cached

    @property
    def decodes(self) -> int:
        """Decode steps a request takes part in."""
        return self.osl - 1

    @property
    def new_spread(self) -> float:
        """Mean square of the new tokens of a prompt over the square of their mean."""
        return 1.0

    def times(self, prompt: float = 1.0, answer: float = 1.0) -> FixedLengths:
        """The same requests with prompts and answers so many times as long."""
        return replace(self, isl=max(round(self.isl * prompt), 1), osl=max(round(self.osl * answer), 1))

    def prefill_pairs(self, window: int | None = None) -> float:
        """Query-key pairs of one prompt's prefill: sum over its new tokens i of min(cached + i, window).

        Causal attention computes one triangle: with nothing cached and no window it is new (new + 1) / 2.
        """
        full = self.new * self.cached + self.new * (self.new + 1) / 2
        if window is None or self.isl <= window:
            return full
        rising = max(0.0, window - self.cached)  # tokens that still see everything before them
        seen = rising * self.cached + rising * (rising + 1) / 2
        return seen + (self.new - rising) * window

    def decode_context(self, window: int | None = None) -> float:
        """Mean number of cached tokens that a decode step reads: the mean of min(x, window) for x uniform in
        [isl, isl + osl]; without a window isl + osl / 2."""
        if window is None or self.total <= window:
            return self.isl + self.osl / 2
        if self.isl >= window:
            return float(window)
        below = window - self.isl
        return (below * (self.isl + window) / 2 + (self.osl - below) * window) / self.osl

    def chunked_pairs(self, chunk: int) -> float:
        """Query-key pairs of one prompt under chunked (block-local) attention of ``chunk`` tokens: whole triangles
        and the rest."""

        def triangles(tokens: float) -> float:
            whole, rest = divmod(tokens, chunk)
            return whole * chunk * (chunk + 1) / 2 + rest * (rest + 1) / 2

        return triangles(self.isl) - triangles(self.cached)

    def chunked_context(self, chunk: int) -> float:
        """Mean of x mod chunk over decode positions x in [isl, isl + osl]."""

        def area(x: float) -> float:
            whole, rest = divmod(x, chunk)
            return whole * chunk**2 / 2 + rest**2 / 2

        return (area(self.total) - area(self.isl)) / self.osl


@dataclass(frozen=True)
class PassLengths(FixedLengths):
    """What one pass holds, in the place of requests' lengths, arrays of any one shape: ``new`` prompt tokens that are
    prefilled, as one prompt, each seeing ``seen`` tokens in the mean (itself included); ``context`` tokens that a
    decode reads in the mean. Means stand for the batch: under a window, the mean of what each token sees is taken as
    what the mean token sees."""

    tokens: Any = 0.0
    seen: Any = 0.0
    context: Any = 0.0

    @property
    def new(self) -> Any:  # type: ignore[override]
        return self.tokens

    @property
    def cached(self) -> Any:  # type: ignore[override]
        """Those that the pass reads back: what the first new token sees, were they all of one prompt."""
        return np.maximum(self.seen - (self.tokens + 1.0) / 2.0, 0.0)

    def prefill_pairs(self, window: int | None = None) -> Any:
        seen = self.seen if window is None else np.minimum(self.seen, window)
        return self.tokens * seen

    def decode_context(self, window: int | None = None) -> Any:
        return self.context if window is None else np.minimum(self.context, window)

    def chunked_pairs(self, chunk: int) -> Any:
        return self.tokens * np.where(self.seen < chunk, self.seen, chunk / 2.0)

    def chunked_context(self, chunk: int) -> Any:
        return np.where(self.context < chunk, self.context, chunk / 2.0)
