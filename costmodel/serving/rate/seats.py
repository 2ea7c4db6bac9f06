"""How many requests are in a replica, and how long one waits for a seat.

Requests come at rate L and stay for L0 + L1 n seconds where n are inside, since steps grow with those that decode. As a
birth and death process, n is then negative binomial up to the seats c,

    p(n) ~ C(n + r, n) q^n,      q = L L1,  r = L0 / L1

(births at L, deaths at n / (L0 + L1 n); Poisson where L1 is 0, a single fast server where L0 is), and beyond them
each further one waits: p falls by L (L0 + L1 c) / c. Arrivals that are not at random make n more or less variable by
the peakedness z = 1 + (ca^2 - 1) E(min(S, S')) / E(S) (Eckberg, Teletraffic Congress 10, 1983), counts and seats
being divided by it (Hayward's approximation: Fredericks, Bell System Technical Journal 59, 1980), and requests that
come out of their prefill in clusters (``crowd``) likewise: of the state c, in units of that size, but one part is below
c seats. Arrivals that are more even than random find fewer inside than there are in the mean: the chance to wait is
smaller by the factor of Kraemer and Langenbach-Belz (Teletraffic Congress 8, 1976) to the 1 / (c + 1). Who waits does
so for an exponential time: that of GI/M/c (``behind``; Kleinrock, Queueing Systems I, 1975, ch. 6), times (ca^2 +
cs^2) / (ca^2 + 1) for other services (Allen and Cunneen: Allen, Probability, Statistics and Queueing Theory, 1978), and
for even ones the more, the more seats there are (Cosmetatos, Operational Research Quarterly 27, 1976); less where they
vary more than the gaps, since a short one soon leaves a seat (Whitt, Production and Operations Management 2, 1993: part
of the wait is that of D/M/m). Where each of g groups has a queue and the next request gets the shortest, it finds a
g-th of those that wait before it and every g-th seat that becomes free: g S / c (1 - s^g) in the place of S / c (1 - s)
(Nelson and Philips, SIGMETRICS 1989, of single servers). Tests set it against the recursion of Kiefer and Wolfowitz.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.serving.rate.knots import power
from costmodel.serving.rate.load import Load, peakedness

LEAST_SHARE = 1e-4  # of the stay that depends on the others: below it n is as good as Poisson
MOST_BUSY = 0.9999
START, NEWTON = 2.6, 5
SURE = -25.0  # logarithm of the chance of c inside, below which there are fewer for certain


@dataclass(frozen=True)
class Seats:
    """Of shape (plans,): ``chance`` that an arrival waits for a seat, ``wait_s`` seconds that those that wait do in the
    mean, chance that an arrival that need not wait finds ``nobody``, ``spread``: variance of the number inside over its
    mean."""

    chance: Any
    wait_s: Any
    nobody: Any
    spread: Any


def seats(
    load: Load,
    count: Any,
    groups: Any,
    inside: Any,
    stay_s: Any,
    full_stay_s: Any,
    rest: float,
    work: Any,
    clustered: Any = 0.0,
) -> Seats:
    """``count`` seats of a replica; who meets ``inside`` stays for ``stay_s``, where all seats are taken for
    ``full_stay_s``. ``rest``: E(min) / E of two stays; ``work``: the squared coefficient of variation of what lies
    between two that leave full seats, times their number; ``clustered``: E(X (X - 1)) / E(X) of clusters, ``rest`` of
    it."""
    from scipy.special import betainc, gammaln

    gap, rate = load.gap, load.rate
    slope = np.maximum((full_stay_s - stay_s) / np.maximum(count - inside, 1e-9), 0.0)
    slope = np.maximum(slope, LEAST_SHARE * stay_s / count)
    level = np.maximum(stay_s - slope * inside, LEAST_SHARE * stay_s)
    peaked = np.maximum(peakedness(gap, rest) + clustered, 0.05)
    q = np.minimum(rate * slope, MOST_BUSY)
    r = level / slope / peaked
    c = count / peaked
    idle = (r + 1.0) * np.log1p(-q)
    log_at_c = gammaln(c + r + 1.0) - gammaln(r + 1.0) - gammaln(c + 1.0) + c * np.log(q) + idle
    below = np.ones_like(log_at_c)  # fewer than c
    few = np.flatnonzero(log_at_c > SURE)
    below[few] = betainc(r[few] + 1.0, c[few], 1.0 - q[few])
    busy = np.minimum(rate * full_stay_s / count, MOST_BUSY)
    several = np.minimum(
        (count - 1.0) * (np.sqrt(4.0 + 5.0 * count) - 2.0) * (1.0 - busy) / (16.0 * busy * count), 0.24
    )
    varied = (gap + work + np.maximum(1.0 - work, 0.0) * several) / (1.0 + gap)
    light = (1.0 - 4.0 * several) * np.exp(-2.0 * (1.0 - busy) / (3.0 * busy))
    varied = varied * (1.0 - np.maximum(work - gap, 0.0) / (2.0 * (work + gap + 1e-9)) * (1.0 - light))
    at_c = np.exp(log_at_c)
    tail = at_c * (1.0 / (1.0 + clustered) + busy / (1.0 - busy))
    below = below + at_c * clustered / (1.0 + clustered)
    chance = tail / np.maximum(below + tail, 1e-300)
    slack = 1.0 - busy
    if not load.random:
        late = 2.0 * np.maximum(1.0 - gap, 0.0) ** 2 / (3.0 * busy * np.maximum(gap + work, 1e-9)) * slack
        chance = chance * np.exp(-late / (count + 1.0))
        slack = behind(busy, gap)
    wait = full_stay_s * groups / count / (1.0 - power(1.0 - slack, groups)) * varied
    none = np.exp(idle) / np.maximum(below, 1e-300)
    return Seats(chance, wait, power(np.minimum(none, 1.0), load.bunching(inside)), peaked / (1.0 - q))


def behind(busy: Any, gap: Any) -> Any:
    """1 - s where s is the root of s = E(exp(-(1 - s) A / B)) below 1, of gaps A of a gamma distribution and services
    B of which there are ``busy`` in one: by Newton's method from near where it is for a server that is nearly full."""
    gap = np.maximum(gap, 1e-3)
    x = np.minimum(START * (1.0 - busy) / (1.0 + gap), 1.0)
    for _ in range(NEWTON):
        base = 1.0 + gap * x / busy
        power = np.exp(np.log(base) / -gap)
        x = x - (power + x - 1.0) / np.maximum(1.0 - power / base / busy, 1e-3)
    return np.maximum(x, 1.0 - MOST_BUSY)
