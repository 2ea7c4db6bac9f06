"""Figures and degrees by name: what objectives, limits, claims and tables may ask for."""

from __future__ import annotations

import numpy as np

from costmodel.plans import Array, Plans
from costmodel.scores import COSTS, FIGURES, PREFIXES, TRAFFIC, Scores

PLAN_COLUMNS = ("gpus", "tp", "pp", "dp", "sp", "ep", "batch")
COLUMNS = (*PLAN_COLUMNS, *FIGURES, *COSTS)
AT_A_RATE = (*COLUMNS, *TRAFFIC, *PREFIXES)


def column(name: str, plans: Plans, scores: Scores) -> Array:
    """A figure or a degree by name, as floats of shape (n,). A figure of ``COSTS`` or ``TRAFFIC`` is asked for only
    where the caller knows that there is one."""
    return np.asarray(getattr(plans if name in PLAN_COLUMNS else scores, name), dtype=float)
