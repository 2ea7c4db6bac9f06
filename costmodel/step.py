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
    rows that go through the head in one group.
    """

    decodes: Any
    prompts: Any
    stage_decodes: Any
    stage_prompts: Any
    samples: Any
    lengths: FixedLengths
    layout: Layout

    @cached_property
    def tokens(self) -> Any:
        """Rows that one rank multiplies outside the experts: prompts are split over sp, decodes are not."""
        return self.decodes + self.prompts * (self.lengths.new / self.layout.sp)

    @cached_property
    def stage_tokens(self) -> Any:
        """Different tokens in the stage."""
        return self.stage_decodes + self.stage_prompts * self.lengths.new

    @cached_property
    def dense_tokens(self) -> Any:
        """Rows of a dense FFN: the stage's where the engine splits it over the whole stage, else the rank's."""
        return np.where(self.layout.dense_tp > self.layout.tp, self.stage_tokens, self.tokens)

    def at(self, index: Any) -> Step:
        """The pass of row ``index`` alone."""
        pick = {f.name: getattr(self, f.name)[index] for f in fields(self) if f.name not in ("lengths", "layout")}
        return Step(**pick, lengths=self.lengths, layout=self.layout)
