"""Which of many candidates to score: those of which a quick regression of what was scored promises most.

Scoring a trial teaches the regression, so a study proposes what would fill the widest holes of its front instead of any
neighbour of it (pre-screening by a surrogate: Jin, Swarm and Evolutionary Computation 1, 2011).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from costmodel.plans import Array, IntArray

NEAREST = 12  # scored points that a prediction looks at beyond the trend; 30 are no better
NUGGET = 1e-9  # keeps equal distances solvable


@dataclass(frozen=True)
class Known:
    """What was scored: distinct ``places``, ``costs`` to be minimised (infinite where there is none), how far each
    limit is exceeded (0 or less where kept; shape (places, limits)), and the rows of the front."""

    places: IntArray
    costs: Array
    excess: Array
    front: IntArray


def predicted(known: Array, values: Array, asked: Array) -> Array:
    """Of shape (asked, values): a linear trend over all ``known`` points, and what it leaves of each point's ``values``
    interpolated among the nearest ones (kriging with a linear variogram). Each feature counts by its range."""
    low = known.min(axis=0)
    span = np.maximum(known.max(axis=0) - low, 1e-12)
    known, first = np.unique((known - low) / span, axis=0, return_index=True)
    asked, values = (asked - low) / span, values[first]
    trend = np.linalg.lstsq(_with_one(known), values, rcond=None)[0]
    left = values - _with_one(known) @ trend
    return _with_one(asked) @ trend + _kriged(known, left, asked)


def _kriged(known: Array, values: Array, asked: Array) -> Array:
    near = min(NEAREST, len(known))
    away = _distance(asked[:, None], known[None])
    at = np.argsort(away, axis=1, kind="stable")[:, :near]
    system = np.ones((len(asked), near + 1, near + 1))
    system[:, :near, :near] = -_distance(known[at][:, :, None], known[at][:, None]) - NUGGET * np.eye(near)
    system[:, near, near] = 0.0
    right = np.zeros((len(asked), near + 1, values.shape[1]))
    right[:, :near] = values[at]
    toward = np.concatenate([-np.take_along_axis(away, at, axis=1), np.ones((len(asked), 1))], axis=1)
    return np.asarray(np.einsum("nk,nkm->nm", toward, np.linalg.solve(system, right)))


def _distance(a: Array, b: Array) -> Array:
    """Feature by feature: all differences at once are too many to hold."""
    return np.asarray(np.sqrt(sum((a[..., k] - b[..., k]) ** 2 for k in range(a.shape[-1]))))


def _with_one(points: Array) -> Array:
    return np.column_stack([points, np.ones(len(points))])


def most_promising(costs: Array, front: Array, most: int) -> IntArray:
    """Rows of ``costs``, at most ``most``, the best first: one after the other that by which the ``front`` and those
    taken before would have to be moved furthest to dominate it (the additive epsilon indicator: Zitzler and Künzli,
    PPSN VIII, 2004). Each objective counts by its range on the front."""
    low, high = front.min(axis=0), front.max(axis=0)
    span = np.where(high > low, high - low, np.maximum(np.abs(high), 1.0))
    costs, front = costs / span, front / span
    gain = np.full(len(costs), np.inf)
    for point in front:
        gain = np.minimum(gain, (point - costs).max(axis=1))
    taken: list[int] = []
    for _ in range(min(most, len(costs))):
        # what is equal but for rounding must not hang on it: workers of a shared study propose the same
        taken.append(int(np.flatnonzero(gain >= gain.max() - 1e-9)[0]))
        gain = np.minimum(gain, (costs[taken[-1]] - costs).max(axis=1))
        gain[taken] = -np.inf
    return np.array(taken, dtype=np.int64)
