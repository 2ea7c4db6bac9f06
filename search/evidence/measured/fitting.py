"""Fitting the engines' constants to measurements: few, named, with priors.

The constants are those of ``CONSTANTS``, one of each for every engine, ``ACCELERATOR_CONSTANTS``, one of each for every
generation of accelerators, and ``SHARED_CONSTANTS``, one for all. Residuals
are logarithms of predicted over measured TPOT (weight 1) and TTFT (weight ``TTFT_WEIGHT``; rows whose sequences wait
for the cache are left to the memory model), each family weighing as much as the square root of its rows. Losses are
soft (``soft_l1``), so that an odd family does not rule.

Engines do the same work, so an engine's constant is held near the value of a typical engine, which is fitted too and
stands for engines that nobody measured: its residual is log(value / typical) / ``sigma``, worth about as much as one
family. So it is with generations. The typical values and the shared ones have weak priors around ``centre``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from costmodel.plans import Array
from search.evidence.measured.cases import Case
from search.evidence.measured.grouped import Change, Read, measured, predict, with_constants
from search.inputs.efficiency_laws import read_law
from search.inputs.hardware_catalog import load_hardware
from search.inputs.schema import EngineConfig

TTFT_WEIGHT = 0.3
PRIOR_SIGMA = 1.0  # a factor e either way is one standard deviation
OWNER_WEIGHT = 0.05  # what one standard deviation from the typical value, or of a firm prior, costs, as a residual
SOFT = 0.05  # residuals beyond 5 % count less than squared
SHARED = "all"


@dataclass(frozen=True)
class Constant:
    """``name`` of the field; ``centre`` of the prior and plausible range, in the field's unit; ``sigma`` of an owner's
    logarithm around the typical value, and of a ``firm`` constant's around its centre: one of which something is known
    beside the measurements."""

    name: str
    centre: float
    low: float
    high: float
    sigma: float = 0.7
    firm: bool = False


CONSTANTS = (
    Constant("launch_share", 1.0, 0.1, 3.0),
    Constant("eager_experts_s", 5e-4, 1e-6, 1e-2, sigma=1.0),
)
SHARED_CONSTANTS = (
    Constant("eager_launch_s", 5e-5, 1e-6, 1e-3),
    Constant("sequence_overhead_s", 1e-5, 1e-7, 2e-4),
    # A model of 8B answers one request within 10 ms of which the GPU needs half (NVIDIA NIM 1.8, one H100), and fast
    # tokenizers read some 200,000 tokens a second.
    Constant("request_overhead_s", 0.01, 1e-3, 1.0, firm=True),
    Constant("prompt_token_s", 5e-6, 1e-8, 1e-4, firm=True),
    Constant("stream_token_s", 5e-5, 1e-6, 5e-4),
    Constant("expert_skew", 0.5, 0.01, 10.0),
)
# For versions of an engine that ``search.evidence.measured.versions`` marks by a value other than 1.
VERSION_CONSTANTS = (Constant("expert_stretch", 1.2, 0.5, 3.0),)
ACCELERATOR_CONSTANTS = (Constant("sustained_share", 1.0, 0.4, 1.6, sigma=0.2),)
# Accelerators that share a constant; any other is a generation of its own.
GENERATIONS = {
    **dict.fromkeys(("h100_sxm", "h200_sxm", "gh200", "h800"), "hopper"),
    **dict.fromkeys(("b200_sxm", "b300_sxm", "gb200", "gb300"), "blackwell"),
}
Key = tuple[str, str]  # (engine, generation or ``all``; constant)
Fitted = Mapping[Key, float]


def generation(case: Case) -> str:
    """Whose accelerator constants a case takes."""
    return GENERATIONS.get(case.hardware, case.hardware)


def centred(engine: EngineConfig) -> Fitted:
    """The constants of an engine's file, as centres of priors. Zero has no logarithm; the range's low end stands for
    it."""
    values = {(engine.name, c.name): max(getattr(engine, c.name), c.low) for c in CONSTANTS}
    return values | {(SHARED, c.name): max(getattr(engine, c.name), c.low) for c in SHARED_CONSTANTS}


def apply(fitted: Fitted) -> Change:
    """A change of scenarios to fitted constants. An engine or accelerator without any takes those of the typical one;
    where ``fitted`` has no typical accelerator, an accelerator keeps its own."""

    def change(scenario: object, case: Case) -> object:
        values = {
            c.name: fitted.get((case.engine, c.name), fitted.get((SHARED, c.name), c.centre))
            for c in (*CONSTANTS, *SHARED_CONSTANTS, *VERSION_CONSTANTS)
            if c not in VERSION_CONSTANTS or getattr(case.scenario.engine, c.name) != 1.0
        }
        law = read_law(load_hardware(case.hardware).efficiency)
        typical = fitted.get((SHARED, "sustained_share"))
        return with_constants(case.scenario, law, values, fitted.get((generation(case), "sustained_share"), typical))

    return change  # type: ignore[return-value]


def residuals(read: Read, fitted: Fitted) -> Array:
    """Weighted log errors of the rows that have a case."""
    found = predict(read, apply(fitted))
    ttft, tpot, _ = measured(read, found.places)
    first = np.where(found.waiting, 0.0, np.clip(np.log(found.ttft_s / ttft), -2.0, 2.0))
    return np.nan_to_num(np.concatenate([np.log(found.tpot_s / tpot), TTFT_WEIGHT * first]))


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


def slots(engines: list[str], generations: list[str], families: int) -> list[Slot]:
    """What is fitted: the typical engine and accelerator, each one around it, and the constants of all."""
    weak = SOFT / max(families, 1) ** 0.5 / PRIOR_SIGMA
    typical = (*CONSTANTS, *ACCELERATOR_CONSTANTS, *SHARED_CONSTANTS, *VERSION_CONSTANTS)
    found = [Slot((SHARED, c.name), c, c.centre, OWNER_WEIGHT / c.sigma if c.firm else weak) for c in typical]
    owned = [(e, c) for e in engines for c in CONSTANTS] + [(g, c) for g in generations for c in ACCELERATOR_CONSTANTS]
    return found + [Slot((owner, c.name), c, (SHARED, c.name), OWNER_WEIGHT / c.sigma) for owner, c in owned]


def slots_around(centres: Fitted, families: int) -> list[Slot]:
    """The constants that ``centres`` names, each around a value known before."""
    weak = SOFT / max(families, 1) ** 0.5 / PRIOR_SIGMA
    constants = {c.name: c for c in (*CONSTANTS, *ACCELERATOR_CONSTANTS, *SHARED_CONSTANTS)}
    return [Slot(key, constants[key[1]], value, weak) for key, value in centres.items()]


def fit(read: Read, keep: NDArray[np.bool_], *, steps: int = 10, start: Fitted | None = None) -> dict[Key, float]:
    """Constants for the engines and generations of the rows in ``keep`` (a mask over the file), and typical ones."""
    cases = [case for i, case in read.cases.items() if keep[i]]
    engines, generations = sorted({c.engine for c in cases}), sorted({generation(c) for c in cases})
    return _solve(read, keep, slots(engines, generations, _families(read, keep)), steps, start or {}).values


def fit_around(read: Read, keep: NDArray[np.bool_], centres: Fitted, *, steps: int = 10) -> Posterior:
    """The constants that ``centres`` names, with priors around its values."""
    return _solve(read, keep, slots_around(centres, _families(read, keep)), steps, {})


def _families(read: Read, keep: NDArray[np.bool_]) -> int:
    return len({read.rows[i].family for i in read.cases if keep[i]})


class _Blocks:
    """Residuals of the rows in ``keep``, those of one engine and generation together: a step of the fit that changes
    another's constants need not predict them again."""

    def __init__(self, read: Read, keep: NDArray[np.bool_]) -> None:
        chosen = {i: case for i, case in read.cases.items() if keep[i]}
        names = [read.rows[i].family for i in chosen]
        sizes = {name: names.count(name) for name in set(names)}
        pairs = sorted({(case.engine, generation(case)) for case in chosen.values()})
        self.parts = []
        for pair in pairs:
            own = {i: case for i, case in chosen.items() if (case.engine, generation(case)) == pair}
            weight = np.array([sizes[read.rows[i].family] ** -0.5 for i in own])
            self.parts.append(((*pair, SHARED), Read(read.rows, own, {}), np.concatenate([weight, weight])))
        self.known: dict[tuple[object, ...], Array] = {}

    def at(self, fitted: Fitted) -> Array:
        found = []
        for owners, read, weight in self.parts:
            # A typical engine's constants matter to no measured one: the engine's own stand before them.
            names = {name for owner, name in fitted if owner != SHARED and owner in owners}
            mine = {k: v for k, v in fitted.items() if k[0] in owners and (k[0] != SHARED or k[1] not in names)}
            place = (owners, *mine.values())
            if place not in self.known:
                if len(self.known) > 256:
                    self.known.clear()
                self.known[place] = weight * residuals(read, mine)
            found.append(self.known[place])
        return np.concatenate([np.zeros(0), *found])  # with nothing kept the priors decide alone


