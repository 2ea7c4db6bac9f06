"""A root of one function by Brent's method (Algorithms for Minimization Without Derivatives, 1973, ch. 4), step by step
as SciPy's ``brentq`` goes, whose package takes longer to import than a search to score its plans."""

from __future__ import annotations

from collections.abc import Callable

RELATIVE = 4.0 * 2.0**-52
ROUNDS = 100


def root(f: Callable[[float], float], low: float, high: float, close: float) -> float:
    """To within ``close``. ``ValueError`` where ``f`` has the same sign at both ends."""
    before, here, other = low, high, 0.0
    f_before, f_here, f_other = f(low), f(high), 0.0
    step = step_before = 0.0
    if f_before == 0.0:
        return low
    if f_here == 0.0:
        return high
    if (f_before < 0.0) == (f_here < 0.0):
        raise ValueError("the function has the same sign at both ends")
    for _ in range(ROUNDS):
        if f_before != 0.0 and f_here != 0.0 and (f_before < 0.0) != (f_here < 0.0):
            other, f_other = before, f_before
            step = step_before = here - before
        if abs(f_other) < abs(f_here):
            before, here, other = here, other, here
            f_before, f_here, f_other = f_here, f_other, f_here
        delta = (close + RELATIVE * abs(here)) / 2.0
        half = (other - here) / 2.0
        if f_here == 0.0 or abs(half) < delta:
            return here
        tried = _interpolated(before, here, other, f_before, f_here, f_other) if abs(step_before) > delta else None
        if tried is not None and 2.0 * abs(tried) < min(abs(step_before), 3.0 * abs(half) - delta):
            step_before, step = step, tried
        else:
            step_before = step = half
        before, f_before = here, f_here
        here += step if abs(step) > delta else delta if half > 0.0 else -delta
        f_here = f(here)
    raise ValueError(f"no root after {ROUNDS} steps")


def _interpolated(
    before: float, here: float, other: float, f_before: float, f_here: float, f_other: float
) -> float | None:
    """The step to where a line or an inverse parabola through the points is 0; ``None`` where it got no nearer."""
    if abs(f_here) >= abs(f_before):
        return None
    if before == other:
        return -f_here * (here - before) / (f_here - f_before)
    slope, far = (f_before - f_here) / (before - here), (f_other - f_here) / (other - here)
    under = far * slope * (f_other - f_before)
    return -f_here * (f_other * far - f_before * slope) / under if under else None
