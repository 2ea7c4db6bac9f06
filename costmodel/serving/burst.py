"""All requests of a replica arrive at once and are prefilled in passes of M tokens, nothing decoded between.

A client that sends a finite number of requests begins so: in the first of its waves those that are through decode
beside the others' prefill.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.layout import Layout
from costmodel.lengths import FixedLengths
from costmodel.scenario import Scenario


@dataclass(frozen=True)
class Burst:
    """Arrays of shape (n,): ``sequences`` of one attention group, prefilled in ``passes`` with ``prompts`` in each, as
    many as the budget takes, but for the last one, which holds the ``rest``; a prompt that passes the end of one goes
    on in the next. ``stage_prompts`` and ``stage_rest`` are of all groups, of which some may have one prompt fewer."""

    sequences: Any
    passes: Any
    prompts: Any
    rest: Any
    stage_prompts: Any
    stage_rest: Any

    def seconds(self, latency: Any, stage: Any, rest_stage: Any) -> Any:
        """Until the last pass has left the last stage: a full pass takes ``latency`` through all stages, the others
        follow it at ``stage``, the last at ``rest_stage`` seconds in the slowest stage."""
        return latency + (self.passes - 2.0) * stage + rest_stage


@dataclass(frozen=True)
class FirstWave:
    """Arrays of shape (n,): ``passes`` with ``prompts`` in each and ``beside`` decodes beside them."""

    passes: Any
    prompts: Any
    beside: Any


def burst_of(lengths: FixedLengths, layout: Layout, batch: Any, budget: float) -> Burst:
    """``batch`` sequences of a replica at once; ``budget`` new tokens of a group in one pass."""
    sequences = np.ceil(batch / layout.attn_dp)
    passes = np.maximum(np.ceil(sequences * lengths.new / budget), 1.0)
    full = np.minimum(budget / lengths.new, sequences)
    before = passes - 1.0
    rest = sequences - before * full
    stage = np.minimum(full * layout.attn_dp, np.where(before > 0, (batch - rest) / np.maximum(before, 1.0), batch))
    return Burst(sequences, passes, full, rest, stage, batch - before * stage)


def first_wave(scenario: Scenario, burst: Burst, admitted: Any, budget: float) -> FirstWave:
    """The burst with those of it beside that are through decode already: none in its first pass, nearly all in its
    last."""
    beside = np.minimum(burst.sequences, admitted) * (burst.passes - 1.0) / burst.passes / 2.0
    if scenario.engine.prefill_first:
        beside = 0.0 * beside
    left = np.maximum(budget - beside, float(scenario.engine.block_tokens))
    passes = np.maximum(burst.sequences * scenario.lengths.new / left, burst.passes)
    return FirstWave(passes, burst.sequences / passes, beside)
