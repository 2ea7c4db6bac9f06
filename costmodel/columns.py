"""Figures and degrees by name: what objectives, limits, claims and tables may ask for."""

from __future__ import annotations

import numpy as np

from costmodel.plans import Array, Plans
from costmodel.scores import COSTS, FIGURES, Scores

PLAN_COLUMNS = ("gpus", "tp", "pp", "dp", "sp", "ep", "batch")
COLUMNS = (*PLAN_COLUMNS, *FIGURES, *COSTS)


def column(name: str, plans: Plans, scores: Scores) -> Array:
    """A figure or a degree by name, as floats of shape (n,). A figure of ``COSTS`` is asked for only where it is known
    by the caller."""
    return np.asarray(getattr(plans if name in PLAN_COLUMNS else scores, name), dtype=float)
