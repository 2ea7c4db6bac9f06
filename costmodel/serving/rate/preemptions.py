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

from costmodel.plans import Array, IntArray, grouped
from costmodel.serving.mix import Mix
from costmodel.serving.rate.load import Load
from costmodel.serving.rate.overflow import overflow_risk
from costmodel.serving.rate.roots import root
from costmodel.serving.rate.steps import Server, steps

RARELY = 1e-3  # a chance of a full cache below which the capacity is as it was
ROUNDS, CLOSE = 8, 1e-4  # of regula falsi for the capacity of a full cache, at most


def sent_back(mix: Mix, full: Any) -> Any:
    """Times that a request is sent back in the mean, where the cache is ``full`` for that share of the time."""
    return full * mix["decodes"] / mix["prompt"]


def full_at_capacity(server: Server, wanted: Any, tokens: Any) -> Array:
    """Chance that the cache of ``tokens`` a group is full when a plan has all seats taken: always, where it holds fewer
    than the ``wanted`` ones."""
    full = np.ones(len(wanted))
    rows = np.flatnonzero(server.seats >= wanted)
    most = wanted[rows]
    full[rows] = overflow_risk(server.mix, most, 1.0, most, tokens[rows], reserved=False)
    return full


def capacity_with_preemptions(server: Server, load: Load, carried: Array, full: Array) -> Array:
    """Requests a second of a replica, shape (plans,), ``carried`` without any. Batches of a layout that its memory cuts
    down to the same seats are the same server, worked out once."""
    found = carried.copy()
    asked = np.flatnonzero((full > RARELY) & (carried > 0.0))
    if not len(asked):
        return found
    alike = np.where(full[asked] < 1.0, -1.0 - asked, server.kinds[asked])
    first, which = grouped(alike)
    rows = asked[first]
    some, part, times = server.take(rows), load.take(rows), 1.0 + sent_back(load.mix, full[rows])

    def room(gap_s: Array, at: IntArray) -> Array:
        one = some.take(at)
        now = steps(one, part.take(at).at(times[at] / gap_s), one.seats, full=True)
        return one.pooled * gap_s / now.stay_s(load.mix) - 1.0

    # Nearly a straight line in the seconds between requests, of which ``times`` as many are enough.
    low, high, every = 1.0 / carried[rows], times / carried[rows], np.arange(len(rows))
    gap_s = root(room, low, high, room(low, every), room(high, every), ROUNDS, CLOSE)
    found[asked] = np.minimum(1.0 / gap_s, carried[rows])[which]
    return found
