"""Fitting the engines' constants to measurements: few, named, with priors.

The constants are those of ``CONSTANTS``, one of each for every engine, and ``SHARED_CONSTANTS``, one for all. Residuals
are logarithms of predicted over measured TPOT (weight 1) and TTFT (weight ``TTFT_WEIGHT``; rows whose sequences wait
for the cache are left to the memory model), each family weighing as much as the square root of its rows. Losses are
soft (``soft_l1``), so that an odd family does not rule.

Engines do the same work, so an engine's constant is held near the value of a typical engine, which is fitted too and
stands for engines that nobody measured: its residual is log(value / typical) / ``ENGINE_SIGMA``, worth about as much as
one family. The typical values and the shared ones have weak priors around ``centre``.
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
ENGINE_SIGMA = 0.7  # of an engine's constant around the typical engine's
ENGINE_WEIGHT = 0.1  # what one standard deviation of it costs, as a residual
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
    Constant("prefill_overhead_s", 0.01, 1e-4, 0.2),
    Constant("request_overhead_s", 0.05, 1e-3, 1.0),
)
SHARED_CONSTANTS = (
    Constant("expert_launch_share", 1.3, 0.1, 4.0),
    Constant("expert_skew", 0.5, 0.01, 10.0),
)
Key = tuple[str, str]  # (engine or ``all``, constant)
Fitted = Mapping[Key, float]


def centred(engine: EngineConfig) -> Fitted:
    """The constants of an engine's file, as centres of priors. Zero has no logarithm; the range's low end stands for
    it."""
    values = {(engine.name, c.name): max(getattr(engine, c.name), c.low) for c in CONSTANTS}
    return values | {(SHARED, c.name): max(getattr(engine, c.name), c.low) for c in SHARED_CONSTANTS}


def apply(fitted: Fitted) -> Change:
    """A change of scenarios to fitted constants; engines without any take those of the typical engine."""

    def value(owner: str, constant: Constant) -> float:
        return fitted.get((owner, constant.name), fitted.get((SHARED, constant.name), constant.centre))

    def change(scenario: object, case: Case) -> object:
        values = {c.name: value(case.engine, c) for c in (*CONSTANTS, *SHARED_CONSTANTS)}
        law = read_law(load_hardware(case.hardware).efficiency)
        return with_engine(case.scenario, law, **values)

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

    values: dict[Key, float]
    certainty: dict[Key, float]


@dataclass(frozen=True)
class Slot:
    """One unknown of the fit. Its prior's residual is ``weight`` (log value - log of ``towards``), where ``towards`` is
    a number or another slot's key."""

    key: Key
    constant: Constant
    towards: float | Key
    weight: float


def slots(engines: list[str], families: int) -> list[Slot]:
    """What is fitted for these engines: the typical engine, each engine around it, and the constants of all."""
    weak = SOFT / max(families, 1) ** 0.5 / PRIOR_SIGMA
    typical = [Slot((SHARED, c.name), c, c.centre, weak) for c in (*CONSTANTS, *SHARED_CONSTANTS)]
    near = ENGINE_WEIGHT / ENGINE_SIGMA
    return typical + [Slot((e, c.name), c, (SHARED, c.name), near) for e in engines for c in CONSTANTS]


def slots_around(centres: Fitted, families: int) -> list[Slot]:
    """One engine's constants and the shared ones, each around a value known before."""
    weak = SOFT / max(families, 1) ** 0.5 / PRIOR_SIGMA
    constants = {c.name: c for c in (*CONSTANTS, *SHARED_CONSTANTS)}
    return [Slot(key, constants[key[1]], value, weak) for key, value in centres.items()]


def fit(read: Read, keep: NDArray[np.bool_], *, steps: int = 10, start: Fitted | None = None) -> dict[Key, float]:
    """Constants for the engines of the rows in ``keep`` (a mask over the file), and of the typical engine."""
    engines = sorted({case.engine for i, case in read.cases.items() if keep[i]})
    return _solve(read, keep, slots(engines, _families(read, keep)), steps, start or {}).values


def fit_around(read: Read, keep: NDArray[np.bool_], centres: Fitted, *, steps: int = 10) -> Posterior:
    """The constants that ``centres`` names, with priors around its values."""
    return _solve(read, keep, slots_around(centres, _families(read, keep)), steps, {})


def _families(read: Read, keep: NDArray[np.bool_]) -> int:
    return len({read.rows[i].family for i in read.cases if keep[i]})


def _solve(read: Read, keep: NDArray[np.bool_], wanted: list[Slot], steps: int, start: Fitted) -> Posterior:
    from scipy.optimize import least_squares

    keys = [slot.key for slot in wanted]
    low, high = np.log([s.constant.low for s in wanted]), np.log([s.constant.high for s in wanted])
    weight = np.array([s.weight for s in wanted])

    def value(logs: Array) -> dict[Key, float]:
        return dict(zip(keys, np.exp(logs).tolist(), strict=True))

    def towards(logs: Array) -> Array:
        at = dict(zip(keys, logs.tolist(), strict=True))
        return np.array([at[s.towards] if isinstance(s.towards, tuple) else np.log(s.towards) for s in wanted])

    def objective(logs: Array) -> Array:
        return np.concatenate([residuals(read, value(logs), keep), weight * (logs - towards(logs))])

    first = [start.get(s.key, s.towards if isinstance(s.towards, float) else s.constant.centre) for s in wanted]
    result = least_squares(
        objective, np.clip(np.log(first), low + 1e-6, high - 1e-6), bounds=(low, high),
        loss="soft_l1", f_scale=SOFT, diff_step=0.01, max_nfev=steps,
    )  # fmt: skip
    information = result.jac.T @ result.jac  # the priors' rows are in it, so it has an inverse
    shrunk = np.sqrt(np.diag(np.linalg.inv(information))) * weight
    certainty = dict(zip(keys, np.clip(1.0 - shrunk, 0.0, 1.0).tolist(), strict=True))
    return Posterior(value(result.x), certainty)
