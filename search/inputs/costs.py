"""Figures that need the accelerator's price or power: who asks for one without the other is told what to set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from costmodel.hardware import Accelerator
from costmodel.scenario import Scenario
from costmodel.scores import COSTS, PREFIXES, TRAFFIC
from search.base.errors import InputError
from search.inputs.schema import Config

UNITS = {"price_per_hour": "USD and hardware.price_as_of=TEXT", "power_w": "WATTS"}


def dated(config: Config, overrides: Sequence[str]) -> Config:
    """``config``; ``InputError`` where its price has no date, or that of the price which ``overrides`` replaced."""
    price, date = "hardware.price_per_hour", "hardware.price_as_of"
    if config.hardware.price_per_hour is None:
        return config
    given = {word.lstrip("+").split("=", 1)[0] for word in overrides}
    if not config.hardware.price_as_of or (price in given and date not in given):
        raise InputError(
            f"{price}: {config.hardware.price_per_hour:g} has no date and place; give them, as {date}='our contract'"
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


def check_costs(key: str, figures: Iterable[str], accelerator: Accelerator) -> None:
    """``InputError`` for the first of ``figures`` that the accelerator does not state what is needed for; ``key`` is
    where they were asked for."""
    for figure in figures:
        field = COSTS.get(figure)
        if field is not None and getattr(accelerator, field) is None:
            raise InputError(
                f"{key}.{figure}: hardware {accelerator.name!r} has hardware.{field} = null; "
                f"set hardware.{field}={UNITS[field]} or leave the figure out"
            )
