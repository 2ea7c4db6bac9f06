"""What is said where a flag changes figures that the model has no term for, and of what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from search.render.document.case import Case, Meaning
from search.render.document.verdict import NOT_JUDGED, Verdict

__all__ = ["NOT_JUDGED", "Measured", "judged", "measured"]


def judged(
    verdicts: Sequence[Verdict], relations: Sequence[Verdict], open_figures: Mapping[str, str]
) -> tuple[tuple[Verdict, ...], tuple[Verdict, ...]]:
    """Claims of figures that a flag changes are not judged, neither alone nor against others."""
    kept = [r for r in relations if not set(r.concerns) & set(open_figures)]
    told = [
        replace(
            v, verdict=NOT_JUDGED, impossible=False, otherwise=None,
            arithmetic=f"{open_figures[v.claim]} changes it, which is not modelled; without it {v.arithmetic}",
        )
        if v.claim in open_figures
        else v
        for v in verdicts
    ]  # fmt: skip
    return tuple(told), tuple(kept)


@dataclass(frozen=True)
class Measured:
    """A figure that somebody measured beside what is derived. ``side``: ``as predicted``, ``better`` or ``worse`` than
    the interval, ``not judged``; of sizes ``more`` and ``less``."""

    figure: str
    value: float
    derived: float
    low: float
    high: float
    side: str

    @property
    def flagged(self) -> bool:
        """Whether it is far from what is predicted, either way."""
        return self.side not in ("as predicted", NOT_JUDGED)


def measured(
    given: Mapping[str, float], case: Case, lower: Sequence[str], higher: Sequence[str], open_figures: Mapping[str, str]
) -> tuple[Measured, ...]:
    """``lower`` figures are better the lower they are, ``higher`` the higher; the others are sizes and shares."""
    found = []
    for name, value in given.items():
        derived = case.score(name)
        low, high = case.span(name, Meaning("", derived, ""))
        best = "high" if name in higher else "low" if name in lower else ""
        side = NOT_JUDGED if name in open_figures else side_of(value, low, high, best)
        found.append(Measured(name, value, derived, low, high, side))
    return tuple(found)


def side_of(value: float, low: float, high: float, best: str) -> str:
    """Where a ``value`` lies beside its interval; ``best`` if it is ``low`` or ``high``, or empty for sizes."""
    if low <= value <= high:
        return "as predicted"
    above = value > high
    if not best:
        return "more" if above else "less"
    return "better" if above == (best == "high") else "worse"
