"""The normal distribution's integral, without SciPy's special functions, which take longer to import than a search to
score its plans.

The approximations are those of Cephes (S. L. Moshier, Methods and Programs for Mathematical Functions, 1989, ndtr.c),
which ``scipy.special.ndtr`` evaluates too: the result is the same to the last bit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from costmodel.plans import Array

FARTHEST = 8.0  # standard deviations: the approximation of the tail holds until 8 sqrt(2)
# erf(x) = x T(x^2) / U(x^2) below 1; erfc(x) = exp(-x^2) P(x) / Q(x) above. Highest power first; U and Q begin with 1.
T = (9.60497373987051638749e0, 9.00260197203842689217e1, 2.23200534594684319226e3, 7.00332514112805075473e3,
     5.55923013010394962768e4)  # fmt: skip
U = (1.0, 3.35617141647503099647e1, 5.21357949780152679795e2, 4.59432382970980127987e3, 2.26290000613890934246e4,
     4.92673942608635921086e4)  # fmt: skip
P = (2.46196981473530512524e-10, 5.64189564831068821977e-1, 7.46321056442269912687e0, 4.86371970985681366614e1,
     1.96520832956077098242e2, 5.26445194995477358631e2, 9.34528527171957607540e2, 1.02755188689515710272e3,
     5.57535335369399327526e2)  # fmt: skip
Q = (1.0, 1.32281951154744992508e1, 8.67072140885989742329e1, 3.54937778887819891062e2, 9.75708501743205489753e2,
     1.82390916687909736289e3, 2.24633760818710981792e3, 1.65666309194161350182e3,
     5.57535340817727675546e2)  # fmt: skip


def _polynomial(x: Array, coefficients: tuple[float, ...]) -> Array:
    value = x * coefficients[0] + coefficients[1]
    for coefficient in coefficients[2:]:
        value = value * x + coefficient
    return value


def _middle(x: Array) -> Array:
    squared = x * x
    return 0.5 + 0.5 * (x * _polynomial(squared, T) / _polynomial(squared, U))


def _tail(x: Array) -> Array:
    size = np.abs(x)
    # NumPy's exp differs from the C library's in the last bit of some results.
    falling = np.fromiter(map(math.exp, (-(x * x)).tolist()), float, len(x))
    above = 0.5 * (falling * _polynomial(size, P) / _polynomial(size, Q))
    return np.where(x > 0.0, 1.0 - above, above)


def normal_cdf(deviations: Any) -> Array:
    """The probability below so many standard deviations, which beyond ``FARTHEST`` are taken as ``FARTHEST``."""
    x = np.clip(np.asarray(deviations, dtype=float), -FARTHEST, FARTHEST) * math.sqrt(0.5)
    values, place = np.unique(x, return_inverse=True)  # the farthest stand for many
    middle = np.abs(values) < 1.0
    found = np.empty_like(values)
    found[middle] = _middle(values[middle])
    found[~middle] = _tail(values[~middle])
    return found[place].reshape(x.shape)
