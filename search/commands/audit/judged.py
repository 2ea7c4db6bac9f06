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
        side = "as predicted"
        if name in open_figures:
            side = NOT_JUDGED
        elif not low <= value <= high:
            above = value > high
            side = "more" if above else "less"
            if name in (*lower, *higher):
                side = "better" if above == (name in higher) else "worse"
        found.append(Measured(name, value, derived, low, high, side))
    return tuple(found)
