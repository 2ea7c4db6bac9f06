"""A fleet as it is planned."""

from __future__ import annotations

from dataclasses import dataclass, replace

from search.inputs.fleet.schema import FleetConfig
from search.inputs.schema import Config, StrategyConfig

HOURS_A_MONTH = 730.0  # 365 days of 24 hours, over 12


@dataclass(frozen=True)
class Pool:
    """``count`` accelerators of one kind; ``config`` has their hardware and cluster. ``price_source``, ``power_source``
    say where the two figures are from; either is ``None`` where nobody knows it."""

    name: str
    count: int
    price_per_hour: float | None
    price_source: str
    power_w: float | None
    power_source: str
    config: Config


@dataclass(frozen=True)
class Member:
    """A model that must carry ``requests_per_s`` (growth included); ``now`` of them come today. ``words``: its search
    as on a command line."""

    name: str
    now: float
    requests_per_s: float
    weight: float
    pools: tuple[str, ...]
    config: Config
    words: tuple[str, ...]


@dataclass(frozen=True)
class Fleet:
    """``settings`` as they were written; everything that depends on a catalog is in ``pools`` and ``members``."""

    settings: FleetConfig
    pools: tuple[Pool, ...]
    members: tuple[Member, ...]
    strategy: StrategyConfig
    report: bool

    @property
    def name(self) -> str:
        return self.settings.name

    def search(self, member: Member, pool: Pool) -> Config:
        """The search of one replica of a model in a pool."""
        config, found = member.config, pool.config
        space = replace(config.space, dp=1)
        return replace(config, hardware=found.hardware, cluster=found.cluster, space=space)
