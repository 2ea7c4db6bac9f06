"""Predictions for measurements, each case through ``evaluate``, those of one scenario together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from costmodel.efficiency import EfficiencyLaw
from costmodel.evaluate import evaluate
from costmodel.launches import in_engine
from costmodel.laws import ShapedLaw
from costmodel.plans import Array, concatenate
from costmodel.scenario import Scenario
from search.base.errors import InputError
from search.evidence.measured.cases import Case, case_of, scenario_key
from search.evidence.measured.rows import Measurement


@dataclass(frozen=True)
class Read:
    """Measurements with their cases; ``skipped`` says why a row (by place in the file) has none."""

    rows: list[Measurement]
    cases: dict[int, Case]
    skipped: dict[int, str]


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


def predict(read: Read, change: Change | None = None) -> Figures:
    """Predict every case; ``change`` may give each scenario other constants first (calibration does)."""
    places = list(read.cases)
    groups: dict[tuple[object, ...], list[int]] = {}
    for n, i in enumerate(places):
        row, case = read.rows[i], read.cases[i]
        groups.setdefault((*scenario_key(row, case), row.regime), []).append(n)
    out = np.full((4, len(places)), np.nan)
    for members in groups.values():
        case = read.cases[places[members[0]]]
        scenario = case.scenario if change is None else change(case.scenario, case)
        scores = evaluate(scenario, concatenate([read.cases[places[n]].plan for n in members]))
        wanted = np.array([read.cases[places[n]].plan.batch[0] for n in members])
        out[:, members] = [
            scores.ttft_s, scores.tpot_s, scores.output_tokens_per_s_per_gpu, scores.admitted_batch < wanted,
        ]  # fmt: skip
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
