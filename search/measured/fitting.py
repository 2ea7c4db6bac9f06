"""Fitting an engine's constants to measurements: few, named, with priors.

The constants are those of ``CONSTANTS``. Residuals are logarithms of predicted over measured TPOT (weight 1) and TTFT
(weight ``TTFT_WEIGHT``; rows where sequences wait for the cache are left to the memory model), each family weighing as
much as the square root of its rows. Losses are soft (``soft_l1``), so that an odd family does not rule. A prior holds
each constant near its centre unless the data say otherwise: its residual is log(value / centre) / ``PRIOR_SIGMA``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from costmodel.plans import Array
from search.config import read_law
from search.hardware_catalog import load_hardware
from search.measured.cases import Case
from search.measured.grouped import Change, Read, measured, predict, with_engine
from search.schema import EngineConfig

TTFT_WEIGHT = 0.3
PRIOR_SIGMA = 1.0  # a factor e either way is one standard deviation
SOFT = 0.05  # residuals beyond 5 % count less than squared
SHARED = "all"


@dataclass(frozen=True)
class Constant:
    """``name`` of the engine record's field; ``centre`` of the prior and plausible range, in the field's unit."""

    name: str
    centre: float
    low: float
    high: float


CONSTANTS = (
    Constant("launch_share", 1.0, 0.1, 3.0),
    Constant("sequence_overhead_s", 1e-5, 1e-7, 2e-4),
    Constant("request_overhead_s", 0.05, 1e-3, 1.0),
)
EXPERTS = Constant("expert_launch_share", 1.3, 0.1, 4.0)
Fitted = Mapping[tuple[str, str], float]  # (engine or ``all``, constant) -> value


def slots(engines: list[str]) -> list[tuple[str, Constant]]:
    """What is fitted for these engines: the constants of each, and one for all."""
    return [(e, c) for e in engines for c in CONSTANTS] + [(SHARED, EXPERTS)]


def centred(engine: EngineConfig) -> Fitted:
    """The constants of an engine's file, as centres of priors. Zero has no logarithm; the range's low end stands for
    it."""
    values = {(engine.name, c.name): max(getattr(engine, c.name), c.low) for c in CONSTANTS}
    return values | {(SHARED, EXPERTS.name): engine.expert_launch_share}


def apply(fitted: Fitted) -> Change:
    """A change of scenarios to fitted constants; engines without any take the priors' centres."""
    shared = fitted.get((SHARED, EXPERTS.name), EXPERTS.centre)

    def change(scenario: object, case: Case) -> object:
        values = {c.name: fitted.get((case.engine, c.name), c.centre) for c in CONSTANTS}
        law = read_law(load_hardware(case.hardware).efficiency)
        return with_engine(case.scenario, law, **values, **{EXPERTS.name: shared})

    return change  # type: ignore[return-value]


def residuals(read: Read, fitted: Fitted, keep: NDArray[np.bool_]) -> Array:
    """Weighted log errors of the rows (places in the file) in ``keep``."""
    chosen = Read(read.rows, {i: read.cases[i] for i in read.cases if keep[i]}, {})
    found = predict(chosen, apply(fitted))
    ttft, tpot, _ = measured(chosen, found.places)
    names = [chosen.rows[i].family for i in found.places]
    sizes = {name: names.count(name) for name in set(names)}
    weight = np.array([sizes[name] ** -0.5 for name in names])
    first = np.where(found.waiting, 0.0, np.clip(np.log(found.ttft_s / ttft), -2.0, 2.0))
    parts = [weight * np.log(found.tpot_s / tpot), TTFT_WEIGHT * weight * first]
    return np.nan_to_num(np.concatenate(parts))


@dataclass(frozen=True)
class Posterior:
    """``values`` fitted; ``certainty`` 1 - (standard deviation of the logarithm after the fit) / (before it): 0 where
    the data say nothing about a constant, near 1 where they fix it."""

    values: dict[tuple[str, str], float]
    certainty: dict[tuple[str, str], float]


def fit(read: Read, keep: NDArray[np.bool_], *, steps: int = 10) -> dict[tuple[str, str], float]:
    """Constants for the engines of the rows in ``keep`` (a mask over the file)."""
    return fit_around(read, keep, {}, steps=steps).values


def fit_around(read: Read, keep: NDArray[np.bool_], centres: Fitted, *, steps: int = 10) -> Posterior:
    """The same with priors around ``centres`` where they name a constant."""
    from scipy.optimize import least_squares

    engines = sorted({case.engine for i, case in read.cases.items() if keep[i]})
    wanted = slots(engines)
    keys = [(engine, constant.name) for engine, constant in wanted]
    low, high = np.log([c.low for _, c in wanted]), np.log([c.high for _, c in wanted])
    centre = np.clip(np.log([centres.get(k, c.centre) for k, (_, c) in zip(keys, wanted, strict=True)]), low, high)

    def value(logs: Array) -> dict[tuple[str, str], float]:
        return dict(zip(keys, np.exp(logs).tolist(), strict=True))

    families = len({read.rows[i].family for i in read.cases if keep[i]})

    def objective(logs: Array) -> Array:
        prior = (logs - centre) / PRIOR_SIGMA * SOFT / max(families, 1) ** 0.5
        return np.concatenate([residuals(read, value(logs), keep), prior])

    start = np.clip(centre, low + 1e-6, high - 1e-6)
    result = least_squares(
        objective, start, bounds=(low, high), loss="soft_l1", f_scale=SOFT, diff_step=0.01, max_nfev=steps
    )
    information = result.jac.T @ result.jac  # the prior's rows are in it, so it has an inverse
    prior = SOFT / max(families, 1) ** 0.5 / PRIOR_SIGMA
    shrunk = np.sqrt(np.diag(np.linalg.inv(information))) * prior
    certainty = dict(zip(keys, np.clip(1.0 - shrunk, 0.0, 1.0).tolist(), strict=True))
    return Posterior(value(result.x), certainty)
