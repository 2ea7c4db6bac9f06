"""Decode pools of disaggregated runs: nothing is prefilled there, so TPOT is the decode step of the pool's layout.

Runs without drafts whose instances are known, each once. A pool of several nodes is what tests collectives between
nodes (docs/collectives.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from costmodel.serving.split.decode import decode
from search.base.errors import InputError
from search.evidence.measured.cases import Case
from search.evidence.measured.intervals import coverage, load_intervals
from search.evidence.measured.rows import Measurement
from search.evidence.measured.split_cases import split_case_of


@dataclass(frozen=True)
class Pool:
    """One of a run's decode instances: ``row`` with its GPUs and its share of the sequences, its case, and seconds a
    token with the ends of the 80 % interval."""

    row: Measurement
    case: Case
    token_s: float
    low_s: float
    high_s: float


def decode_pools(rows: Iterable[Measurement]) -> list[Pool]:
    """Those whose layout has a case."""
    found = (_pool(row) for row in rows if row.regime == "disaggregated" and row.tpot_s is not None)
    return [pool for pool in found if pool is not None]


def _pool(m: Measurement) -> Pool | None:
    if m.pools is None or not m.pools.counted or m.pools.copied or m.pools.drafts:
        return None
    try:
        split = split_case_of(m)
    except InputError:
        return None
    each = max(min(split.in_flight / split.decode.workers, split.seats), 1.0)
    scenario, plan = split.decode.scenario, split.decode.plan
    plan = replace(plan, batch=np.array([round(each)]))
    token = decode(scenario, plan, np.array([each])).tpot_s
    low, high = load_intervals().of("tpot_s", coverage(scenario, plan, np.array([False])), token)
    case = replace(split.case, scenario=scenario, plan=plan)
    row = replace(m, concurrency=each, gpus=m.pools.decode.gpus, ttft_s=None, tokens_per_s_per_gpu=None)
    return Pool(row, case, float(token[0]), float(low[0]), float(high[0]))
