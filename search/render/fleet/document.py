"""``plan.md`` of a fleet."""

from __future__ import annotations

from collections.abc import Sequence

from search.base.escape import markdown
from search.optimizer.fleet.outcome import FleetOutcome
from search.render.fleet.content import Part, parts

SIGN_OFF = "| role | name | date |\n|---|---|---|\n| planned | | |\n| reviewed | | |\n| approved | | |"


def fleet_md(o: FleetOutcome) -> str:
    """The document as markdown."""
    said = [f"# Fleet plan: {markdown(o.fleet.name)}"]
    said += [f"## {i}. {part.title}\n\n{_body(part)}" for i, part in enumerate(parts(o), 1)]
    said.append(f"## {len(said)}. Sign-off\n\n{SIGN_OFF}")
    return "\n\n".join(said) + "\n"


def _body(part: Part) -> str:
    blocks = []
    if part.title in ("Summary", "Risks and assumptions"):
        blocks.append("\n".join(f"- {markdown(line)}" for line in part.lines))
    else:
        blocks += [markdown(line) for line in part.lines]
    if part.table:
        blocks.append(_table(part.header, part.table))
    if part.code:
        blocks.append("\n".join(["```", *part.code, "```"]))
    return "\n\n".join(blocks)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *([markdown(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
