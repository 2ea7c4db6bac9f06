"""A simulated plan as ``simulate`` tells of it, whatever kind of plan it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.plans import Array
from costmodel.serving.simulation.requests import Requests
from search.base.errors import InputError


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


def check_served(requests: Requests, e2e_s: Array) -> None:
    """``InputError`` where nobody has an answer."""
    if not np.isfinite(e2e_s).any():
        shortest = int((requests.prompt_tokens + requests.answer_tokens).min())
        raise InputError(
            f"workload: none of {len(requests)} requests can be served; the shortest has {shortest} tokens"
        )
