"""What a model may be given: so many replicas of one plan in a pool, or in two, and the share of its traffic that they
carry when as many fail as may."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from costmodel.plans import Array, IntArray
from search.optimizer.fleet.replicas import Replica

MOST_PARTIAL = 500  # pairs of a model in two pools that carry a part of its traffic
EVEN = 1.0 - 1e-9  # of the wanted rate: rounding is no reason for another replica


@dataclass(frozen=True)
class Deployment:
    """``count`` equal replicas in a pool (its number) carry ``requests_per_s`` when ``spare`` of them are lost."""

    pool: int
    replica: Replica
    count: int
    spare: int
    requests_per_s: float

    @property
    def gpus(self) -> int:
        return self.count * self.replica.gpus


@dataclass(frozen=True)
class Choices:
    """Rows, the first of which is nothing: ``gpus`` of shape (n, pools), ``share`` of the traffic served, from 0 to 1.
    ``kind``: which pools it takes, numbered as they come; rows of a kind stand together, ascending in share."""

    name: str
    gpus: IntArray
    share: Array
    kind: IntArray
    deployments: tuple[tuple[Deployment, ...], ...]

    def __len__(self) -> int:
        return len(self.share)


def lost(replica_gpus: int, failures: int, failing: str, node: int) -> int:
    """Replicas of a deployment that so many failures take with them at most: a node takes all that it holds."""
    return failures * (max(node // replica_gpus, 1) if failing == "node" else 1)


def stairs(
    pool: int, kinds: Sequence[Replica], wanted: float, most: int, failures: int, failing: str, node: int
) -> list[Deployment]:
    """Deployments of ascending size that no smaller one equals, up to the first that carries ``wanted``; the last of
    them is that one where ``most`` accelerators are enough."""
    found: list[Deployment] = []
    for replica in kinds:
        spare = lost(replica.gpus, failures, failing, node)
        needed = int(np.ceil(EVEN * wanted / replica.carried)) if replica.carried > 0.0 else 0
        last = min(spare + needed, most // replica.gpus)
        for count in range(spare + 1, last + 1):
            found.append(Deployment(pool, replica, count, spare, (count - spare) * replica.carried))
    found.sort(key=lambda d: (d.gpus, -d.requests_per_s, d.replica.gpus))
    kept: list[Deployment] = []
    for deployment in found:
        if not kept or deployment.requests_per_s > kept[-1].requests_per_s:
            kept.append(deployment)
            if deployment.requests_per_s >= EVEN * wanted:
                break
    return kept


def choices(name: str, wanted: float, each: Sequence[Sequence[Deployment]], pools: int) -> Choices:
    """``each``: the stairs of a model by pool. It may be served in one pool or in two, whole or in part."""
    kinds: list[list[tuple[Deployment, ...]]] = [[()]]
    kinds += [[(d,) for d in found] for found in each]
    kinds += [_together(a, b, wanted) for a, b in combinations(each, 2)]
    rows = [row for kind in kinds for row in kind]
    gpus = np.zeros((len(rows), pools), dtype=np.int64)
    for i, row in enumerate(rows):
        for d in row:
            gpus[i, d.pool] += d.gpus
    used = [kind for kind in kinds if kind]
    number = np.repeat(np.arange(len(used)), [len(kind) for kind in used])
    share = np.array([share_of(row, wanted) for row in rows])
    return Choices(name, gpus, share, number, tuple(rows))


def share_of(given: Sequence[Deployment], wanted: float) -> float:
    """Of the wanted rate that deployments carry together."""
    carried = sum(d.requests_per_s for d in given)
    return 1.0 if carried >= EVEN * wanted else carried / wanted


def _together(a: Sequence[Deployment], b: Sequence[Deployment], wanted: float) -> list[tuple[Deployment, ...]]:
    """Pairs, ascending in share. Of those that carry all: for each of ``a`` that does not alone, the least of ``b``
    that fills the rest. Of those that do not, all up to ``MOST_PARTIAL``; beyond, those of every few steps of either,
    the largest always among them."""
    whole: list[tuple[Deployment, ...]] = []
    for first in a:
        rest = EVEN * wanted - first.requests_per_s
        second = next((d for d in b if d.requests_per_s >= rest), None)
        if rest <= 0.0 or second is None or second.requests_per_s >= EVEN * wanted:
            continue
        if whole and whole[-1][1] is second:  # more of the first for as much of the second
            continue
        whole.append((first, second))
    part = _partial(a, b, wanted)
    return sorted(part, key=lambda row: share_of(row, wanted)) + whole


def _partial(a: Sequence[Deployment], b: Sequence[Deployment], wanted: float) -> list[tuple[Deployment, ...]]:
    by = 1
    while True:
        some, others = a[::-1][::by], b[::-1][::by]  # the largest first
        found: list[tuple[Deployment, ...]] = [(x, y) for x in some for y in others if share_of((x, y), wanted) < 1.0]
        if len(found) <= MOST_PARTIAL:
            return found
        by += 1
