"""Does a server of a plan start? The start-up rules, those among them that need the memory too, for one plan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from costmodel.blocks import GatedDeltaNet, Mamba2
from costmodel.blocks.parallel import mixers_of
from costmodel.memory.normal import normal_cdf
from costmodel.memory.spread import CENTRAL_80
from costmodel.memory.start import Start as Memory
from costmodel.memory.start import starting
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from search.optimizer.rules.facts import facts_of
from search.optimizer.rules.registry import engines_of
from search.optimizer.rules.rule import Rule
from search.optimizer.rules.start import START_RULES, Start, broken_rules, start_of_plans

# Between these chances that memory suffices nobody can say.
CLOSE = (0.2, 0.8)
IN_MEMORY = "start.cache_holds_a_request"
IN_BLOCKS = "vllm.state_blocks"
GIB = 2.0**30
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


def of_plan(plan: Plans, scenario: Scenario, refusals: dict[str, Rule]) -> Starting:
    """By what a launch of the plan would tell the scenario's engine; of any engine the first that starts."""
    name = scenario.engine.name
    facts = facts_of(scenario)
    memory, answers = starting(scenario, plan), []
    for engine in engines_of(name):
        if engine in refusals:
            answers.append(of_layout(refusals[engine], refusals[engine].comes_out(plan, facts)))
            continue
        start = replace(
            start_of_plans(plan, facts, engine),
            capacity_tokens=float(memory.kv_tokens[0]), needed_tokens=float(scenario.lengths.total),
            state_blocks=state_blocks(scenario, memory),
        )  # fmt: skip
        answers.append(decided(start, memory, float(memory.starts_probability[0])))
    return next((a for a in answers if a.starts is not False), answers[0])


def state_blocks(scenario: Scenario, memory: Memory) -> float | None:
    """Blocks that states of recurrent layers can have; ``None`` without such layers."""
    recurrent = any(isinstance(mixer, GatedDeltaNet | Mamba2) for mixer in mixers_of(scenario.model))
    return max(float(memory.blocks[0]), 0.0) if recurrent and scenario.engine.name == "vllm" else None


def deviation(memory: Memory) -> float:
    return max(float(memory.high[0] - memory.low[0]) / (2.0 * CENTRAL_80), 1.0)


def decided(start: Start, memory: Memory, chance: float, refused: tuple[WhyNot, ...] = ()) -> Starting:
    """A rule decides, or the memory: where that is close to the edge, its chance is told."""
    broken = [rule for rule in broken_rules(start) if rule.name not in (IN_MEMORY, IN_BLOCKS)]
    why = (*refused, *(WhyNot(rule.name, rule.text, rule.arithmetic(start)) for rule in broken))
    states = _states_chance(start, memory)
    least = min(chance, states)
    if why:
        return Starting(False, least, why)
    if least >= CLOSE[1]:
        return Starting(True, least, ())
    rule = next(rule for rule in START_RULES if rule.name == (IN_MEMORY if chance <= states else IN_BLOCKS))
    left, needed = float(memory.available_kv_bytes[0]), float(memory.needed_bytes[0])
    bytes_ = f"{left / GIB:.2f} GiB are left for the cache, one request takes {needed / GIB:.2f} GiB"
    reason = WhyNot(rule.name, rule.text, f"{rule.arithmetic(start)}: {bytes_}")
    return Starting("close" if least > CLOSE[0] else False, least, (reason,))


def _states_chance(start: Start, memory: Memory) -> float:
    """The chance that there is a block for the state of each sequence."""
    if start.state_blocks is None:
        return 1.0
    block = float(memory.available_kv_bytes[0]) / max(float(start.state_blocks), 1.0)
    over = float(start.state_blocks) - float(np.ravel(start.sequences)[0])
    return float(normal_cdf(over * block / deviation(memory)))
