"""Figures that need the accelerator's price or power: who asks for one without the other is told what to set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from costmodel.hardware import Accelerator
from costmodel.scenario import Scenario
from costmodel.scores import COSTS, PREFIXES, TRAFFIC
from search.base.errors import InputError
from search.inputs.schema import Config
from search.inputs.split.machines import POOLS

UNITS = {"price_per_hour": "USD and hardware.price_as_of=TEXT", "power_w": "WATTS"}


def dated(config: Config, overrides: Sequence[str]) -> Config:
    """``config``; ``InputError`` where its price has no date, or that of the price which ``overrides`` replaced."""
    given = {word.lstrip("+").split("=", 1)[0] for word in overrides}
    pools = {f"space.split.{name}.hardware": getattr(config.space.split, name).hardware for name in POOLS}
    for key, hardware in {"hardware": config.hardware, **pools}.items():
        price, date = f"{key}.price_per_hour", f"{key}.price_as_of"
        if hardware is None or hardware.price_per_hour is None:
            continue
        if not hardware.price_as_of or (price in given and date not in given):
            raise InputError(
                f"{price}: {hardware.price_per_hour:g} has no date and place; give them, as {date}='our contract'"
            )
    return config


def check_traffic(key: str, figures: Iterable[str], scenario: Scenario) -> None:
    """``InputError`` for the first of ``figures`` that only requests at a rate have, in the closed loop, or only those
    with block hashes, without."""
    for figure in figures:
        if figure in TRAFFIC and scenario.demand is None:
            raise InputError(
                f"{key}.{figure}: is not known in the closed loop; set workload.requests_per_s and "
                "workload.arrivals.kind, as poisson, or leave the figure out"
            )
        if figure in PREFIXES and scenario.lengths.prefixes is None:
            raise InputError(
                f"{key}.{figure}: is not known without block hashes; set workload.lengths.trace to a trace with "
                "hash_ids, or leave the figure out"
            )


def check_costs(key: str, figures: Iterable[str], accelerator: Accelerator, group: str = "hardware") -> None:
    """``InputError`` for the first of ``figures`` that the accelerator does not state what is needed for; ``key`` is
    where they were asked for, ``group`` where it stands."""
    for figure in figures:
        field = COSTS.get(figure)
        if field is not None and getattr(accelerator, field) is None:
            raise InputError(
                f"{key}.{figure}: hardware {accelerator.name!r} has {group}.{field} = null; "
                f"set {group}.{field}={UNITS[field].replace('hardware', group)} or leave the figure out"
            )
