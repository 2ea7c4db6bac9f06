"""One forward pass, as the operations see it: who decodes, who prefills, how many rows that makes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from costmodel.layout import Layout
from costmodel.lengths import FixedLengths


@dataclass(frozen=True)
class Step:
    """Work of one pass. Arrays broadcast to (passes, plans).

    ``decodes`` sequences of one attention group that each produce a token; ``prompts`` prompts of the busiest group
    that are prefilled in this pass (a chunk is a fraction of a prompt); ``stage_decodes`` and ``stage_prompts`` the
    same summed over all attention groups of the stage, which is what the experts see. ``samples`` is the number of
    rows that go through the head in one group. ``verified``: rows of a sequence that decodes, more than one where
    drafts are checked.
    """

    decodes: Any
    prompts: Any
    stage_decodes: Any
    stage_prompts: Any
    samples: Any
    lengths: FixedLengths
    layout: Layout
    verified: float = 1.0

    @cached_property
    def tokens(self) -> Any:
        """Rows that one rank multiplies outside the experts: prompts are split over sp, decodes are not."""
        return self.decodes * self.verified + self.prompts * (self.lengths.new / self.layout.sp)

    @cached_property
    def stage_tokens(self) -> Any:
        """Different tokens in the stage."""
        return self.stage_decodes * self.verified + self.stage_prompts * self.lengths.new

    @cached_property
    def dense_tokens(self) -> Any:
        """Rows of a dense FFN: the stage's where the engine splits it over the whole stage, else the rank's."""
        return np.where(self.layout.dense_tp > self.layout.tp, self.stage_tokens, self.tokens)

    @cached_property
    def known(self) -> dict[Any, Any]:
        """What operations have worked out of rows (``Work.of_rows``)."""
        return {}

    @cached_property
    def _routed(self) -> dict[tuple[int, float, bool], tuple[Any, Any]]:
        return {}

    def routed(self, experts: int, top_k: float, corrected: bool) -> tuple[Any, Any]:
        """Rows and experts hit on the busiest expert-parallel rank, of ``experts`` of which a token takes ``top_k``,
        chosen by a router that has a correction bias or none; worked out once for a layer's products.

        Of the mean rank's rows (the stage's tokens times top_k over ep) and of the experts that tokens touch
        (``Routing.touched``), what ``Layout`` says the busiest rank has."""
        key = (experts, top_k, corrected)
        if key not in self._routed:
            layout, routing = self.layout, self.layout.routing.of_router(corrected)
            local = layout.local_experts(experts)
            rows = layout.busiest_rows(self.stage_tokens * (top_k / layout.ep), experts, top_k, routing)
            if routing.tile_rows:
                hit = rows > 0
            else:
                hit = layout.busiest_share(routing.touched(top_k / experts, self.stage_tokens), experts, routing)
            self._routed[key] = rows, local * hit
        return self._routed[key]

    def at(self, index: Any) -> Step:
        """The pass of row ``index`` alone."""
        pick = {
            f.name: getattr(self, f.name)[index]
            for f in fields(self)
            if f.name not in ("lengths", "layout", "verified")
        }
        return Step(**pick, lengths=self.lengths, layout=self.layout, verified=self.verified)
