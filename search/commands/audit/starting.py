"""Does it start? The start-up rules of one server, by what its command tells the engine or by what its plan says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.special import ndtr

from costmodel.blocks import GatedDeltaNet, Mamba2
from costmodel.blocks.parallel import parts
from costmodel.engine import ENGINES
from costmodel.memory.server import Server
from costmodel.memory.spread import CENTRAL_80
from costmodel.memory.start import Start as Memory
from costmodel.memory.start import starting
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from search.commands.audit.reader import Launched
from search.optimizer.rules.facts import facts_of
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


def server_of(found: Launched, scenario: Scenario) -> Server:
    """What the memory of a command's server depends on."""
    told, total = found.told, float(scenario.lengths.total)
    length = float(told.positions or total) if told.length is None else float(told.length)
    return Server(
        fraction=told.fraction, share=told.memory_of, sequences=float(told.sequences), tokens=float(told.budget),
        length=length or total, captured=told.captured, eager=told.eager, vision=told.vision,
        cache_bytes=told.cache_bytes, cache_blocks=told.cache_blocks, cache_ranks=told.shared_over,
        host_bytes=told.host_bytes, shortens=told.length is None or scenario.engine.name != "vllm",
    )  # fmt: skip


def room_bytes(found: Launched, scenario: Scenario, plan: Plans) -> float:
    """What weights and work leave of the whole memory: room for a cache of fixed size."""
    whole = replace(server_of(found, scenario), fraction=1.0, share="all", cache_bytes=None, cache_blocks=None)
    return float(starting(scenario, plan, whole).available_kv_bytes[0])


def _cache_bytes(found: Launched, scenario: Scenario, memory: Memory) -> float:
    """Bytes of a cache of fixed size."""
    if found.told.cache_bytes is not None:
        return found.told.cache_bytes
    length = server_of(found, scenario).length
    return float(memory.kv_tokens[0] * memory.needed_bytes[0]) / max(length, 1.0)


def of_command(found: Launched, engine: str, scenario: Scenario, memory: Memory, room: float) -> Starting:
    """By what the command tells the engine, and the memory that its server has; ``room``: ``room_bytes``."""
    told = found.told
    block = float(scenario.engine.block_tokens)
    capacity = capacity_tokens(found, memory)
    whole = engine == "vllm" and told.length is not None  # the others start with any cache at all
    start = Start(
        engine=engine, length=told.length or block, positions=told.positions, sequences=told.sequences,
        budget=told.budget, cache=scenario.model.kv_format.name, hold_steps=scenario.engine.hold_steps,
        nvidia=scenario.accelerator.nvidia, chunked=told.chunked, capacity_tokens=capacity,
        needed_tokens=max(float(told.length or 0) if whole else 0.0, block),
        state_blocks=_state_blocks(scenario, memory) if told.captured and not told.eager else None,
    )  # fmt: skip
    refused = (WhyNot(rule, "the engine takes the flags together", text) for rule, text in found.refused)
    chance = float(memory.starts_probability[0])
    fixed = told.cache_bytes is not None or told.cache_blocks is not None
    if fixed:
        start = replace(start, fixed_bytes=_cache_bytes(found, scenario, memory), room_bytes=room)
        chance = float(ndtr((room - start.fixed_bytes) / _deviation(memory))) * (capacity >= start.needed_tokens)
    return _decided(start, memory, chance, tuple(refused))


def capacity_tokens(found: Launched, memory: Memory) -> float:
    """What the server logs: never more than the command allows."""
    most = found.told.most_tokens
    tokens = max(float(memory.kv_tokens[0]), 0.0)
    return tokens if most is None else min(tokens, float(most))


def of_plan(plan: Plans, scenario: Scenario, refusals: dict[str, Rule]) -> Starting:
    """By what a launch of the plan would tell the scenario's engine; of any engine the first that starts."""
    name = scenario.engine.name
    facts = facts_of(scenario)
    memory, answers = starting(scenario, plan), []
    for engine in ENGINES if name == "any" else (name,):
        if engine in refusals:
            answers.append(of_layout(refusals[engine], refusals[engine].comes_out(plan, facts)))
            continue
        start = replace(
            start_of_plans(plan, facts, engine),
            capacity_tokens=float(memory.kv_tokens[0]), needed_tokens=float(scenario.lengths.total),
            state_blocks=_state_blocks(scenario, memory),
        )  # fmt: skip
        answers.append(_decided(start, memory, float(memory.starts_probability[0])))
    return next((a for a in answers if a.starts is not False), answers[0])


def _state_blocks(scenario: Scenario, memory: Memory) -> float | None:
    """Blocks that states of recurrent layers can have; ``None`` without such layers."""
    mixers = [part for k in scenario.model.kinds if k.mixer is not None for part in parts(k.mixer)]
    recurrent = any(isinstance(mixer, GatedDeltaNet | Mamba2) for mixer in mixers)
    return max(float(memory.blocks[0]), 0.0) if recurrent and scenario.engine.name == "vllm" else None


def _deviation(memory: Memory) -> float:
    return max(float(memory.high[0] - memory.low[0]) / (2.0 * CENTRAL_80), 1.0)


def _decided(start: Start, memory: Memory, chance: float, refused: tuple[WhyNot, ...] = ()) -> Starting:
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
    return float(ndtr(over * block / _deviation(memory)))
