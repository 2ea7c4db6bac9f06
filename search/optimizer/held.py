"""What a plan holds in memory."""

from __future__ import annotations

import numpy as np

from costmodel.memory import memory
from costmodel.plans import Array, Plans
from costmodel.scenario import Scenario
from costmodel.stages import Stages


def held_bytes(scenario: Scenario, plans: Plans) -> Array:
    """Bytes of the fullest accelerator of each plan, as scored."""
    stages = Stages.of(scenario.model, plans.pp)
    held = memory(scenario, scenario.layout(plans), stages, np.ceil(plans.batch / plans.attn_dp))
    return np.asarray(held.total_bytes)
