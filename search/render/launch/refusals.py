"""Why an engine cannot start a plan: a rule by its name, never an approximation of the plan."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.hardware import maybe_nvidia
from costmodel.plans import Plans
from search.optimizer.refused import refused
from search.optimizer.rules.facts import Facts
from search.optimizer.rules.start import Start, broken_rules
from search.render.launch.server import Server


@dataclass(frozen=True)
class Refusal:
    """The name of the first rule broken and what it asks for."""

    rule: str
    text: str


def layout_refusal(plan: Plans, facts: Facts, engine: str) -> Refusal | None:
    """The first rule of docs/legality.md that one plan breaks: of any engine or of this one."""
    broken = refused(plan, facts)[0].first(engine)
    return None if broken is None else Refusal(broken.name, broken.text)


def start_of(server: Server, engine: str) -> Start:
    """What the written command tells the engine, and the memory that it was scored with."""
    return Start(
        engine=engine,
        length=server.isl + server.osl,
        positions=server.positions,
        sequences=server.group_batch,
        budget=server.tokens,
        cache=server.checkpoint.cache,
        hold_steps=server.hold_steps,
        nvidia=maybe_nvidia(server.vendor),
        text_only=server.checkpoint.text_only,
        capacity_tokens=server.capacity_tokens,
        needed_tokens=server.length,
        state_blocks=server.state_blocks,
    )


def start_refusal(server: Server, engine: str) -> Refusal | None:
    """The first rule of starts that it breaks, with its arithmetic."""
    start = start_of(server, engine)
    return next((Refusal(r.name, f"{r.text}: {r.arithmetic(start)}") for r in broken_rules(start)), None)
