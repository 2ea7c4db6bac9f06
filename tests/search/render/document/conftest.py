"""Outcomes that several tests read, each searched once."""

from __future__ import annotations

import pytest
from document_cases import dense_case, latent_case, worked_case

from search.optimizer.outcome import Outcome


@pytest.fixture(scope="session")
def worked() -> Outcome:
    return worked_case()


@pytest.fixture(scope="session")
def priced() -> Outcome:
    """The worked case with a price and a power, so that every figure is known."""
    return worked_case(**{"hardware.price_per_hour": 2.5, "hardware.power_w": 550.0})


@pytest.fixture(scope="session", params=["worked", "dense", "latent"])
def any_outcome(request: pytest.FixtureRequest) -> Outcome:
    return {"worked": worked_case, "dense": dense_case, "latent": latent_case}[request.param]()
