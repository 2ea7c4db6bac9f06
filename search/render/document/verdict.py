"""What is said of one claim, or of several claims together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from search.render.document.spans import HOLDS, ROOM
from search.render.document.view import Values

OTHERWISE: Literal["only under another reading"] = "only under another reading"
CONTRADICTS: Literal["contradicts"] = "contradicts"
NOT_JUDGED: Literal["not judged"] = "not judged"
GOOD = (HOLDS, ROOM)
FAILING = ("fails", CONTRADICTS, OTHERWISE)
MOST_NAMED = 4  # failing claims that the first page names


@dataclass(frozen=True)
class Verdict:
    """``claim`` is a figure's name, or a relation that must hold between claims, layout and hardware. ``derived`` is
    what follows from the inputs and ``low`` to ``high`` what a claim of it may be (``None`` for a relation);
    ``reading`` names the reading that the verdict rests on, ``otherwise`` its value where it is another one.
    ``arithmetic`` says how they come about, and where a claim fails, what else was tried. ``figure`` names the column
    whose unit the values have, ``concerns`` the claims and degrees that a relation ties. ``impossible``: the claim
    beats the physical limit."""

    claim: str
    claimed: float
    derived: float
    verdict: Literal["holds", "holds, with room", "fails", "only under another reading", "contradicts", "not judged"]
    reading: str
    arithmetic: str
    figure: str
    low: float | None = None
    high: float | None = None
    concerns: tuple[str, ...] = ()
    impossible: bool = False
    otherwise: float | None = None

    @property
    def good(self) -> bool:
        return self.verdict in GOOD

    @property
    def is_relation(self) -> bool:
        return bool(self.concerns)

    def values(self) -> Values:
        """What a document shows of it, under flat keys."""
        names = ("claim", "claimed", "derived", "verdict", "reading", "arithmetic", "figure")
        values: Values = {name: getattr(self, name) for name in names}
        if self.low is not None and self.high is not None:
            values |= {"low": self.low, "high": self.high}
        return values
