"""Seconds of the passes of a closed loop."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from costmodel.forward import PassTime, forward
from costmodel.plans import Array, IntArray
from costmodel.scenario import Scenario
from costmodel.serving.closed_loop import BURST, DECODE, MIXED, REST
from costmodel.stages import Stages
from costmodel.step import Step

PROMPTS = slice(BURST, REST + 1)  # passes of prompts alone: as many as the budget takes, or few, whatever the batch
WORTH = 3  # cells of ``PROMPTS`` to a different one, in the mean, from which on it pays to time those alone
TABLE_BITS = 20
ODD = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)  # odd constants that mix bits (xxHash's primes)


def timed(scenario: Scenario, stages: Stages, step: Step) -> PassTime:
    """``forward``; where an engine mixes no prompts into steps of decodes, a mixed step is a pass of prompts and then
    one of decodes."""
    time = _forward_once(scenario, stages, step)
    if not scenario.unmixed:
        return time

    def both(rows: Any) -> Any:
        rows = np.array(rows)
        rows[MIXED] += rows[DECODE]
        return rows

    return PassTime(*(both(getattr(time, f.name)) for f in fields(PassTime)))


def _forward_once(scenario: Scenario, stages: Stages, step: Step) -> PassTime:
    """``forward``, with passes of prompts that are alike timed once."""
    different = _different(step)
    if different is None:
        return forward(scenario, stages, step)
    rows = len(step.decodes)
    others: Any = slice(0, BURST) if rows == REST + 1 else [row for row in range(rows) if not BURST <= row <= REST]
    first = forward(scenario, stages, step.at(others))
    cells, which = different
    columns = cells % step.decodes.shape[-1]
    few = forward(scenario, stages.of_plans(columns), _cells(step, cells, columns))

    def joined(a: Array, b: Array) -> Array:
        whole = np.empty(step.decodes.shape)
        whole[others] = a
        np.take(np.broadcast_to(b, len(cells)), which, out=whole[PROMPTS].reshape(-1))
        return whole

    return PassTime(*(joined(getattr(first, f.name), getattr(few, f.name)) for f in fields(PassTime)))


def _different(step: Step) -> tuple[IntArray, IntArray] | None:
    """Cells of ``PROMPTS`` that differ, as places in the flat array, and which of them each cell is. ``None`` where it
    does not pay, or there are no rows of batches. Cells look for one like them in the place of a table that a hash of
    their layout and numbers names; where another one stands there, a cell stays by itself."""
    if np.ndim(step.decodes) < 3:
        return None
    prompts, stage = step.prompts[PROMPTS], step.stage_prompts[PROMPTS]
    layout = np.broadcast_to(step.layout.numbered, prompts.shape)
    mixed = prompts.view(np.uint64) * np.uint64(ODD[0])
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(ODD[1]) + stage.view(np.uint64)
    mixed = ((mixed ^ (mixed >> np.uint64(32))) + layout) * np.uint64(ODD[2])
    place = (mixed >> np.uint64(64 - TABLE_BITS)).astype(np.int64).ravel()
    every = np.arange(mixed.size)
    table = np.empty(1 << TABLE_BITS, dtype=np.int64)
    table[place] = every
    like = table[place]
    for values in (prompts, stage, layout):
        flat = values.ravel()
        like = np.where(flat[like] == flat, like, every)
    there = np.zeros(mixed.size, dtype=bool)
    there[like] = True
    cells = np.flatnonzero(there)
    if WORTH * len(cells) > mixed.size:
        return None
    return cells, (np.cumsum(there) - 1)[like]


def _cells(step: Step, cells: IntArray, columns: IntArray) -> Step:
    def of(values: Array) -> Array:
        return values[PROMPTS].reshape(-1)[cells]

    return Step(
        of(step.decodes),
        of(step.prompts),
        of(step.stage_decodes),
        of(step.stage_prompts),
        of(step.samples),
        step.lengths,
        step.layout.of_plans(columns),
        step.verified,
    )
