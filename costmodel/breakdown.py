"""Where the time of one plan goes: each phase by operation, and what bounds it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from costmodel.evaluate import serve
from costmodel.forward import Clock, OperationTime, host_seconds, layers_of, tally
from costmodel.operations import Operation
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.serving.closed_loop import BURST, DECODE, MIXED, steady_loop
from costmodel.serving.own_hits import of_plan
from costmodel.stages import Stages

Bound = Literal["compute", "memory", "communication", "overhead"]
PHASES = {"decode": DECODE, "mixed": MIXED, "prefill": BURST}


@dataclass(frozen=True)
class Part:
    """One operation in one phase: ``calls`` in a pass of the whole model, and the sums over them of seconds, of its
    two roofline bounds, of FLOPs and of bytes of one rank."""

    phase: str
    name: str
    kind: str
    calls: int
    seconds: float
    compute_s: float
    memory_s: float
    flops: float
    bytes: float
    bound: Bound


def breakdown(scenario: Scenario, plan: Plans) -> list[Part]:
    """The parts of a decode step, of a step that also prefills, and of a full prefill pass, for one plan.

    Seconds of communication are before any overlap. Host overheads are parts named ``host``.
    """
    if len(plan) != 1:
        raise ValueError(f"one plan is broken down at a time, not {len(plan)}")
    scenario = of_plan(scenario, plan)
    served = serve(scenario, plan)
    layout, stages = served.layout, Stages.of(scenario.model, plan.pp)
    _, step = steady_loop(scenario, layout, served.inside, plan.batch.astype(float))
    setting = scenario.setting(layout)
    model, engine = scenario.model, scenario.engine
    groups: list[tuple[int, Iterable[Operation]]] = [(1, model.embedding(setting))]
    groups += [(int(n), ops) for n, ops in zip(stages.totals, layers_of(scenario, layout), strict=True)]
    groups += [(1, model.head(setting))]
    clock = Clock(step, scenario)
    tallies = [(calls, tally(ops, clock, detail=True)) for calls, ops in groups]
    parts: list[Part] = []
    for phase, passes in PHASES.items():
        rows = (MIXED, DECODE) if passes == MIXED and scenario.unmixed else (passes,)
        merged: dict[tuple[str, str], Part] = {}
        host = 0.0
        for row in rows:
            for calls, total in tallies:
                for op in total.operations:
                    part = _part(phase, op, calls, row)
                    key = (part.name, part.kind)
                    merged[key] = _sum(merged[key], part) if key in merged else part
            host += float(host_seconds(engine, step.at(row))[0]) + engine.layer_overhead_s * model.layer_count
        parts += [p for p in merged.values() if p.seconds > 0.0]
        if host > 0.0:
            parts.append(Part(phase, "host", "overhead", 1, host, 0.0, 0.0, 0.0, 0.0, "overhead"))
    return parts


def _at(value: object, row: int) -> float:
    array = np.asarray(value, dtype=float)
    if array.ndim == 2:
        array = array[row if array.shape[0] > 1 else 0]
    return float(array.reshape(-1)[0])


def _part(phase: str, op: OperationTime, calls: int, row: int) -> Part:
    compute, moved = _at(op.compute_s, row), _at(op.memory_s, row)
    message = compute == 0.0 and moved == 0.0
    bound: Bound = "communication" if message else "compute" if compute > moved else "memory"
    seconds, flops, travelled = _at(op.seconds, row), _at(op.flops, row), _at(op.bytes, row)
    return Part(
        phase, op.name, op.kind, calls, calls * seconds, calls * compute, calls * moved,
        calls * flops, calls * travelled, bound,
    )  # fmt: skip


def _sum(a: Part, b: Part) -> Part:
    compute, moved = a.compute_s + b.compute_s, a.memory_s + b.memory_s
    bound: Bound = a.bound if a.bound == "communication" else "compute" if compute > moved else "memory"
    return Part(
        a.phase, a.name, a.kind, a.calls + b.calls, a.seconds + b.seconds, compute, moved,
        a.flops + b.flops, a.bytes + b.bytes, bound,
    )  # fmt: skip
