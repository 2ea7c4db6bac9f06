"""Does the server of a command start? The start-up rules by what the command tells the engine."""

from __future__ import annotations

from dataclasses import replace

from costmodel.memory.normal import normal_cdf
from costmodel.memory.server import Server
from costmodel.memory.start import Start as Memory
from costmodel.memory.start import starting
from costmodel.plans import Array, Plans
from costmodel.scenario import Scenario
from search.commands.audit.reader import Launched
from search.optimizer.rules.start import Start
from search.optimizer.starting import Starting, WhyNot, decided, deviation, state_blocks


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
    capacity = capacity_tokens(found, memory.kv_tokens)
    whole = engine == "vllm" and told.length is not None  # the others start with any cache at all
    start = Start(
        engine=engine, length=told.length or block, positions=told.positions, sequences=told.sequences,
        budget=told.budget, cache=scenario.model.kv_format.name, hold_steps=scenario.engine.hold_steps,
        nvidia=scenario.accelerator.nvidia, chunked=told.chunked, capacity_tokens=capacity,
        needed_tokens=max(float(told.length or 0) if whole else 0.0, block),
        state_blocks=state_blocks(scenario, memory) if told.captured and not told.eager else None,
    )  # fmt: skip
    refused = (WhyNot(rule, "the engine takes the flags together", text) for rule, text in found.refused)
    chance = float(memory.starts_probability[0])
    fixed = told.cache_bytes is not None or told.cache_blocks is not None
    if fixed:
        start = replace(start, fixed_bytes=_cache_bytes(found, scenario, memory), room_bytes=room)
        chance = float(normal_cdf((room - start.fixed_bytes) / deviation(memory))) * (capacity >= start.needed_tokens)
    return decided(start, memory, chance, tuple(refused))


def capacity_tokens(found: Launched, counted: Array) -> float:
    """What the server logs: never more than the command allows."""
    most = found.told.most_tokens
    tokens = max(float(counted[0]), 0.0)
    return tokens if most is None else min(tokens, float(most))
