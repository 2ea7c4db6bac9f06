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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from costmodel.engine import Engine
from costmodel.plans import Array
from search.evidence.measured.cases import Case
from search.evidence.measured.grouped import Change, Read, measured, predict, with_constants
from search.evidence.measured.linear import Key, Linear, linearise, solve
from search.inputs.efficiency_laws import read_law
from search.inputs.hardware_catalog import load_hardware
from search.inputs.schema import EngineConfig

TTFT_WEIGHT = 0.3
PRIOR_SIGMA = 1.0  # a factor e either way is one standard deviation
OWNER_WEIGHT = 0.05  # what one standard deviation from the typical value, or of a firm prior, costs, as a residual
SETTLED = 0.005  # a round that moves no logarithm by more was the last
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
    Constant("stream_token_s", 3e-5, 1e-7, 5e-4, sigma=1.0),
)
SHARED_CONSTANTS = (
    Constant("eager_launch_s", 5e-5, 1e-6, 1e-3),
    Constant("sequence_overhead_s", 1e-5, 1e-7, 2e-4),
    # A model of 8B answers one request within 10 ms of which the GPU needs half (NVIDIA NIM 1.8, one H100), and fast
    # tokenizers read some 200,000 tokens a second. A request is held at twice what that leaves, which rows left out do
    # not mind (TTFT 24.7 % off with 4 ms, 24.5 with 10). Held within a tenth: left to the rows they take up what long
    # prompts of models with experts lack (12 us a token, where gpt-oss on B200, whose prompts hardly cost the GPU
    # anything, shows 3 to 4: docs/fidelity.md).
    Constant("request_overhead_s", 0.01, 1e-3, 1.0, sigma=0.1, firm=True),
    Constant("prompt_token_s", 5e-6, 1e-8, 1e-4, sigma=0.1, firm=True),
    Constant("expert_skew", 0.5, 0.01, 10.0),
)
# For versions of an engine that ``search.evidence.measured.versions`` marks by a value other than 1.
VERSION_CONSTANTS = (
    Constant("expert_stretch", 1.2, 0.5, 3.0),
    Constant("draft_acceptance", 0.7, 0.2, 0.98),
)
ACCELERATOR_CONSTANTS = (Constant("sustained_share", 1.0, 0.4, 1.6, sigma=0.2),)
# Accelerators that share a constant; any other is a generation of its own.
GENERATIONS = {
    **dict.fromkeys(("h100_sxm", "h200_sxm", "gh200", "h800"), "hopper"),
    **dict.fromkeys(("b200_sxm", "b300_sxm", "gb200", "gb300"), "blackwell"),
}
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
            if c not in VERSION_CONSTANTS or marked(case.scenario.engine, c.name)
        }
        law = read_law(load_hardware(case.hardware).efficiency)
        typical = fitted.get((SHARED, "sustained_share"))
        return with_constants(case.scenario, law, values, fitted.get((generation(case), "sustained_share"), typical))

    return change  # type: ignore[return-value]


def marked(engine: Engine, name: str) -> bool:
    """True if a version's or a launch script's constant is in use."""
    return engine.drafts > 0 if name == "draft_acceptance" else engine.expert_stretch != 1.0


def errors(read: Read, fitted: Fitted) -> Array:
    """Log errors of TPOT and TTFT of the rows that have a case, shape (2, rows); 0 where nothing was measured or, of
    TTFT, where sequences wait for the cache."""
    found = predict(read, apply(fitted))
    ttft, tpot, _ = measured(read, found.places)
    first = np.where(found.waiting, 0.0, np.clip(np.log(found.ttft_s / ttft), -2.0, 2.0))
    return np.nan_to_num(np.stack([np.log(found.tpot_s / tpot), first]))


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


def fit(read: Read, keep: NDArray[np.bool_], *, rounds: int = 3, start: Fitted | None = None) -> dict[Key, float]:
    """Constants for the engines and generations of the rows in ``keep`` (a mask over the file), and typical ones."""
    inside = _only(read, keep)
    return _solve(inside, wanted(inside), rounds, start or {}).values


