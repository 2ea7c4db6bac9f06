"""The shape of a file of ``conf/fleet``; ``docs/fleet.md`` explains the keys. Units are SI but for the price, which is
in US dollars an hour, as everybody quotes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


@dataclass
class PoolConfig:
    """Accelerators of one kind."""

    hardware: str = MISSING  # an option of that group
    count: int = MISSING
    cluster: str | None = None  # an option of that group; null: the one that the hardware comes with
    price_per_hour: float | None = None  # of an accelerator; null: the hardware's
    power_w: float | None = None  # likewise


@dataclass
class MemberConfig:
    """A model with its traffic; ``search``: choices and keys of its own search, as on a command line."""

    requests_per_s: float = MISSING
    weight: float = 1.0
    pools: list[str] = field(default_factory=list)  # it may use; none: all
    search: dict[str, Any] = MISSING


@dataclass
class SparesConfig:
    count: int = 0  # failures after which each deployment still carries its share
    of: str = "replica"  # what fails: replica | node


@dataclass
class BudgetsConfig:
    usd_per_hour: float | None = None
    power_w: float | None = None


@dataclass
class FleetConfig:
    name: str = MISSING
    objective: str = "cost"  # cost | energy | served
    growth: float = 1.0  # factor on everybody's traffic
    capacity: str = "predicted"  # predicted | low: the low end of its 80 % interval
    spares: SparesConfig = field(default_factory=SparesConfig)
    limits: BudgetsConfig = field(default_factory=BudgetsConfig)
    search: dict[str, Any] = field(default_factory=dict)  # of every model
    pools: dict[str, PoolConfig] = MISSING
    models: dict[str, MemberConfig] = MISSING
