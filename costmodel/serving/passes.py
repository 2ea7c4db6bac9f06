"""Seconds of the passes of a closed loop."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from costmodel.forward import PassTime, forward
from costmodel.scenario import Scenario
from costmodel.serving.closed_loop import DECODE, MIXED
from costmodel.stages import Stages
from costmodel.step import Step


def timed(scenario: Scenario, stages: Stages, step: Step) -> PassTime:
    """``forward``; where an engine mixes no prompts into steps of decodes, a mixed step is a pass of prompts and then
    one of decodes."""
    time = forward(scenario, stages, step)
    if not scenario.unmixed:
        return time

    def both(rows: Any) -> Any:
        rows = np.array(rows)
        rows[MIXED] += rows[DECODE]
        return rows

    return PassTime(*(both(getattr(time, f.name)) for f in fields(PassTime)))
