"""Keep the legal plans of a space, and count who was kept out by which rule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from costmodel.engine import ENGINES
from costmodel.plans import IntArray, Plans
from search.base.errors import InputError
from search.base.progress import track
from search.optimizer.rules.facts import Facts
from search.optimizer.rules.registry import engine_rules, engines_of, general_rules
from search.optimizer.rules.rule import Rule
from search.optimizer.space import Space

CHUNK = 1 << 18


@dataclass(frozen=True)
class Legal:
    """``index`` of the legal points in the space, ascending; ``engines`` of shape (3, n), which engine takes each (in
    the order of ``ENGINES``); ``removed`` counts points by the first rule that they break. Where any engine will do, a
    point that all refuse is counted under the first rule broken in each, joined by `` + ``."""

    index: IntArray
    plans: Plans
    engines: NDArray[np.bool_]
    removed: dict[str, int]

    def __len__(self) -> int:
        return len(self.index)


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
    """Go through the space in chunks; ``engine`` is one of ``ENGINES`` or ``any``. ``InputError`` as soon as there are
    more than ``most``."""
    removed: dict[str, int] = {}
    kept_index, kept_engines = [], []
    wanted = engines_of(engine)
    for start in track(range(0, space.size, CHUNK), "legality"):
        index = np.arange(start, min(start + CHUNK, space.size), dtype=np.int64)
        general = general_rules()
        plans = space.plans(index)
        broken = first_broken(general, plans, facts)
        _count(removed, [r.name for r in general], broken)
        index, plans = index[broken == len(general)], plans.take(broken == len(general))
        verdicts = {name: first_broken(engine_rules(name), plans, facts) for name in ENGINES}
        takes = np.stack([verdicts[name] == len(engine_rules(name)) for name in ENGINES])
        kept = np.any(takes[[ENGINES.index(name) for name in wanted]], axis=0)
        _count_refused(removed, {name: verdicts[name][~kept] for name in wanted})
        kept_index.append(index[kept])
        kept_engines.append(takes[:, kept])
        if most is not None and (found := sum(map(len, kept_index))) > most:
            raise InputError(
                f"strategy.exact_limit: {most} is below the {found} legal plans in the first {start + len(broken)} of "
                f"{space.size} points; raise it or choose another strategy"
            )
    index = np.concatenate(kept_index)
    return Legal(index, space.plans(index), np.concatenate(kept_engines, axis=1), removed)


def _count(removed: dict[str, int], names: list[str], broken: IntArray) -> None:
    for i, name in enumerate(names):
        n = int(np.count_nonzero(broken == i))
        if n:
            removed[name] = removed.get(name, 0) + n


def _count_refused(removed: dict[str, int], verdicts: dict[str, IntArray]) -> None:
    table = np.stack(list(verdicts.values()), axis=1)
    combinations, counts = np.unique(table, axis=0, return_counts=True)
    for combination, n in zip(combinations, counts, strict=True):
        names = [engine_rules(e)[i].name for e, i in zip(verdicts, combination, strict=True)]
        key = " + ".join(dict.fromkeys(names))
        removed[key] = removed.get(key, 0) + int(n)
