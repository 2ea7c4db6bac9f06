"""What a pool has of its own: accelerators and how many of them, engine settings, share of memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from costmodel.scenario import Scenario
from search.base.errors import InputError
from search.inputs.config import Machine, read_machine
from search.inputs.costs import check_costs
from search.inputs.fallbacks import fallbacks
from search.inputs.own_cluster import foreign
from search.inputs.schema import Config
from search.inputs.split.machines import POOLS, pool_config, pool_machine
from search.optimizer.space import axis_values


@dataclass(frozen=True)
class Own:
    """``machine``, ``None`` for the search's; ``memory_fraction``, ``None`` likewise; ``gpus`` of all its instances
    together, empty for whatever the other pool leaves."""

    machine: Machine | None = None
    memory_fraction: float | None = None
    gpus: tuple[int, ...] = ()

    def under(self, scenario: Scenario) -> Scenario:
        """The same requests and model as the search's ``scenario`` has."""
        if self.machine is not None:
            scenario = replace(scenario, **self.machine.serving(scenario.model))
        if self.memory_fraction is not None:
            limits = replace(scenario.limits, memory_fraction=self.memory_fraction)
            scenario = replace(scenario, limits=limits)
        return scenario

    def has(self, gpus: Any) -> Any:
        """Whether the pool may have so many."""
        there = np.isin(gpus, self.gpus) if self.gpus else np.full(np.shape(gpus), True)
        return there if self.machine is None else there & (gpus <= self.machine.cluster.max_gpus)

    def most(self, left: int) -> int:
        """Accelerators of an instance at most, where the other pool leaves so many."""
        return max(self.gpus) if self.gpus else left


USUAL = Own()


def own_pools(config: Config) -> tuple[Own, Own]:
    """Of the pool that prefills and the one that decodes; ``InputError`` for two between which no cache travels."""
    prefill, decode = (_own(config, name) for name in POOLS)
    if prefill.machine is not None or decode.machine is not None:
        usual = read_machine(config)
        mine = "prefill" if decode.machine is None else "decode"
        _check_pair(prefill.machine or usual, decode.machine or usual, f"space.split.{mine}")
    return prefill, decode


def _own(config: Config, name: str) -> Own:
    pool, key = getattr(config.space.split, name), f"space.split.{name}"
    machine = pool_machine(config, name)
    if machine is not None and pool.hardware is not None:
        for columns in ("columns", "recommend", "ties"):
            found = getattr(config.objective, columns)
            check_costs(f"objective.{columns}", found, machine.accelerator, f"{key}.hardware")
    gpus = () if pool.gpus is None else axis_values(f"{key}.gpus", pool.gpus)
    return Own(machine, pool.memory_fraction, gpus)


def stated(config: Config, pools: tuple[Scenario, Scenario]) -> tuple[str, ...]:
    """Assumptions about the pools' own accelerators, one line each."""
    found: list[str] = []
    for name, pool in zip(POOLS, pools, strict=True):
        own = pool_config(config, name)
        if own is not None and pool.accelerator.name != config.hardware.name:
            lines = (*fallbacks(pool), *foreign(own, pool.accelerator, pool.cluster))
            found += [f"{name}: {line}" for line in lines]
    return tuple(found)


def _check_pair(prefill: Machine, decode: Machine, key: str) -> None:
    """``key`` is where the second of them was asked for."""
    one, other = prefill.accelerator, decode.accelerator
    if one.vendor != other.vendor:
        raise InputError(
            f"{key}.hardware: prefill on {one.name!r} and decode on {other.name!r} is not allowed; engines send caches "
            "between accelerators of one vendor alone"
        )
    if one.name != other.name:
        for name, machine in zip(POOLS, (prefill, decode), strict=True):
            if len(machine.cluster.tiers) < 2:
                raise InputError(
                    f"space.split.{name}.cluster: {machine.cluster.name!r} has no network, over which caches travel "
                    "between accelerators of two kinds; give another"
                )
    sent, got, engine = prefill.engine.block_tokens, decode.engine.block_tokens, prefill.engine.name
    # vLLM: nixl_connector_compatibility.md, "only P block size < D block size" and its multiples. SGLang:
    # sglang/srt/disaggregation/common/conn.py "Page size mismatch", 0.5.23. TensorRT-LLM: cacheFormatter.cpp
    # inquireSupport, "only support same tokens per block".
    if sent != got and not (engine == "vllm" and got % sent == 0):
        wanted = f"a multiple of {sent}" if engine == "vllm" else f"{sent}"
        raise InputError(
            f"{key}.engine.block_tokens: {sent} where prompts are prefilled and {got} where they are decoded is not "
            f"allowed; {engine} takes {wanted} there"
        )
