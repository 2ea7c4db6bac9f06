"""Decode pools of disaggregated runs: nothing is prefilled there, so TPOT is the decode step of the pool's layout.

Rows that state how many workers decode, in which layout, and how many sequences are in flight. A pool of several nodes
is what tests collectives between nodes (docs/collectives.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from costmodel.evaluate import serve
from costmodel.serving.closed_loop import DECODE
from search.base.errors import InputError
from search.evidence.measured.cases import Case, case_of
from search.evidence.measured.intervals import coverage, load_intervals
from search.evidence.measured.rows import Measurement

REGIME = "disaggregated"


@dataclass(frozen=True)
class Pool:
    """A run, the case of one of its decode workers, and the step: seconds with the ends of the 80 % interval."""

    row: Measurement
    case: Case
    step_s: float
    low_s: float
    high_s: float


def as_pool(m: Measurement) -> Measurement | None:
    """One decode worker with its share of the sequences; ``None`` where the row does not say."""
    if m.regime != REGIME or m.decode_pool is None or not m.concurrency or m.tpot_s is None:
        return None
    workers, tp, pp, attn_dp, moe_tp, ep = m.decode_pool
    if min(m.decode_pool) < 1:
        return None
    return replace(
        m, regime="closed_loop_fixed_conc", concurrency=max(m.concurrency / workers, 1.0), gpus=tp * pp * attn_dp,
        tp=tp, pp=pp, attn_dp=attn_dp, moe_tp=moe_tp, ep=ep, ttft_s=None, tokens_per_s_per_gpu=None,
    )  # fmt: skip


def decode_pools(rows: Iterable[Measurement]) -> list[Pool]:
    """Those whose layout has a case."""
    found = []
    for row in rows:
        pool = as_pool(row)
        if pool is None:
            continue
        try:
            case = case_of(pool)
        except InputError:
            continue
        served = serve(case.scenario, case.plan)
        step = served.time.latency_s[DECODE]
        waiting = np.asarray(served.admitted * case.plan.attn_dp < case.plan.batch)
        low, high = load_intervals().of("tpot_s", coverage(case.scenario, case.plan, waiting), step)
        found.append(Pool(pool, case, float(step[0]), float(low[0]), float(high[0])))
    return found
