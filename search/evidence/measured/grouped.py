"""Predictions for measurements, each case through ``evaluate``, those of one scenario together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from costmodel.efficiency import EfficiencyLaw
from costmodel.evaluate import evaluate, serve
from costmodel.launches import in_engine
from costmodel.laws import ShapedLaw
from costmodel.memory import Memory, memory
from costmodel.plans import Array, Plans, concatenate
from costmodel.scenario import Scenario
from costmodel.stages import Stages
from search.base.errors import InputError
from search.evidence.measured.cases import Case, case_of, scenario_key
from search.evidence.measured.rows import Measurement


@dataclass(frozen=True)
class Read:
    """Measurements with their cases; ``skipped`` says why a row (by place in the file) has none."""

    rows: list[Measurement]
    cases: dict[int, Case]
    skipped: dict[int, str]

    @cached_property
    def groups(self) -> list[Group]:
        """Its cases, those of one scenario together."""
        return groups_of(self)


def read_cases(rows: Sequence[Measurement], models: Path | None = None) -> Read:
    """A case for every row that can have one; one bad row never stops the others."""
    cases, skipped = {}, {}
    for i, row in enumerate(rows):
        try:
            cases[i] = case_of(row, models)
        except InputError as error:
            skipped[i] = str(error)
    return Read(list(rows), cases, skipped)


Change = Callable[[Scenario, Case], Scenario]


@dataclass(frozen=True)
class Figures:
    """Predictions of shape (n,), in the order of ``places`` (rows of the file)."""

    places: list[int]
    ttft_s: Array
    tpot_s: Array
    tokens_per_s_per_gpu: Array
    waiting: NDArray[np.bool_]  # True where the cache admits fewer sequences than are in flight

    def only(self, keep: NDArray[np.bool_]) -> Figures:
        """Those where ``keep``, of shape (n,), is True."""
        places = [i for i, kept in zip(self.places, keep, strict=True) if kept]
        return Figures(
            places, self.ttft_s[keep], self.tpot_s[keep], self.tokens_per_s_per_gpu[keep], self.waiting[keep]
        )


@dataclass(frozen=True)
class Group:
    """Cases of one scenario, at ``members`` of a list, with their ``plans`` as one; what they hold in memory is worked
    out once."""

    members: list[int]
    case: Case
    plans: Plans

    @cached_property
    def held(self) -> Memory:
        scenario = self.case.scenario
        wanted = np.ceil(self.plans.batch / self.plans.attn_dp)
        return memory(scenario, scenario.layout(self.plans), Stages.of(scenario.model, self.plans.pp), wanted)


def groups_of(read: Read) -> list[Group]:
    """Cases that are evaluated together."""
    places = list(read.cases)
    found: dict[tuple[object, ...], list[int]] = {}
    for n, i in enumerate(places):
        row, case = read.rows[i], read.cases[i]
        found.setdefault((*scenario_key(row, case), row.regime), []).append(n)
    return [
        Group(members, read.cases[places[members[0]]], concatenate([read.cases[places[n]].plan for n in members]))
        for members in found.values()
    ]


def predict(read: Read, change: Change | None = None, *, other_memory: bool = False) -> Figures:
    """Predict every case; ``change`` may give each scenario other constants first (calibration does); with
    ``other_memory`` also such as change what a plan holds in memory."""
    places = list(read.cases)
    out = np.full((4, len(places)), np.nan)
    for group in read.groups:
        scenario, plans = group.case.scenario, group.plans
        if change is not None:
            scenario = change(scenario, group.case)
        served = serve(scenario, plans, None if other_memory else group.held)
        ttft, tpot = served.latency.ttft_s, served.latency.tpot_s
        speed = plans.dp * plans.batch * scenario.lengths.osl / (ttft + scenario.lengths.decodes * tpot) / plans.gpus
        waiting = served.admitted * plans.attn_dp < plans.batch
        out[:, group.members] = [np.broadcast_to(x, len(plans)) for x in (ttft, tpot, speed, waiting)]
    return Figures(places, out[0], out[1], out[2], out[3] > 0)


def measured(read: Read, places: Sequence[int]) -> tuple[Array, Array, Array]:
    """Measured TTFT, TPOT and tokens/s/GPU of rows, NaN where a row has none."""
    columns = [[getattr(read.rows[i], f) for i in places] for f in ("ttft_s", "tpot_s", "tokens_per_s_per_gpu")]
    ttft, tpot, speed = (np.array([np.nan if v is None else v for v in c], dtype=float) for c in columns)
    return ttft, tpot, speed


def with_constants(
    scenario: Scenario, law: EfficiencyLaw, engine: Mapping[str, float], sustained_share: float | None = None
) -> Scenario:
    """A scenario whose engine has other constants; the law's launches follow them. ``sustained_share`` of the law, its
    own where ``None``."""
    new = replace(scenario.engine, **engine)  # type: ignore[arg-type]
    if sustained_share is not None and isinstance(law, ShapedLaw):
        law = law.sustained(sustained_share)
    return replace(scenario, engine=new, law=in_engine(law, new, scenario.accelerator, scenario.model))


def impossible_families(read: Read) -> set[tuple[str, str, str]]:
    """Families in which some row measured more tokens a second than the accelerators can make at the best rates of
    their kernel tables: they measured something else, prompts that the prefix cache held most likely."""
    places, found = list(read.cases), set()
    for group in read.groups:
        if group.case.scenario.engine.drafts:
            continue
        scores = evaluate(group.case.scenario, group.plans)
        limits = scores.limit_output_tokens_per_s / group.plans.gpus
        for n, limit in zip(group.members, limits.tolist(), strict=True):
            row = read.rows[places[n]]
            if (row.tokens_per_s_per_gpu or 0.0) > limit:
                found.add(row.family)
    return found
