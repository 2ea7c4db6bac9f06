"""Keep the legal plans of a space, and count who was kept out by which rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from costmodel.engine import ENGINES
from costmodel.plans import IntArray, Plans
from search.base.errors import InputError
from search.optimizer.layouts import BUILT_BY, layouts
from search.optimizer.rules.facts import Facts
from search.optimizer.rules.registry import engine_rules, engines_of, general_rules
from search.optimizer.rules.rule import Rule
from search.optimizer.space import ORDER, Space

CHUNK = 1 << 18  # points whose batches are judged at once
BASE = 64  # more than the rules of any engine
MOST_LEGAL = 50_000_000  # plans that are held at once


@dataclass(frozen=True)
class Legal:
    """``index`` of the legal points in the space, ascending; ``engines`` of shape (3, n), which engine takes each (in
    the order of ``ENGINES``); ``removed`` counts points by the first rule that they break. Where any engine will do, a
    point that all refuse is counted under the first rule broken in each, joined by `` + ``."""

    space: Space
    index: IntArray
    engines: NDArray[np.bool_]
    removed: dict[str, int]

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def plans(self) -> Plans:
        """All of them; a few are cheaper by ``at``."""
        return self.space.plans(self.index)

    def at(self, places: IntArray) -> Plans:
        """The plans at some places of ``index``."""
        return self.space.plans(self.index[places])

    def places(self, plan: Plans) -> IntArray:
        """The place of one plan, where it is legal in this space; else none."""
        axes = {name: np.asarray(self.space.axes[name]) for name in ORDER}
        found = [np.flatnonzero(axes[name] == getattr(plan, name)[0]) for name in ORDER]
        if any(len(f) == 0 for f in found):
            return np.zeros(0, dtype=np.int64)
        index = self.space.index(np.array(found))
        place = np.searchsorted(self.index, index)
        place = place[place < len(self.index)]
        return place[self.index[place] == index]

    def layout(self, places: Any = slice(None)) -> IntArray:
        """The number of the layout (all axes but the batch, which is the fastest) of the plans at ``places``."""
        return self.index[places] // len(self.space.axes["batch"])

    @cached_property
    def starts(self) -> IntArray:
        """The place of each layout's first plan."""
        return np.flatnonzero(np.diff(self.layout(), prepend=-1))


class NoLegalPlan(InputError):
    """No point of the space is a legal plan for an engine."""

    def __init__(self, size: int, engine: str, model: str, removed: dict[str, int]) -> None:
        self.size, self.engine, self.model = size, engine, model
        most = max(removed.items(), key=lambda item: item[1])
        # The layouts that exist say more than those that do not: their own rule is named too.
        general = {rule.name for rule in general_rules()}
        taken = {name: n for name, n in removed.items() if name not in general}
        last = max(taken.items(), key=lambda item: item[1], default=None)
        refused = f"; of those that exist {last[0]} refuses {last[1]}" if last and last != most else ""
        self.why = f"rule {most[0]} removed most ({most[1]}){refused}"
        super().__init__(
            f"space: none of its {size} points is a legal plan for engine {engine!r} and model {model!r}; {self.why}"
        )


def first_broken(rules: list[Rule], plans: Plans, facts: Facts) -> IntArray:
    """Index of the first rule that each plan breaks, ``len(rules)`` where it keeps all.

    Later rules may assume the earlier ones (they divide by derived degrees), so only their verdict on kept plans
    counts.
    """
    broken = np.full(len(plans), len(rules), dtype=np.int64)
    with np.errstate(divide="ignore", invalid="ignore"):
        for i, rule in enumerate(rules):
            undecided = broken == len(rules)
            if not undecided.any():
                break
            kept = rule.keeps(plans, facts)
            broken[undecided & ~kept] = i
    return broken


def legal_plans(space: Space, facts: Facts, engine: str, most: int | None = None) -> Legal:
    """The legal plans; ``engine`` is one of ``ENGINES`` or ``any``. ``InputError`` where there are more than ``most``.

    Layouts are built, not looked for (``search.optimizer.layouts``), and the rules that do not read the batch judge
    each once."""
    wanted = engines_of(engine)
    general, refused = _none(general_rules()), np.zeros(0, dtype=np.int64)
    pieces = [(np.zeros(0, dtype=np.int64), np.zeros((len(ENGINES), 0), dtype=bool))]
    found = 0
    for index, takes, codes in _judged(space, facts, wanted, general):
        pieces.append((index, takes))
        found += len(index)
        refused = _sum(refused, codes)
        if found > MOST_LEGAL:
            raise InputError(f"space: more than {MOST_LEGAL} legal plans of {space.size} points; take fewer values")
    if most is not None and found > most:
        raise InputError(
            f"strategy.exact_limit: {most} is below the {found} legal plans of {space.size} points; raise it or choose "
            "another strategy"
        )
    index = np.concatenate([index for index, _ in pieces])
    removed = {name: n for name, n in general.items() if n} | _names_of(refused, wanted)
    return Legal(space, index, np.concatenate([takes for _, takes in pieces], axis=1), removed)


