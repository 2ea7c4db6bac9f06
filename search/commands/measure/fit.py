"""Constants of ``ShapedLaw`` from timings. No torch here.

A group of constants is fitted together: the shared rates, products and streams first, then attention. The misfit is
soft-L1 on log(predicted / measured), as in ``search.evidence.kernels.fitting``, from the class defaults. What the grid
cannot determine is not left to the optimiser: a constant whose standard error in the logarithm is above ``UNCERTAIN``
is set to its class default, one at a time, the worst first, and the rest is fitted again. Constants that end at a limit
of their range (a share of 1, an overhead of nothing) are kept there and named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from costmodel.hardware import Accelerator
from costmodel.laws import StreamLaw
from costmodel.laws.rates import HALVINGS, Rates
from costmodel.operations import Work
from search.commands.measure.records import Timing, column, work
from search.evidence.kernels.fitting import BY_CUBLAS, LAWS, Constants

UNCERTAIN = 0.5  # standard error of a constant's logarithm: a factor of 1.6 either way
NOISE = 0.05  # timings are not trusted to better than this, however well they fit
RANGE = 1e4  # a constant may end this far from its class default
FOLDS = 5

Key = tuple[str, str]
QUANTISING = ("quantise_s", "quantise_k_step_s")  # of products in one byte or less, alone
# The constants fitted together, with the kinds of call that they are fitted on. ``io_passes`` of prompts is not among
# them: the kernels around the bare one, which it stands for, are not measured.
GROUPS: dict[str, tuple[tuple[Key, ...], tuple[str, ...]]] = {
    "gemm": (
        (
            ("rates", "bandwidth_share"), ("rates", "halving_share"), ("gemm", "peak_share"), ("gemm", "launch_s"),
            ("gemm", "k_step_s"), *(("gemm", name) for name in QUANTISING), ("elementwise", "launch_s"),
        ),
        ("gemm", "elementwise"),
    ),
    "prefill": (
        (
            ("prefill", "peak_share"), ("prefill", "exponentials_per_s"), ("prefill", "tile_tokens"),
            ("prefill", "launch_s"),
        ),
        ("prefill",),
    ),
    "decode": (
        (
            ("decode", "peak_share"), ("decode", "tile_tokens"), ("decode", "head_bytes"), ("decode", "split_s"),
            ("decode", "launch_s"),
        ),
        ("decode",),
    ),
}  # fmt: skip
BARE_PASSES = 1.0  # of a prompt's queries and outputs, by the kernel that is timed


@dataclass(frozen=True)
class Batch:
    """Calls of one kind and dtype as arrays."""

    kind: str
    work: Work
    seconds: np.ndarray


@dataclass
class Report:
    """How one kind was fitted. ``left_out_error``: of calls that were not in their own fit (``FOLDS`` folds)."""

    rows: int
    kernels: list[str]
    dtypes: list[str]
    median_error: float
    left_out_error: float


@dataclass
class Fitted:
    """``constants`` in the form of ``conf/law``; ``undetermined`` ones are class defaults, ``at_limit`` ended there."""

    constants: Constants
    reports: dict[str, Report] = field(default_factory=dict)
    undetermined: list[Key] = field(default_factory=list)
    at_limit: list[Key] = field(default_factory=list)


def fit(timings: Sequence[Timing], chip: Accelerator, defaults: Mapping[str, Mapping[str, float]]) -> Fitted:
    """The law of ``chip``, whose peaks and bandwidth the shares are shares of. Kinds that were not measured, and
    groups with too few calls, keep the ``defaults``; products of experts come to the share of the peak of others."""
    out = Fitted({part: dict(values) for part, values in defaults.items()})
    for keys, kinds in GROUPS.values():
        rows = [row for row in timings if row.kind in kinds]
        keys = tuple(key for key in keys if _concerned(key, rows, chip))
        if len(rows) < 2 * len(keys) or not rows:
            out.undetermined += keys
            continue
        found, unsure, limits = _solve(keys, batches(rows), out.constants, chip)
        for part, name in keys:
            out.constants[part][name] = found[part][name]
        out.undetermined += unsure
        out.at_limit += limits
        free = tuple(key for key in keys if key not in unsure and key not in limits)
        left_out = _left_out(free, rows, found, chip)
        for kind in kinds:
            if here := [row for row in rows if row.kind == kind]:
                out.reports[kind] = Report(
                    len(here),
                    sorted({row.kernel for row in here}),
                    sorted({row.dtype for row in here}),
                    _median_error(found, batches(here), chip),
                    left_out[kind],
                )
    out.constants["experts"]["peak_share"] = out.constants["gemm"]["peak_share"]
    return out


def batches(rows: Sequence[Timing]) -> list[Batch]:
    """Grouped by kind and dtype, as laws are asked."""
    out = []
    for kind, dtype in sorted({(row.kind, row.dtype) for row in rows}):
        here = [row for row in rows if (row.kind, row.dtype) == (kind, dtype)]
        out.append(Batch(kind, work(here), column(here, "seconds")))
    return out


def predict(constants: Mapping[str, Mapping[str, float]], batch: Batch, chip: Accelerator) -> np.ndarray:
    """Seconds of each call. A prompt's kernel is alone here, so its inputs and outputs travel once; torch has cuBLAS
    multiply FP8."""
    rates = Rates(**constants["rates"])
    law: Any
    if batch.kind == "elementwise":
        law = StreamLaw(**constants["elementwise"])
    elif batch.kind == "prefill":
        law = LAWS["prefill"](**{**constants["prefill"], "io_passes": BARE_PASSES})
    elif batch.kind == "gemm":
        law = LAWS["gemm"](**constants["gemm"], even=BY_CUBLAS)
    else:
        law = LAWS[batch.kind](**constants[batch.kind])
    return np.asarray(law.times(batch.work, chip, rates).seconds, dtype=float)


def _concerned(key: Key, rows: Sequence[Timing], chip: Accelerator) -> bool:
    """Whether any call is of the sort that the constant describes."""
    if key[1] in ("halving_share", *QUANTISING):
        return any(row.kind == "gemm" and HALVINGS.get(chip.compute_dtype(row.dtype), 0) for row in rows)
    if key[0] == "rates":
        return True
    return any(row.kind == key[0] for row in rows)


def _residuals(constants: Constants, data: Sequence[Batch], chip: Accelerator) -> np.ndarray:
    return np.concatenate([np.log(predict(constants, b, chip)) - np.log(b.seconds) for b in data])


def _median_error(constants: Constants, data: Sequence[Batch], chip: Accelerator) -> float:
    return float(np.median(np.abs(np.exp(_residuals(constants, data, chip)) - 1.0)))


def _limits(keys: Sequence[Key], base: Constants) -> tuple[np.ndarray, np.ndarray]:
    """Of the logarithms."""
    start = np.log([base[part][name] for part, name in keys])
    lower = start - np.log(RANGE)
    shares = np.array([name.endswith("_share") for _, name in keys])
    return lower, np.where(shares, 0.0, start + np.log(RANGE))


def _minimise(keys: Sequence[Key], data: Sequence[Batch], base: Constants, at: Constants, chip: Accelerator) -> Any:
    """``at``: where to start from; ``base``: the class defaults that the limits are counted from."""
    lower, upper = _limits(keys, base)
    begin = np.log([at[part][name] for part, name in keys])
    begin = np.clip(begin, lower + 1e-3, upper - 1e-3)

    def residuals(x: np.ndarray) -> np.ndarray:
        return _residuals(_with(at, keys, x), data, chip)

    return least_squares(residuals, begin, bounds=(lower, upper), loss="soft_l1", f_scale=0.1, max_nfev=200)


def _with(constants: Constants, keys: Sequence[Key], logarithms: np.ndarray) -> Constants:
    out = {part: dict(values) for part, values in constants.items()}
    for (part, name), value in zip(keys, np.exp(logarithms), strict=True):
        out[part][name] = min(float(value), 1.0) if name.endswith("_share") else float(value)
    return out


def _solve(
    keys: Sequence[Key], data: Sequence[Batch], base: Constants, chip: Accelerator
) -> tuple[Constants, list[Key], list[Key]]:
    """Constants, those not determined (at ``base``), those at a limit."""
    free, unsure, limits = list(keys), [], []
    at = base
    while free:
        found = _minimise(free, data, base, at, chip)
        at = _with(at, free, found.x)
        lower, upper = _limits(free, base)
        stuck = [key for key, x, a, b in zip(free, found.x, lower, upper, strict=True) if x - a < 0.05 or b - x < 1e-3]
        if stuck:
            limits += stuck
            free = [key for key in free if key not in stuck]
            continue
        doubt = _standard_errors(found)
        worst = int(np.argmax(doubt))
        if doubt[worst] <= UNCERTAIN:
            break
        part, name = free.pop(worst)
        unsure.append((part, name))
        at[part][name] = base[part][name]
    return at, unsure, limits


def _standard_errors(found: Any) -> np.ndarray:
    """Of the logarithms of the constants, from the curvature at the solution."""
    jacobian = np.asarray(found.jac)
    rows, count = jacobian.shape
    variance = max(2.0 * float(found.cost) / max(1, rows - count), NOISE**2)
    curvature = jacobian.T @ jacobian + 1e-9 * np.eye(count)
    errors: np.ndarray = np.sqrt(variance * np.diag(np.linalg.inv(curvature)))
    return errors


def _left_out(free: Sequence[Key], rows: Sequence[Timing], found: Constants, chip: Accelerator) -> dict[str, float]:
    """Median error by kind of calls predicted by a fit without them; calls are dealt to ``FOLDS`` hands at random."""
    hand = np.random.default_rng(0).permutation(len(rows)) % FOLDS
    errors: dict[str, list[float]] = {}
    for fold in range(FOLDS):
        inside = [row for row, h in zip(rows, hand, strict=True) if h != fold]
        outside = [row for row, h in zip(rows, hand, strict=True) if h == fold]
        at = found
        if free and inside:
            solved = _minimise(free, batches(inside), found, found, chip)
            at = _with(found, free, solved.x)
        for batch in batches(outside):
            off = np.abs(predict(at, batch, chip) / batch.seconds - 1.0)
            errors.setdefault(batch.kind, []).extend(off.tolist())
    return {kind: float(np.median(values)) for kind, values in errors.items()}
