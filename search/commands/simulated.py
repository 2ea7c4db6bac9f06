"""A simulated plan as ``simulate`` tells of it, whatever kind of plan it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from costmodel.plans import Array
from costmodel.scenario import Scenario
from costmodel.serving.simulation.requests import Requests
from search.base.errors import InputError
from search.inputs.config import read_model, read_scenario
from search.inputs.saved_run import SavedRun
from search.inputs.schema import LimitsConfig
from search.inputs.traffic import in_closed_loop


@dataclass(frozen=True)
class Simulated:
    """The plan in ``words``, what was ``found`` and how it reads (``text``), two files; the figures ``at`` other
    arrivals of the same requests, and the requests a second that it can do at ``most``."""

    words: str
    title: str
    found: dict[str, Any]
    text: str
    requests_csv: str
    picture: str
    at: Callable[[Requests], Mapping[str, Mapping[str, float]]]
    most: Callable[[], float]


def scenario_of(run: SavedRun) -> Scenario:
    """What plans of the run are simulated under."""
    limits = LimitsConfig(memory_fraction=run.config.limits.memory_fraction)  # the others judge, they change nothing
    config = replace(run.config, workload=in_closed_loop(run.config.workload), limits=limits)
    return read_scenario(config, read_model(config.model).architecture)


def check_served(requests: Requests, e2e_s: Array) -> None:
    """``InputError`` where nobody has an answer."""
    if not np.isfinite(e2e_s).any():
        shortest = int((requests.prompt_tokens + requests.answer_tokens).min())
        raise InputError(
            f"workload: none of {len(requests)} requests can be served; the shortest has {shortest} tokens"
        )
