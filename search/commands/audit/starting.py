"""Does it start? The start-up rules of one server, by what its command tells the engine or by what its plan says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from costmodel.engine import ENGINES
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.scores import Scores
from search.commands.audit.reader import Launched
from search.optimizer.rules.facts import facts_of
from search.optimizer.rules.rule import Rule
from search.optimizer.rules.start import START_RULES, Start, broken_rules, start_of_plans

# Between these chances that memory suffices nobody can say.
CLOSE = (0.2, 0.8)
Starts = bool | Literal["close"]


@dataclass(frozen=True)
class WhyNot:
    """A rule that keeps a server from starting, what it asks for, and how it comes out here."""

    rule: str
    text: str
    arithmetic: str


@dataclass(frozen=True)
class Starting:
    """``starts``: true, false, or close to the edge, with the ``probability`` that memory suffices (``None`` where a
    rule decides)."""

    starts: Starts
    probability: float | None
    why_not: tuple[WhyNot, ...]

    @property
    def known_not_to(self) -> bool:
        """Whether it is said not to start."""
        return self.starts is False


def of_layout(broken: Rule, arithmetic: str) -> Starting:
    """A layout that does not exist, or that the engine refuses."""
    return Starting(False, None, (WhyNot(broken.name, broken.text, arithmetic),))


def is_start_rule(rule: Rule) -> bool:
    """Whether a rule of an engine speaks of starts, which a command's own words decide."""
    return any(rule.name == r.name for r in START_RULES)


def of_command(found: Launched, engine: str, scenario: Scenario, scores: Scores, memory_share: float) -> Starting:
    """By what the command tells the engine. ``memory_share``: of the accelerator's memory that it wants in all."""
    told = found.told
    capacity = float(scores.kv_capacity_tokens[0])
    length = capacity if told.length is None else float(told.length)
    needed = length if engine == "vllm" else float(scenario.engine.block_tokens)
    start = Start(
        engine=engine, length=length, positions=told.positions, sequences=told.sequences, budget=told.budget,
        cache=scenario.model.kv_format.name, hold_steps=scenario.engine.hold_steps, nvidia=scenario.accelerator.nvidia,
        chunked=told.chunked, capacity_tokens=capacity, needed_tokens=max(needed, float(scenario.engine.block_tokens)),
        memory_share=memory_share,
    )  # fmt: skip
    return _decided(
        start, tuple(WhyNot(rule, "the engine takes the flags together", text) for rule, text in found.refused)
    )


def of_plan(plan: Plans, scenario: Scenario, scores: Scores, refusals: dict[str, Rule]) -> Starting:
    """By what a launch of the plan would tell the scenario's engine; of any engine the first that starts."""
    name = scenario.engine.name
    answers = []
    for engine in ENGINES if name == "any" else (name,):
        if engine in refusals:
            answers.append(of_layout(refusals[engine], f"{engine} with this layout"))
            continue
        start = start_of_plans(plan, facts_of(scenario), engine)
        answers.append(_decided(_scored(start, scores, scenario.lengths.total)))
    return next((a for a in answers if a.starts is not False), answers[0])


def _scored(start: Start, scores: Scores, needed: float) -> Start:
    return replace(start, capacity_tokens=float(scores.kv_capacity_tokens[0]), needed_tokens=needed)


def _decided(start: Start, refused: tuple[WhyNot, ...] = ()) -> Starting:
    broken = broken_rules(start)
    why = (*refused, *(WhyNot(rule.name, rule.text, rule.arithmetic(start)) for rule in broken))
    return Starting(not why, None, why)
