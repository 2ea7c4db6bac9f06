"""Seconds of the passes of a closed loop."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from costmodel.forward import PassTime, forward
from costmodel.layout import Runs
from costmodel.plans import Array, IntArray
from costmodel.scenario import Scenario
from costmodel.serving.closed_loop import BURST, DECODE, MIXED, REST
from costmodel.stages import Stages
from costmodel.step import Step

PROMPTS = (BURST, REST)  # passes of prompts alone: as many as the budget takes, or few, whatever the batch
WORTH = 3  # cells of ``PROMPTS`` to a different one, in the mean, from which on it pays to time those alone
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


@dataclass(frozen=True)
class _Different:
    """Cells of ``PROMPTS`` that differ: the ``plans`` they are of, their ``cells`` (flat), and which of them each cell
    is (``which``)."""

    plans: IntArray
    cells: IntArray
    which: IntArray
    runs: Runs


def _forward_once(scenario: Scenario, stages: Stages, step: Step) -> PassTime:
    """``forward``, with passes of prompts that are alike timed once."""
    different = _different(step)
    if different is None:
        return forward(scenario, stages, step)
    others = [row for row in range(len(step.decodes)) if row not in PROMPTS]
    first = forward(scenario, stages, step.at(others))
    few = forward(scenario, stages.of_plans(different.plans), _cells(step, different))

    def joined(a: Array, b: Array) -> Array:
        whole = np.empty((len(step.decodes), a.shape[1]))
        whole[others] = a
        whole[list(PROMPTS)] = np.broadcast_to(b, len(different.cells))[different.which].reshape(len(PROMPTS), -1)
        return whole

    return PassTime(*(joined(getattr(first, f.name), getattr(few, f.name)) for f in fields(PassTime)))


def _different(step: Step) -> _Different | None:
    """``None`` where it does not pay. Cells are told apart by a hash of their layout and numbers; two that share one
    by chance are found, and then nothing is."""
    counts = step.layout.runs.counts
    if counts is None:
        return None
    run = np.repeat(np.arange(len(counts)), counts).astype(np.uint64)
    rows = list(PROMPTS)
    prompts, stage = step.prompts[rows], step.stage_prompts[rows]
    mixed = prompts.view(np.uint64) * np.uint64(ODD[0])
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(ODD[1]) + stage.view(np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(ODD[2]) + run
    _, cells, which = np.unique(mixed, return_index=True, return_inverse=True)
    if WORTH * len(cells) > mixed.size:
        return None
    which = which.ravel()
    of_plan = cells % len(run)
    order = np.argsort(of_plan, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    cells, of_plan, which = cells[order], of_plan[order], place[which]
    for values in (prompts, stage, np.broadcast_to(run, prompts.shape)):
        flat = values.ravel()
        if not np.array_equal(flat[cells][which], flat):
            return None
    runs = np.bincount(run[of_plan].astype(np.int64), minlength=len(counts))
    runs = runs[runs > 0]
    return _Different(of_plan, cells, which, Runs(np.cumsum(runs) - runs, runs))


def _cells(step: Step, different: _Different) -> Step:
    rows = list(PROMPTS)

    def of(values: Array) -> Array:
        return np.ascontiguousarray(values[rows]).ravel()[different.cells]

    return Step(
        of(step.decodes),
        of(step.prompts),
        of(step.stage_decodes),
        of(step.stage_prompts),
        of(step.samples),
        step.lengths,
        step.layout.of_plans(different.plans, different.runs),
        step.verified,
    )
