"""What everything rests on: the assumed inputs, those without a source, and the annex that lists every one."""

from __future__ import annotations

from search.render.document.formats import bullets, count, table
from search.render.document.view import View
from search.render.provenance import ASSUMPTION, CHOSEN, MISSING, SOURCED, quantity

TITLES = {
    ASSUMPTION: "Assumed",
    MISSING: "Without a source",
    SOURCED: "With a source",
    CHOSEN: "Asked for",
}


def sources(v: View) -> str:
    """In plan.md: what is not sure, and how much is."""
    stated = bullets([x.text("text") for x in v.each("assumption")])
    rows = [[x.text("where"), x.text("value"), x.text("text")] for x in v.each("assumed")]
    bare = [x.text("where") for x in v.each("unsourced")]
    parts = [stated] if stated else []
    if rows:
        parts += ["Assumed:", table(["input", "value", "its source"], rows, text=(0, 2))]
    parts.append(f"Inputs without a source: {'; '.join(bare)}." if bare else "No input is without a source.")
    known = v.number(f"standing.{SOURCED}")
    parts.append(
        f"{count(known)} others have a source, {v.n(f'standing.{CHOSEN}')} say what is asked: the annex, inputs.md, "
        "lists all."
    )
    return "\n\n".join(parts)


def value(x: View) -> str:
    """An input in the unit of its name."""
    raw = x.raw("value")
    return x.text("value") if isinstance(raw, str) else quantity(str(x.raw("key")), raw)


def annex(v: View) -> str:
    """``inputs.md``: every input with its value and its source, the doubtful ones first; inputs of one source stand
    together."""
    parts = [
        f"# Inputs of deployment plan {v.text('name')}",
        f"Annex to plan.md of run {v.text('run.id')}, {v.text('run.date')}. SHA-256 of config.yaml: "
        f"{v.text('run.config')}.",
    ]
    for standing, title in TITLES.items():
        rows = [x for x in v.each("input_row") if x.raw("standing") == standing]
        if not rows:
            continue
        parts.append(f"## {title} ({count(len(rows))})")
        if standing in (MISSING, CHOSEN):
            parts.append(table(["input", "value"], [[x.text("key"), value(x)] for x in rows], text=(0, 1)))
        else:
            cells = [[x.text("key"), value(x), x.text("source")] for x in rows]
            parts.append(table(["input", "value", "source"], cells, text=(0, 1, 2)))
    return "\n\n".join(parts) + "\n"
