"""Requests of many lengths, as the cost model asks for them: expectations over a sample.

A distribution is a sample of equally likely requests, prompt and answer of one beside each other: a trace's own, or
the quantiles of a distribution (``stratified``), so that every mean that a formula asks for is a mean over the sample.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from costmodel.lengths import FixedLengths
from costmodel.plans import Array, IntArray
from costmodel.serving.prefix_hits import PrefixTrace
from costmodel.serving.traffic import Length

SAMPLE = 4096
SHORT = 1 << 16  # tokens that 16 bits hold
MOST_KEPT = 256  # of what caches leave of a trace's requests
# Edges of the classes in which percentiles are computed: finer where the long requests are, of which few decide much.
EDGES = np.array([0.0, 0.2, 0.45, 0.68, 0.84, 0.93, 0.975, 0.992, 1.0])


@dataclass(frozen=True, eq=False)
class Classes:
    """A distribution in few classes: ``tokens`` in the mean of each, their ``variance`` in it and its ``share`` of the
    requests, shape (classes,)."""

    tokens: Array
    variance: Array
    share: Array

    @classmethod
    def of_ranked(cls, ranked: Array) -> Classes:
        """Of equally likely values in their order."""
        if ranked[0] == ranked[-1]:
            return cls(ranked[:1], np.zeros(1), np.ones(1))
        at = _class_edges(len(ranked))
        parts = [ranked[a:b] for a, b in pairwise(at.tolist())]
        return cls(
            np.array([part.mean() for part in parts]), np.array([part.var() for part in parts]),
            np.diff(at) / len(ranked),
        )  # fmt: skip

    @staticmethod
    def means(sample: Array, order: IntArray, values: Array) -> Array:
        """Of ``values`` that stand beside a sample, in each of its classes, shape (classes,); ``order``: its own."""
        if np.ptp(sample) == 0.0:
            return np.array([values.mean()])
        at = _class_edges(len(sample))
        ranked = values.astype(float)[order]
        return np.array([ranked[a:b].mean() for a, b in pairwise(at.tolist())])


def _class_edges(size: int) -> IntArray:
    return np.unique(np.round(EDGES * size).astype(int))


@dataclass(frozen=True, eq=False)
class MixedLengths(FixedLengths):
    """``isl`` and ``osl`` are the means; ``prompts`` and ``answers`` of equally likely requests, shape (sample,).
    ``trace``: the same prompts by blocks, of which each plan's own cache finds some; ``found``: tokens of each prompt
    that one did, of which ``prefix_hit`` is the share in all."""

    prompts: Array = field(default_factory=lambda: np.ones(1))
    answers: Array = field(default_factory=lambda: np.ones(1))
    trace: PrefixTrace | None = None
    found: Array | None = None

    @property
    def prefixes(self) -> PrefixTrace | None:
        return self.trace

    def __getstate__(self) -> dict[str, Any]:
        """To another process goes what it is, not what was worked out of it."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @cached_property
    def _left(self) -> dict[tuple[int, int], MixedLengths]:
        return {}

    def left_by(self, caches: int, blocks: int) -> MixedLengths:
        """What is left of the trace's requests by ``caches`` that share it, each with so many ``blocks``; kept, since
        a search asks for few, again and again."""
        known, trace = self._left, self.trace
        assert trace is not None
        if (caches, blocks) not in known:
            if len(known) >= MOST_KEPT:
                known.clear()
            found = np.round(trace.of(caches)[0].found(blocks) * trace.longer)
            left = known[caches, blocks] = self.found_by(np.minimum(found, self.prompts - 1.0))
            left.__dict__["_ranked_decodes"] = self._ranked_decodes  # the answers are the same
        return known[caches, blocks]

    @cached_property
    def mix(self) -> Mix:
        """As ``Mix.of``."""
        prompts, answers, new = np.asarray(self.prompts, float), np.asarray(self.answers, float), self.new_tokens
        return Mix.of_sample(self, prompts, new, new[self.new_order], answers, self._ranked_decodes)

    def found_by(self, found: Array) -> MixedLengths:
        """The same requests, of whose prompts so many tokens each are found, shape (sample,)."""
        return replace(self, prefix_hit=float(found.sum() / self.prompts.sum()), trace=None, found=found)

    @cached_property
    def _cached(self) -> Array:
        return np.floor(self.prompts * self.prefix_hit) if self.found is None else self.found

    @property
    def new_tokens(self) -> Array:
        """Of each prompt, to prefill, shape (sample,)."""
        return self.prompts - self._cached

    @cached_property
    def new_order(self) -> IntArray:
        """The order of ``new_tokens``, of equal ones that in which they stand."""
        new = self.new_tokens
        if new.min() >= 0.0 and new.max() < SHORT and np.array_equal(new, np.floor(new)):
            new = new.astype(np.uint16)  # which are sorted by their digits
        return np.argsort(new, kind="stable")

    @cached_property
    def _decodes(self) -> Array:
        return np.maximum(self.answers - 1.0, 0.0)

    @cached_property
    def _ranked_decodes(self) -> Array:
        return np.sort(self._decodes)

    @property
    def new_spread(self) -> float:
        new = self.prompts - self._cached
        return float(np.mean(new**2) / np.mean(new) ** 2)

    def times(self, prompt: float = 1.0, answer: float = 1.0) -> MixedLengths:
        prompts = np.maximum(np.round(self.prompts * prompt), 1.0)
        return MixedLengths(
            max(round(self.isl * prompt), 1), max(round(self.osl * answer), 1), self.prefix_hit,
            prompts, np.maximum(np.round(self.answers * answer), 1.0),
            None if self.trace is None else self.trace.times(prompt),
            None if self.found is None else np.minimum(np.round(self.found * prompt), prompts - 1.0),
        )  # fmt: skip

    def prefill_pairs(self, window: int | None = None) -> float:
        new, cached = self.prompts - self._cached, self._cached
        if window is None:
            return float(np.mean(new * cached + new * (new + 1) / 2))
        rising = np.clip(window - cached, 0.0, new)
        return float(np.mean(rising * cached + rising * (rising + 1) / 2 + (new - rising) * window))

    def decode_context(self, window: int | None = None) -> float:
        """The mean over decode steps: a long answer is met more often than a short one."""
        first, steps = self.prompts, np.maximum(self._decodes, 1.0)
        last = first + self.answers
        if window is None:
            read = steps * (first + last) / 2.0
        else:
            below = np.clip(window - first, 0.0, last - first)
            whole = np.maximum(last - first, 1.0)
            read = steps * (below * (first + first + below) / 2.0 + (last - first - below) * window) / whole
        return float(read.sum() / steps.sum())

    def chunked_pairs(self, chunk: int) -> float:
        def triangles(tokens: Array) -> Array:
            whole, rest = np.divmod(tokens, chunk)
            return whole * chunk * (chunk + 1) / 2 + rest * (rest + 1) / 2

        return float(np.mean(triangles(self.prompts) - triangles(self._cached)))

    def chunked_context(self, chunk: int) -> float:
        def area(x: Array) -> Array:
            whole, rest = np.divmod(x, chunk)
            return whole * chunk**2 / 2 + rest**2 / 2

        answers = np.maximum(self.answers, 1.0)
        return float(np.sum(area(self.prompts + answers) - area(self.prompts)) / answers.sum())