def fit_around(read: Read, keep: NDArray[np.bool_], centres: Fitted, *, rounds: int = 10) -> Posterior:
    """The constants that ``centres`` names, with priors around its values."""
    inside = _only(read, keep)
    return _solve(inside, slots_around(centres, _families(inside)), rounds, {})


def wanted(read: Read) -> list[Slot]:
    """What a fit to all of ``read`` finds."""
    cases = read.cases.values()
    engines, generations = sorted({c.engine for c in cases}), sorted({generation(c) for c in cases})
    return slots(engines, generations, _families(read))


def linear_around(read: Read, fitted: Fitted) -> Linear:
    """Slopes for ``fit_linear``, at constants fitted to all of ``read``."""
    return linearise(read, errors, {s.key: fitted[s.key] for s in wanted(read)}, _touches)


def fit_linear(read: Read, linear: Linear, keep: NDArray[np.bool_]) -> dict[Key, float]:
    """``fit`` to the rows in ``keep`` with slopes that were taken around a fit to all."""
    inside, rows = _only(read, keep), np.array([keep[i] for i in read.cases], dtype=bool)
    sought = slots(*_owners(linear.keys), _families(inside))
    return _step(inside, linear.only(rows), sought).values


def _owners(keys: Sequence[Key]) -> tuple[list[str], list[str]]:
    """Engines and generations that have constants of their own."""
    engines, others = {c.name for c in CONSTANTS}, {c.name for c in ACCELERATOR_CONSTANTS}
    return tuple(sorted({o for o, n in keys if n in names and o != SHARED}) for names in (engines, others))  # type: ignore[return-value]


def _only(read: Read, keep: NDArray[np.bool_]) -> Read:
    return Read(read.rows, {i: case for i, case in read.cases.items() if keep[i]}, {})


def _families(read: Read) -> int:
    return len({read.rows[i].family for i in read.cases})


def _touches(case: Case, key: Key) -> bool:
    """True if a constant may change a case's prediction. A typical engine's matter to no measured one."""
    owner, name = key
    if any(name == c.name for c in VERSION_CONSTANTS):
        return marked(case.scenario.engine, name)
    own = any(name == c.name for c in (*CONSTANTS, *ACCELERATOR_CONSTANTS))
    return owner in (case.engine, generation(case)) if own else True


def _solve(read: Read, sought: list[Slot], rounds: int, start: Fitted) -> Posterior:
    """Gauss-Newton: slopes where the last round ended."""
    values = {s.key: float(np.clip(start.get(s.key, _first(s)), s.constant.low, s.constant.high)) for s in sought}
    found = Posterior(values, dict.fromkeys(values, 0.0))
    for _ in range(rounds):
        before = found.values
        found = _step(read, linearise(read, errors, before, _touches), sought)
        if max(abs(float(np.log(found.values[key] / before[key]))) for key in before) < SETTLED:
            break
    return found


def _first(slot: Slot) -> float:
    return slot.towards if isinstance(slot.towards, float) else slot.constant.centre


def _step(read: Read, linear: Linear, sought: list[Slot]) -> Posterior:
    keys = [slot.key for slot in sought]
    bounds = np.log([s.constant.low for s in sought]), np.log([s.constant.high for s in sought])
    names = [read.rows[i].family for i in read.cases]
    sizes = {name: names.count(name) for name in set(names)}
    weight = np.array([sizes[name] ** -0.5 for name in names]) * np.array([[1.0], [TTFT_WEIGHT]])
    matrix, aim = np.zeros((len(keys), len(keys))), np.zeros(len(keys))
    for row, slot in enumerate(sought):
        matrix[row, row] = slot.weight
        if isinstance(slot.towards, tuple):
            matrix[row, keys.index(slot.towards)] = -slot.weight
        else:
            aim[row] = slot.weight * np.log(slot.towards)
    logs, jacobian = solve(linear, weight, (matrix, aim), bounds, SOFT)
    information = jacobian.T @ jacobian  # the priors' rows are in it, so it has an inverse
    shrunk = np.sqrt(np.diag(np.linalg.inv(information))) * np.array([s.weight for s in sought])
    certainty = dict(zip(keys, np.clip(1.0 - shrunk, 0.0, 1.0).tolist(), strict=True))
    return Posterior(dict(zip(keys, np.exp(logs).tolist(), strict=True)), certainty)
