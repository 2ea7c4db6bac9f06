"""What a plan holds in memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from costmodel.memory import memory
from costmodel.plans import Array, Plans
from costmodel.scenario import Scenario
from costmodel.stages import Stages


def held_bytes(scenario: Scenario, plans: Plans) -> Array:
    """Bytes of the fullest accelerator of each plan, as scored."""
    stages = Stages.of(scenario.model, plans.pp)
    held = memory(scenario, scenario.layout(plans), stages, np.ceil(plans.batch / plans.attn_dp))
    return np.asarray(held.total_bytes)


def fit_in(scenario: Scenario, plans: Plans, most: float) -> NDArray[np.bool_]:
    """Which plans hold ``most`` bytes or less, as the limit is judged: relative to it."""
    return np.asarray(held_bytes(scenario, plans) / most - 1.0 <= 0.0)
