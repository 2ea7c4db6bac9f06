"""How many requests are in a replica, and how long one waits for a seat.

Requests come at rate L and stay for L0 + L1 n seconds where n are inside, since steps grow with those that decode. As a
birth and death process, n is then negative binomial up to the seats c,

    p(n) ~ C(n + r, n) q^n,      q = L L1,  r = L0 / L1

(births at L, deaths at n / (L0 + L1 n); Poisson where L1 is 0, a single fast server where L0 is), and beyond them each
further one waits: p falls by L (L0 + L1 c) / c. Arrivals that are not at random make n more or less variable by the
peakedness z = 1 + (ca^2 - 1) E(min(S, S')) / E(S) (Eckberg, Teletraffic Congress 10, 1983), counts and seats being
divided by it (Hayward's approximation: Fredericks, Bell System Technical Journal 59, 1980). Who waits does so for
an exponential time of mean (ca^2 + cs^2) / 2 times that of the Markovian server (Allen, Probability, Statistics and
Queueing Theory, 1978: the formula of Allen and Cunneen; Kingman 1961 in heavy traffic).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import betainc, gammaln

from costmodel.serving.rate.steps import bunching

LEAST_SHARE = 1e-4  # of the stay that depends on the others: below it n is as good as Poisson


@dataclass(frozen=True)
class Seats:
    """Of shape (plans,): chance that an arrival waits for a seat, seconds that those that wait do in the mean, chance
    that it finds nobody, variance of the number inside over its mean."""

    chance: Any
    wait_s: Any
    nobody: Any
    spread: Any


def seats(rate: Any, gap: Any, count: Any, inside: Any, stay_s: Any, full_stay_s: Any, last_stay_s: Any, rest: Any, work: Any, groups: Any) -> Seats:
    """``count`` seats; ``inside`` requests in the mean if seats are no matter, each for ``stay_s``, and ``full_stay_s``
    where all seats are taken. ``rest``: E(min) / E of two stays; ``work``: a stay's squared coefficient of variation.
    """
    slope = np.maximum((full_stay_s - stay_s) / np.maximum(count - inside, 1e-9), 0.0)
    slope = np.maximum(slope, LEAST_SHARE * stay_s / np.maximum(count, 1.0))
    level = np.maximum(stay_s - slope * inside, LEAST_SHARE * stay_s)
    peaked = np.maximum(1.0 + (gap - 1.0) * rest * (1.0 - 1.0 / np.maximum(count, 1.0)), 0.05)
    q = np.minimum(rate * slope, 0.9999)
    r = level / slope / peaked
    c = np.maximum(count / peaked, 1e-3)
    log_pmf = gammaln(c + r + 1.0) - gammaln(r + 1.0) - gammaln(c + 1.0) + c * np.log(q) + (r + 1.0) * np.log1p(-q)
    below = betainc(r + 1.0, np.maximum(c, 1e-9), 1.0 - q)  # at most c - 1
    busy = np.minimum(rate * last_stay_s / count, 0.9999)
    tail = np.exp(log_pmf) / (1.0 - busy)
    chance = tail / np.maximum(below + tail, 1e-300)
    each = count / groups
    wait = last_stay_s / count / (1.0 - busy) * (gap + work) / 2.0
    # It waits for a seat of its own group, not for the first one of all.
    wait = wait + (last_stay_s / each - last_stay_s / count) * (1.0 + work) / 2.0
    few = np.where(
        gap < 1.0,
        2.0 * (1.0 - busy) / (3.0 * busy) * (1.0 - gap) ** 2 / np.maximum(gap + work, 1e-9),
        (1.0 - busy) * (gap - 1.0) / (gap + 4.0 * work),
    )
    chance = chance * np.exp(-few / np.maximum(count, 1.0))
    none = np.exp((r + 1.0) * np.log1p(-q)) / np.maximum(below, 1e-300)
    return Seats(chance, wait, np.minimum(none, 1.0) ** bunching(inside, gap), peaked / (1.0 - q))
