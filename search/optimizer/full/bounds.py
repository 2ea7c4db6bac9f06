"""Objectives and limits at the floors of a range of batches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from costmodel.cost import joules_per_output_token, usd_per_million_output_tokens
from costmodel.plans import Array, IntArray, Plans
from costmodel.scenario import Scenario
from costmodel.serving.floors import Floors
from search.optimizer.front import Objectives

RISES, FALLS = 1.0, -1.0  # in which direction the floors bound a column
BOUNDED = {
    "ttft_s": RISES, "burst_ttft_s": RISES, "tpot_s": RISES, "gpus": RISES,
    "usd_per_million_output_tokens": RISES, "joules_per_output_token": RISES,
    "output_tokens_per_s": FALLS, "output_tokens_per_s_per_gpu": FALLS, "requests_per_s": FALLS,
}  # fmt: skip
SCALED = ("output_tokens_per_s", "requests_per_s", "gpus")  # with the number of replicas
SAFE = 1e-12  # relative: a quotient of what is bounded may round the other way


def bounded(objectives: Objectives) -> bool:
    """Whether floors say how good a plan may be in every objective."""
    return all(
        (d == "min") == (BOUNDED.get(n, 0.0) == RISES) and n in BOUNDED for n, d in objectives.directions.items()
    )


def best_costs(scenario: Scenario, objectives: Objectives, plans: Plans, floors: Floors) -> Array:
    """Shape (n, objectives): as good as any plan of the range can be, every column to be minimised."""
    tokens = np.asarray(floors.output_tokens_per_s)
    each = tokens / plans.gpus * (1.0 + SAFE)

    def of(name: str) -> Array | None:
        match name:
            case "ttft_s" | "burst_ttft_s" | "tpot_s":
                return np.asarray(getattr(floors, name))
            case "gpus":
                return plans.gpus.astype(float)
            case "output_tokens_per_s":
                return -tokens
            case "output_tokens_per_s_per_gpu":
                return -each
            case "requests_per_s":
                return -tokens / scenario.lengths.osl * (1.0 + SAFE)
            case "usd_per_million_output_tokens":
                return usd_per_million_output_tokens(scenario.accelerator, each)
            case _:
                return joules_per_output_token(scenario.accelerator, each)

    columns = [of(name) for name in objectives.names]
    return np.stack([np.zeros(len(plans)) if column is None else column for column in columns], axis=1)


def multiplied(objectives: Objectives, costs: Array, place: IntArray, times: Array) -> Array:
    """Costs of deployments with so many ``times`` the replicas of those at ``place``."""
    scaled = np.array([name in SCALED for name in objectives.names])
    return costs[place] * np.where(scaled[None, :], times[:, None], 1.0)


def misses(scenario: Scenario, floors: Floors) -> NDArray[np.bool_]:
    """True where every batch of the range misses a limit, however many replicas there are."""
    limits = scenario.limits
    missed = np.zeros(len(np.asarray(floors.tpot_s)), dtype=bool)
    if limits.ttft_s is not None and limits.ttft_statistic in ("mean", "burst"):
        figure = floors.burst_ttft_s if limits.ttft_statistic == "burst" else floors.ttft_s
        missed |= np.asarray(figure > limits.ttft_s)
    if limits.tpot_s is not None:
        missed |= np.asarray(floors.tpot_s > limits.tpot_s)
    return missed
