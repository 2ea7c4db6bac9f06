"""Bytes and terms of one plan, taken apart: the same operations that ``evaluate`` adds up, each by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.architecture import Setting
from costmodel.formats import BF16
from costmodel.layout import Layout
from costmodel.memory import blocks
from costmodel.operations import Collective, Core, Operation
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.stages import Stages
from costmodel.step import Step


@dataclass(frozen=True)
class ModuleWeights:
    """One weighted operation, its layers added up. ``rank_bytes`` on one rank of the stage with the most weights,
    ``model_bytes`` in one whole copy of the model, ``ways`` how many ranks of a stage share one copy."""

    name: str
    format: str
    layers: int
    model_bytes: float
    rank_bytes: float
    ways: float


@dataclass(frozen=True)
class Reading:
    """What one rank reads in a decode step, a mean over the stages: bytes of weights and of cache; ``floor_s`` reading
    them at the best bandwidth the hardware achieves, ``peak_s`` at its peak."""

    weights_bytes: float
    cache_bytes: float
    floor_s: float
    peak_s: float


def scalar(value: Any) -> float:
    return float(np.asarray(value, dtype=float).reshape(-1)[0])


def heaviest_stage(scenario: Scenario, plan: Plans) -> int:
    """The pipeline stage with the most weights."""
    return int(np.argmax([sum(p.rank_bytes for p in stage_weights(scenario, plan, s)) for s in range(int(plan.pp[0]))]))


def module_weights(scenario: Scenario, plan: Plans) -> list[ModuleWeights]:
    """The weights of the heaviest stage, in the model's order; they add up to ``weights_bytes_per_gpu``."""
    return [p for p in stage_weights(scenario, plan, heaviest_stage(scenario, plan)) if p.model_bytes > 0.0]


def stage_weights(scenario: Scenario, plan: Plans, stage: int) -> list[ModuleWeights]:
    """The weighted operations of one pipeline stage."""
    model = scenario.model
    layout = scenario.layout(plan)
    stages = Stages.of(model, plan.pp)
    one, many = scenario.setting(Layout.single()), scenario.setting(layout)
    last = stages.last[stage, 0]
    found: dict[str, ModuleWeights] = {}

    def add(whole: Operation, part: Operation, total: float, here: float, layers: int) -> None:
        full, local = scalar(whole.weight_bytes), scalar(part.weight_bytes)
        if isinstance(whole, Core | Collective) or full == 0.0:
            return
        old = found.get(whole.name)
        new = ModuleWeights(
            whole.name, whole.format.name, layers, full * float(total), local * float(here), full / local
        )
        found[whole.name] = new if old is None else _join(old, new)

    def pairs(of: Any) -> list[tuple[Operation, Operation]]:
        return list(zip(of(one), of(many), strict=True))

    for whole, part in pairs(model.embedding):
        add(whole, part, 1.0, stages.first[stage, 0], 0)
    if model.vision_parameters:
        size = model.vision_parameters * BF16.bytes_per_element
        tp = float(plan.tp[0])
        here = scalar(stages.first[stage, 0])
        found["vision"] = ModuleWeights("vision", BF16.name, 0, size, here * size / tp, tp)
    for kind, layer in enumerate(model.kinds):
        for whole, part in pairs(layer.operations):
            here, total = stages.counts[stage, kind, 0], stages.totals[kind]
            add(whole, part, total, here, int(total))
    for whole, part in pairs(model.head):
        tied = whole.name == "head" and model.tied_embeddings
        own = last * (not tied or int(plan.pp[0]) > 1)
        add(whole, part, 0.0 if tied else 1.0, own, 0)
        if tied and own:
            old = found["head"]
            found["head"] = ModuleWeights(old.name, old.format, 0, scalar(whole.weight_bytes), old.rank_bytes, old.ways)
    return list(found.values())


def _join(a: ModuleWeights, b: ModuleWeights) -> ModuleWeights:
    model = a.model_bytes + b.model_bytes
    ways = model / (a.model_bytes / a.ways + b.model_bytes / b.ways)
    return ModuleWeights(a.name, a.format, a.layers + b.layers, model, a.rank_bytes + b.rank_bytes, ways)


def sequence_cache_bytes(scenario: Scenario, plan: Plans) -> float:
    """Bytes that one full sequence holds on one rank of the stage with the largest cache."""
    setting = scenario.setting(scenario.layout(plan))
    held = blocks(scenario.lengths.total, scenario.engine.block_tokens)
    cache = [
        0.0 if k.mixer is None else k.mixer.cache_bytes(setting, held) + k.mixer.state_bytes(setting)
        for k in scenario.model.kinds
    ]
    zero = np.zeros(1)
    return scalar(Stages.of(scenario.model, plan.pp).largest(cache, zero, zero))


def decode_reading(scenario: Scenario, plan: Plans) -> Reading:
    """A decode step of the whole batch: each rank reads its weights (of the experts those that are hit) and its
    sequences' cache once."""
    layout = scenario.layout(plan)
    setting: Setting = scenario.setting(layout)
    batch = plan.batch.astype(float)
    per_group, zero = batch / layout.attn_dp, np.zeros(1)
    step = Step(per_group, zero, batch, zero, per_group, scenario.lengths, layout)
    counts = np.bincount(scenario.model.sequence)
    parts = [(1, scenario.model.embedding(setting)), (1, scenario.model.head(setting))]
    parts += [(int(n), k.operations(setting)) for n, k in zip(counts, scenario.model.kinds, strict=True)]
    weights, cache = 0.0, 0.0
    for times, operations in parts:
        for op in operations:
            if not isinstance(op, Collective):
                work = op.work(step)
                weights += times * scalar(work.weight_bytes)
                cache += times * scalar(work.kv_bytes)
    pp = float(plan.pp[0])
    _, achieved = scenario.law.ceilings(scenario.accelerator, scenario.model.quantization.default.compute)
    moved = (weights + cache) / pp
    return Reading(weights / pp, cache / pp, moved / achieved, moved / scenario.accelerator.memory_bytes_per_s)