def stratified(prompt: Length, answer: Length, size: int = SAMPLE) -> tuple[Array, Array]:
    """Equally likely requests whose prompts have nothing to do with their answers."""
    order = np.random.default_rng(0).permutation(size)
    return prompt.quantiles(size).astype(float), answer.quantiles(size)[order].astype(float)


@dataclass(frozen=True, eq=False)
class Mix:
    """What a traffic model asks of the lengths. ``new`` prompt tokens to prefill and ``decodes`` after the first token,
    in classes; ``prompt`` tokens in all, ``share`` of the new ones found in the cache before them."""

    lengths: FixedLengths
    new: Classes
    decodes: Classes
    moments: dict[str, float]

    @cached_property
    def prompt_of_new(self) -> Array:
        """Tokens of a prompt, found ones included, by class of ``new``, shape (classes,)."""
        if isinstance(self.lengths, MixedLengths) and self.lengths.found is not None:
            return Classes.means(self.lengths.new_tokens, self.lengths.new_order, self.lengths.prompts)
        return self.new.tokens / (1.0 - self.lengths.prefix_hit)

    @cached_property
    def pairs(self) -> Array:
        """Pairs of tokens in the attention of a prompt, by class of ``new``, shape (classes,)."""
        new, hit = self.new.tokens, self.lengths.prefix_hit
        if isinstance(self.lengths, MixedLengths) and self.lengths.found is not None:
            new_tokens, order = self.lengths.new_tokens, self.lengths.new_order
            seen = Classes.means(new_tokens, order, new_tokens * self.lengths.found)
        else:
            seen = new * (new * hit / (1.0 - hit))
        return seen + new * (new + 1.0) / 2.0

    @classmethod
    def of(cls, lengths: FixedLengths) -> Mix:
        if isinstance(lengths, MixedLengths):
            return lengths.mix
        prompts, answers = np.array([float(lengths.isl)]), np.array([float(lengths.osl)])
        new = prompts - np.floor(prompts * lengths.prefix_hit)
        return cls.of_sample(lengths, prompts, new, new, answers, np.maximum(answers - 1.0, 0.0))

    @classmethod
    def of_sample(
        cls, lengths: FixedLengths, prompts: Array, new: Array, ranked_new: Array, answers: Array, ranked_decodes: Array
    ) -> Mix:
        """Of equally likely requests. ``new``: tokens of the prompts to prefill, beside them; ``ranked_new`` and
        ``ranked_decodes`` each in their own order, which the caller may know already."""
        moments = _moments(prompts, new, answers, ranked_decodes)
        return cls(lengths, Classes.of_ranked(ranked_new), Classes.of_ranked(ranked_decodes), moments)

    def __getitem__(self, name: str) -> float:
        return self.moments[name]


