"""Measured runs near a plan, in rings: those that share most with it, then those that share less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from search.evidence.near.classes import RunClass, load_classes
from search.evidence.near.likeness import DEGREES, Likeness

SERVED = ("engine", "accelerator", "precision")
# What a ring shares, in words and names, the narrowest first.
RINGS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("model, accelerator, engine, precision and layout", (*SERVED, "model", *DEGREES)),
    ("model, accelerator, engine and precision", (*SERVED, "model")),
    ("kind of model, accelerator, engine and precision", (*SERVED, "kind")),
    ("accelerator and engine", ("engine", "accelerator")),
    ("accelerator, under another engine", ("accelerator",)),
    ("model, on another accelerator", ("model",)),
    ("engine and kind of model, on another accelerator", ("engine", "kind")),
)
LAYOUT, MODEL, KIND = 0, 1, 2


@dataclass(frozen=True)
class Ring:
    """``classes`` that share ``words`` with the plan, those of narrower rings among them, the nearest first."""

    words: str
    classes: tuple[RunClass, ...]

    @property
    def rows(self) -> int:
        return sum(c.rows for c in self.classes)


def rings(like: Likeness, classes: Sequence[RunClass] | None = None) -> list[Ring]:
    """In the order of ``RINGS``; a ring without runs is empty."""
    known = load_classes() if classes is None else classes
    near = sorted(known, key=lambda c: (like.unlike(c.like), c.source != "logs", -c.rows))
    found = [Ring(words, tuple(c for c in near if like.shares(c.like, names))) for words, names in RINGS]
    return found if like.engine is not None else [replace(ring, words=_without_engine(ring.words)) for ring in found]


def _without_engine(words: str) -> str:
    """What a ring shares where the engine is not known."""
    return words.replace("engine and kind", "kind").replace(" engine,", "").replace(", engine and", " and").replace(
        " and engine", ", under any engine"
    )  # fmt: skip


def narrowest(found: Sequence[Ring]) -> Ring | None:
    """The first ring that has runs; ``None`` where nothing like it was measured."""
    return next((ring for ring in found if ring.classes), None)
