"""A finite backlog of equally long requests, served until none is left: which passes an engine runs.

All requests wait at the start, so the order of passes follows from counting alone, and their seconds are added
afterwards. Each pass decodes one token of everybody inside and fills what is left of the token budget with waiting
prompts, as long as there are seats (TensorRT-LLM's in-flight batching, GUARANTEED_NO_EVICT; vLLM's and SGLang's
schedulers do the same here, since no request ever comes too late). Requests that were admitted together end together,
so the number inside rises in steps, stays, and falls at the end: that tail, and a last wave that is not full, are what
a steady state does not know.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from costmodel.plans import Array

CRUMB = 1e-6  # requests: what rounding leaves of a cohort


@dataclass(frozen=True)
class Passes:
    """Passes of one attention group by kind, arrays of shape (kinds,): ``count`` of them, with ``decodes`` sequences
    that decode and ``prompts`` prompts (a chunk is a fraction of one)."""

    count: Array
    decodes: Array
    prompts: Array


def passes(requests: float, seats: float, budget: float, prompt: float, decodes: int) -> Passes:
    """``requests`` of ``prompt`` new tokens and ``decodes`` decode steps each; ``seats`` inside at once; ``budget`` new
    tokens a pass. Decodes may fill the budget; a prompt then still moves on by one token's share."""
    waiting, inside, now = float(requests), 0.0, 0
    cohorts: deque[tuple[float, int]] = deque()  # size, and the pass after which it is done
    seen: dict[tuple[float, float], int] = {}

    def run(steps: int, prompts: float) -> None:
        key = (round(inside, 3), round(prompts, 4))
        seen[key] = seen.get(key, 0) + steps

    while waiting > CRUMB or cohorts:
        admitted = min(waiting, seats - inside, max(budget - inside, 1.0) / prompt)
        if admitted < min(1.0, waiting) and seats - inside < 1.0 and cohorts:
            admitted = 0.0  # a seat is free when a whole one is
        if admitted > CRUMB:
            run(1, admitted)
            now += 1
        else:
            ahead = cohorts[0][1] - now
            run(ahead, 0.0)
            now += ahead
        while cohorts and cohorts[0][1] <= now:
            inside -= cohorts.popleft()[0]
        if admitted > CRUMB:
            waiting -= admitted
            if decodes:
                inside += admitted
                cohorts.append((admitted, now + decodes))
    kinds = np.array([(count, *key) for key, count in seen.items()], dtype=float).reshape(-1, 3)
    return Passes(kinds[:, 0], kinds[:, 1], kinds[:, 2])
