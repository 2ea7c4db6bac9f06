"""The chance that the caches of the requests in flight outgrow the memory.

Those inside are met at a random moment: a long answer more often than a short one, each as far as it has come. Their
number N and the tokens H of each are random, so the sum has the mean E(N) E(H) and the variance E(N) Var(H) + Var(N)
E(H)^2 (Feller, An Introduction to Probability Theory I, 1968, ch. XII), and is taken for a gamma variable.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from costmodel.plans import Array
from costmodel.serving.mix import Mix


def held_tokens(mix: Mix, *, reserved: bool) -> tuple[float, float]:
    """Tokens of a request in flight, and their square, in the mean; ``reserved``: with all of its answer."""
    return (mix["kept"], mix["kept2"]) if reserved else (mix["held"], mix["held2"])


def overflow_risk(mix: Mix, inside: Any, spread: Any, most: Any, tokens: Any, *, reserved: bool) -> Array:
    """Shape (plans,): the chance that a group's cache of ``tokens`` is too small for those inside. Of a group
    ``inside`` in the mean, of variance ``spread`` times that and never more than ``most``."""
    from scipy.special import gammaincc

    mean, square = held_tokens(mix, reserved=reserved)
    inside = np.minimum(inside, most)
    variance = np.minimum(spread * inside, inside * (most - inside))  # Bhatia and Davis: of a bounded variable
    total = np.maximum(inside * mean, 1e-9)
    spread_tokens = np.maximum(inside * (square - mean**2) + variance * mean**2, 1e-6 * total**2)
    shape = total**2 / spread_tokens
    chance = np.zeros_like(shape)
    some = np.flatnonzero(most * mix["longest"] > tokens)
    chance[some] = gammaincc(shape[some], (shape * np.maximum(tokens, 0.0) / total)[some])
    return chance
