"""A search of everything: its front as a table, its count for ``summary.json``, and a line for people."""

from __future__ import annotations

from typing import Any

import numpy as np

from costmodel.engine import ENGINES
from search.optimizer.full.found import FullFound
from search.optimizer.space import ORDER
from search.render.tables import header, plan_columns

FULL = "full.csv.gz"
VARIED = ("max_batched_tokens", "weights", "kv_cache")


def full_table(found: FullFound) -> tuple[list[str], list[list[Any]]]:
    """Names and columns of ``full.csv.gz``: those of every table of plans, and what varies beside them."""
    names = [*header(found.scores), *VARIED]
    table: list[list[Any]] = [[None] * len(found.which) for _ in names]
    if found.scores is None:
        return names, table
    for i in np.unique(found.which):
        rows, variant = np.flatnonzero(found.which == i), found.searched[int(i)].variant
        columns = plan_columns(
            variant.scenario,
            found.plans.take(rows),
            found.scores.take(rows),
            found.engines[:, rows],
            found.coverage[rows],
        )
        columns += [[getattr(variant, name)] * len(rows) for name in VARIED]
        for column, cells in zip(table, columns, strict=True):
            for row, cell in zip(rows.tolist(), cells, strict=True):
                column[row] = cell
    return names, table


def full_summary(found: FullFound | None) -> dict[str, Any]:
    """The key ``full``; none where nothing but plans was varied."""
    if found is None:
        return {}
    total, best = found.total, found.best
    return {
        "full": {
            "space": found.size,
            "axes": {axis: len(found.space.axes[axis]) for axis in ORDER},
            "variants": found.variants,
            "searched": len(found.searched),
            "legal": total.legal,
            "scored": total.scored,
            "feasible_of_scored": total.feasible,
            "spared": total.spared,
            "removed_by_rule": _removed(found),
            "front": len(found.which),
            "front_by_engine": {
                name: sum(
                    int(np.sum(found.which == i)) for i, s in enumerate(found.searched) if s.variant.engine == name
                )
                for name in (*ENGINES, "any")
                if any(s.variant.engine == name for s in found.searched)
            },
            "best": {"engine": best.engine, **{name: getattr(best, name) for name in VARIED}},
            "seconds": round(found.seconds, 3),
        }
    }


def _removed(found: FullFound) -> dict[str, int]:
    removed: dict[str, int] = {}
    for one in found.searched:
        for name, n in one.removed.items():
            removed[name] = removed.get(name, 0) + n
    return removed


def full_line(found: FullFound) -> str:
    """What was searched, and how little of it had to be scored."""
    total = found.total
    whole = len(found.searched) == found.variants
    done, so_far = ("", "exact") if whole else (f"{len(found.searched)} of ", "exact for these")
    spared = ", ".join(f"{name} {n:,}" for name, n in total.spared.items() if n)
    return (
        f"everything: {found.size:.3g} points in {done}{found.variants} combinations of engine, token budget and "
        f"formats, {total.legal:,} legal; front of {len(found.which):,} plans in {FULL}, {so_far}: {total.scored:,} "
        f"scored, spared by {spared or 'nothing'}. The best is of {found.best.name}; the tables above are of its "
        "layouts"
    )