def _solve(read: Read, keep: NDArray[np.bool_], wanted: list[Slot], steps: int, start: Fitted) -> Posterior:
    from scipy.optimize import least_squares

    keys = [slot.key for slot in wanted]
    low, high = np.log([s.constant.low for s in wanted]), np.log([s.constant.high for s in wanted])
    weight = np.array([s.weight for s in wanted])
    blocks = _Blocks(read, keep)

    def value(logs: Array) -> dict[Key, float]:
        return dict(zip(keys, np.exp(logs).tolist(), strict=True))

    def towards(logs: Array) -> Array:
        at = dict(zip(keys, logs.tolist(), strict=True))
        return np.array([at[s.towards] if isinstance(s.towards, tuple) else np.log(s.towards) for s in wanted])

    def objective(logs: Array) -> Array:
        return np.concatenate([blocks.at(value(logs)), weight * (logs - towards(logs))])

    first = [start.get(s.key, s.towards if isinstance(s.towards, float) else s.constant.centre) for s in wanted]
    result = least_squares(
        objective, np.clip(np.log(first), low + 1e-6, high - 1e-6), bounds=(low, high),
        loss="soft_l1", f_scale=SOFT, diff_step=0.01, max_nfev=steps,
    )  # fmt: skip
    information = result.jac.T @ result.jac  # the priors' rows are in it, so it has an inverse
    shrunk = np.sqrt(np.diag(np.linalg.inv(information))) * weight
    certainty = dict(zip(keys, np.clip(1.0 - shrunk, 0.0, 1.0).tolist(), strict=True))
    return Posterior(value(result.x), certainty)