def _moments(prompts: Array, new: Array, answers: Array, ranked_decodes: Array) -> dict[str, float]:
    """Means: ``new``, ``new2``, ``decodes``, ``answers``; ``seen`` by a new token; ``held`` tokens of a request in
    flight and their square (``held2``), ``kept`` and ``kept2`` where the answer's are reserved; ``rest``: the share
    of a mean answer that the shorter of two has (for the peakedness of arrivals that are not at random)."""

    def mean(values: Any) -> float:
        return float(np.mean(values))

    decodes = np.maximum(answers - 1.0, 0.0)
    cached = prompts - new
    steps = np.maximum(decodes, 1.0)
    weight = mean(steps)
    size = len(ranked_decodes)
    shorter = float(np.sum(np.maximum(ranked_decodes, 1.0) * (2.0 * (size - np.arange(size)) - 1.0)) / size**2)
    mean_steps, mean_new = mean(decodes), mean(new)
    return {
        "prompt": mean(prompts), "new": mean_new, "new2": mean(new**2), "answers": mean(answers),
        "decodes": mean_steps, "decodes2": mean(decodes**2),
        "each": mean(1.0 / np.where(decodes > 0, decodes, np.inf)) / max(mean(decodes > 0), 1e-12),
        "each2": mean(1.0 / np.where(decodes > 0, decodes, np.inf) ** 2) / max(mean(decodes > 0), 1e-12),
        "seen": mean(new * cached + new * (new + 1.0) / 2.0) / mean_new,
        "rest": shorter / weight,
        "held": mean(steps * (prompts + steps / 2.0)) / weight,
        "held2": mean(steps * (prompts**2 + prompts * steps + steps**2 / 3.0)) / weight,
        "kept": mean(steps * (prompts + answers)) / weight,
        "kept2": mean(steps * (prompts + answers) ** 2) / weight,
        "longest": float(np.max(prompts + answers)),
    }  # fmt: skip
