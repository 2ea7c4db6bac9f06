"""What a full cache costs where an answer's room is not reserved: requests that are sent back to the queue.

A cache that is full stays full: what an answer leaves when it ends, prompts that wait take at once. So every token that
is written must be made room for by sending the youngest back, who leaves its prompt and is prefilled again. With E
requests through a second, answers of a tokens and prompts of p, what is written is E a, and

    preemptions a second = E a / p

while the cache is full; the chance that it is full is that of an overflow. Each prompt then comes 1 + a / p times
instead of once, which is less than a saturated server carries otherwise: its capacity is the root of
L stay(L (1 + a / p)) = seats.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from costmodel.plans import Array
from costmodel.serving.mix import Mix
from costmodel.serving.rate.load import Load
from costmodel.serving.rate.overflow import overflow_risk
from costmodel.serving.rate.steps import Server, steps

RARELY = 1e-3  # a chance of a full cache below which the capacity is as it was
ROUNDS = 3  # of regula falsi


def sent_back(mix: Mix, full: Any) -> Any:
    """Times that a request is sent back in the mean, where the cache is ``full`` for that share of the time."""
    return full * mix["decodes"] / mix["prompt"]


def full_at_capacity(server: Server, wanted: Any, tokens: Any) -> Array:
    """Chance that the cache of ``tokens`` a group is full when a plan has all seats taken: always, where it holds fewer
    than the ``wanted`` ones."""
    some = overflow_risk(server.mix, wanted, 1.0, wanted, tokens, reserved=False)
    return np.where(server.seats < wanted, 1.0, some)


def capacity_with_preemptions(server: Server, load: Load, carried: Array, full: Array) -> Array:
    """Requests a second of a replica, shape (plans,), ``carried`` without any."""
    found = carried.copy()
    rows = np.flatnonzero((full > RARELY) & (carried > 0.0))
    if not len(rows):
        return found
    some, part, times = server.take(rows), load.take(rows), 1.0 + sent_back(load.mix, full[rows])

    def room(gap_s: Array) -> Array:
        now = steps(some, part.at(times / gap_s), some.seats, full=True)
        return some.pooled * gap_s / now.stay_s(load.mix) - 1.0

    # Nearly a straight line in the seconds between requests, of which ``times`` as many are enough.
    low, high = 1.0 / carried[rows], times / carried[rows]
    f_low, f_high, last = room(low), room(high), np.zeros_like(low)
    for _ in range(ROUNDS):
        at = np.clip(low - f_low * (high - low) / np.maximum(f_high - f_low, 1e-12), low, high)
        f_at = room(at)
        up = f_at < 0.0
        f_low, f_high = (
            np.where(up, f_at, np.where(last < 0, f_low / 2.0, f_low)),
            np.where(up, np.where(last > 0, f_high / 2.0, f_high), f_at),
        )
        low, high, last = np.where(up, at, low), np.where(up, high, at), np.where(up, 1.0, -1.0)
    found[rows] = 2.0 / (low + high)
    return np.minimum(found, carried)
