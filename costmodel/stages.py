"""Which layers each pipeline stage holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from costmodel.architecture import Architecture
from costmodel.layout import Runs
from costmodel.plans import IntArray, distinct

FEW = 3  # stages that are gone through as they are


def split_layers(layers: int, pp: int) -> list[int]:
    """Layers of each stage: equal shares, the rest one each to the stages before the last, from the back
    (vllm/distributed/utils.py get_pp_indices, vLLM 0.33)."""
    shares = [layers // pp] * pp
    for i in range(layers % pp):
        shares[-2 - i if pp > 1 else -1] += 1
    return shares


@lru_cache(maxsize=4096)
def _layers(sequence: tuple[int, ...], kinds: int, pp: int) -> Any:
    """Shape (pp, kinds): layers of each kind in each stage."""
    edges = np.cumsum([0, *split_layers(len(sequence), pp)])
    return np.array([np.bincount(sequence[edges[s] : edges[s + 1]], minlength=kinds) for s in range(pp)], dtype=float)


@lru_cache(maxsize=4096)
def _unlike(sequence: tuple[int, ...], kinds: int, pp: int) -> Any:
    """Rows of the stages that are like no earlier one: layers of each kind, whether it is the first, the last."""
    ends = np.zeros((pp, 2))
    ends[0, 0] = ends[-1, 1] = 1.0
    stages = np.concatenate([_layers(sequence, kinds, pp), ends], axis=1)
    return stages[np.sort(np.unique(stages, axis=0, return_index=True)[1])]


@dataclass(frozen=True)
class Stages:
    """``counts`` of shape (stages, kinds, n): layers of each kind in stage s of plan i, zero past its pp;
    ``first`` and ``last`` of shape (stages, n) mark the stages with the embedding and the head; ``totals`` (kinds,)
    the layers of each kind in the model, ``sequence`` the kind of each."""

    counts: Any
    first: Any
    last: Any
    totals: Any
    pp: Any
    sequence: tuple[int, ...]

    @classmethod
    def of(cls, architecture: Architecture, pp: IntArray) -> Stages:
        sequence = tuple(architecture.sequence)
        kinds = len(architecture.kinds)
        degrees, index = distinct(pp)
        deepest = int(degrees.max(initial=1))
        table = np.zeros((len(degrees), deepest, kinds))
        for row, degree in enumerate(degrees):
            table[row, :degree] = _layers(sequence, kinds, int(degree))
        stage = np.arange(deepest)[:, None]
        return cls(
            counts=np.moveaxis(table[index], 0, -1),
            first=(stage == 0) * np.ones_like(pp, dtype=float),
            last=(stage == pp - 1).astype(float),
            totals=np.bincount(sequence, minlength=kinds).astype(float),
            pp=pp,
            sequence=sequence,
        )

    def firsts(self, runs: Runs) -> Stages:
        """Those of each run's first plan."""
        counts, first, last, pp = map(runs.first, (self.counts, self.first, self.last, self.pp))
        return replace(self, counts=counts, first=first, last=last, pp=pp)

    def of_plans(self, places: IntArray) -> Stages:
        """Those of the plans at ``places``."""
        counts, first, last = (values[..., places] for values in (self.counts, self.first, self.last))
        return replace(self, counts=counts, first=first, last=last, pp=self.pp[places])

    @cached_property
    def _different(self) -> tuple[Any, Any, Any]:
        """``counts``, ``first`` and ``last`` without stages that are like another of the plan: of 64 the first, one
        between and the last are enough for what is the largest."""
        degrees, which = distinct(self.pp)
        each = [_unlike(self.sequence, len(self.totals), int(degree)) for degree in degrees]
        most = max((len(e) for e in each), default=0)
        # One of them again where a plan has fewer.
        table = np.stack([e[np.minimum(np.arange(most), len(e) - 1)] for e in each], axis=-1)[..., which]
        return table[:, :-2], table[:, -2], table[:, -1]

    def largest(self, by_kind: list[Any], first: Any, last: Any) -> Any:
        """The largest sum over a stage's layers, with ``first`` and ``last`` added where they live."""
        stages = self
        if len(self.counts) > FEW and len(self.pp):
            counts, firsts, lasts = self._different
            stages = replace(self, counts=counts, first=firsts, last=lasts)
        best: Any = 0.0
        for s in range(len(stages.counts)):
            best = np.maximum(best, stages.stage_sum(s, by_kind, first, last))
        return best

    def stage_sum(self, s: int, by_kind: list[Any], first: Any, last: Any) -> Any:
        """The sum over the layers of stage ``s``."""
        total = self.first[s] * first + self.last[s] * last
        for kind, value in enumerate(by_kind):
            total = total + self.counts[s, kind] * value
        return total
