"""Outcomes that several tests read, each searched once."""

import pytest
from explain_cases import outcome

from search.optimizer.outcome import Outcome


@pytest.fixture(scope="session")
def worked() -> Outcome:
    return outcome()


@pytest.fixture(scope="session")
def vllm() -> Outcome:
    return outcome("engine=vllm", "limits.tpot_s=0.05", "limits.min_requests_per_s=1", "space.batch=['16:512:48']")
