"""The shape of a file of ``conf/fleet``; ``docs/fleet.md`` explains the keys. Units are SI but for the price, which is
in US dollars an hour, as everybody quotes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from omegaconf import MISSING

from costmodel.fields import Choice, Quantity


@dataclass
class PoolConfig:
    """Accelerators of one kind."""

    hardware: str = MISSING  # an option of that group
    count: Annotated[int, Quantity("how many there are", 1, 100_000)] = MISSING
    cluster: str | None = None  # an option of that group; null: the one that the hardware comes with
    price_per_hour: Annotated[float | None, Quantity("of an accelerator; null: the hardware's", 0, 1e6)] = None
    power_w: Annotated[float | None, Quantity("likewise", 0, 1e6, above=True)] = None


@dataclass
class MemberConfig:
    """A model with its traffic; ``search``: choices and keys of its own search, as on a command line."""

    requests_per_s: Annotated[float, Quantity("today's traffic", 0, 1_000_000, above=True)] = MISSING
    weight: Annotated[float, Quantity("what a share of its traffic counts for", 0, 1e6, above=True)] = 1.0
    pools: list[str] = field(default_factory=list)  # it may use; none: all
    search: dict[str, Any] = MISSING


@dataclass
class SparesConfig:
    count: Annotated[int, Quantity("failures after which each deployment still carries its share", 0, 1000)] = 0
    of: Annotated[str, Choice("what fails", ("replica", "node"))] = "replica"


@dataclass
class BudgetsConfig:
    usd_per_hour: Annotated[float | None, Quantity("of the whole fleet", 0, 1e9, above=True)] = None
    power_w: Annotated[float | None, Quantity("likewise", 0, 1e10, above=True)] = None


@dataclass
class FleetConfig:
    name: str = MISSING
    objective: Annotated[str, Choice("what is best", ("cost", "energy", "served"))] = "cost"
    growth: Annotated[float, Quantity("factor on everybody's traffic", 0, 1000, above=True)] = 1.0
    capacity: Annotated[str, Choice("low: the low end of its 80 % interval", ("predicted", "low"))] = "predicted"
    spares: SparesConfig = field(default_factory=SparesConfig)
    limits: BudgetsConfig = field(default_factory=BudgetsConfig)
    search: dict[str, Any] = field(default_factory=dict)  # of every model
    pools: dict[str, PoolConfig] = MISSING
    models: dict[str, MemberConfig] = MISSING
