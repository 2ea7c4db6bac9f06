"""What a trial says beside its parameters, objectives and constraints: its user attributes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from costmodel.engine import ENGINES
from costmodel.plans import AXES, IntArray, Plans
from costmodel.scores import Scores

Notes = dict[str, str | float | bool]


def notes(plans: Plans, scores: Scores, engines: NDArray[np.bool_], rows: IntArray) -> list[Notes]:
    """Of the plans at ``rows``: the ``layout`` in words, ``engines`` that take it (of shape (engines, plans), in the
    order of ``ENGINES``), whether it is ``feasible``, the burst's TTFT and the share of the memory."""
    degrees = [(name, getattr(plans, name)[rows].tolist()) for name in AXES if name != "batch"]
    takes = engines[:, rows].T.tolist()
    feasible, burst = scores.feasible[rows].tolist(), scores.burst_ttft_s[rows].tolist()
    memory = scores.memory_utilization[rows].tolist()
    return [
        {
            "layout": " ".join(f"{name}={values[i]}" for name, values in degrees),
            "engines": " ".join(name for name, yes in zip(ENGINES, takes[i], strict=True) if yes),
            "feasible": feasible[i],
            "burst_ttft_s": burst[i],
            "memory_utilization": memory[i],
        }
        for i in range(len(rows))
    ]