def _judged(
    space: Space, facts: Facts, wanted: tuple[str, ...], general: dict[str, int]
) -> Iterator[tuple[IntArray, NDArray[np.bool_], IntArray]]:
    """Piece by piece: legal points, which engines take them, and refused ones counted by code (``_codes``).
    ``general`` is added to."""
    batches = np.array(space.axes["batch"], dtype=np.int64)
    step = max(CHUNK // len(batches), 1)
    later = general_rules()[len(BUILT_BY) :]
    for piece in layouts(space, facts):
        broken = first_broken(later, piece.plans, facts)
        for name, n in piece.removed.items():
            general[name] += n * len(batches)
        for i, rule in enumerate(later):
            general[rule.name] += int(np.count_nonzero(broken == i)) * len(batches)
        kept = np.flatnonzero(broken == len(later))
        for start in range(0, len(kept), step):
            rows = kept[start : start + step]
            plans = piece.plans.take(rows)
            verdicts = {name: _verdicts(engine_rules(name), plans, batches, facts) for name in ENGINES}
            takes = np.stack([verdicts[name] == len(engine_rules(name)) for name in ENGINES])
            legal = np.any(takes[[ENGINES.index(name) for name in wanted]], axis=0)
            codes = np.bincount(_codes([verdicts[name][~legal] for name in wanted]))
            row, batch = np.nonzero(legal)
            yield piece.places[rows[row]] * len(batches) + batch, takes[:, row, batch], codes


def _verdicts(rules: list[Rule], plans: Plans, batches: IntArray, facts: Facts) -> IntArray:
    """Shape (layouts, batches): index of the first rule broken, ``len(rules)`` where all are kept."""
    plain = [rule for rule in rules if not rule.reads_batch]
    place = np.array([i for i, rule in enumerate(rules) if not rule.reads_batch] + [len(rules)])
    first = place[first_broken(plain, plans, facts)]
    verdicts = np.repeat(first[:, None], len(batches), axis=1)
    for i, rule in enumerate(rules):
        open_ = np.flatnonzero(first > i) if rule.reads_batch else ()
        if len(open_):
            each = plans.take(np.repeat(open_, len(batches)))
            kept = rule.keeps(replace(each, batch=np.tile(batches, len(open_))), facts)
            rows = verdicts[open_]
            verdicts[open_] = np.where(kept.reshape(rows.shape), rows, np.minimum(rows, i))
    return verdicts


def _none(rules: list[Rule]) -> dict[str, int]:
    return {rule.name: 0 for rule in rules}


def _codes(verdicts: list[IntArray]) -> IntArray:
    """One number for the first rule broken in each of the wanted engines; ascending as the tuples are."""
    code = np.zeros(len(verdicts[0]), dtype=np.int64)
    for each in verdicts:
        code = code * BASE + each
    return code


def _names_of(counts: IntArray, wanted: tuple[str, ...]) -> dict[str, int]:
    removed: dict[str, int] = {}
    for code in np.flatnonzero(counts):
        broken = [int(code) // BASE ** (len(wanted) - 1 - k) % BASE for k in range(len(wanted))]
        key = " + ".join(dict.fromkeys(engine_rules(e)[i].name for e, i in zip(wanted, broken, strict=True)))
        removed[key] = removed.get(key, 0) + int(counts[code])
    return removed


def _sum(a: IntArray, b: IntArray) -> IntArray:
    """Counts of either length."""
    total = np.zeros(max(len(a), len(b)), dtype=np.int64)
    total[: len(a)] += a
    total[: len(b)] += b
    return total


def why_not(plans: Plans, facts: Facts) -> list[dict[str, str | None]]:
    """For each plan, the first rule broken: under ``layout`` if it does not exist at all, then by engine; ``None``
    where it is taken."""
    layout = _names(general_rules(), plans, facts)
    refusals = {engine: _names(engine_rules(engine), plans, facts) for engine in ENGINES}
    return [
        {"layout": broken, **{engine: broken or names[i] for engine, names in refusals.items()}}
        for i, broken in enumerate(layout)
    ]


def _names(rules: list[Rule], plans: Plans, facts: Facts) -> list[str | None]:
    """The first of the rules that each plan breaks."""
    names = [*(rule.name for rule in rules), None]
    return [names[i] for i in first_broken(rules, plans, facts)]
