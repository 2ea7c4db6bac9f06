"""How the intervals of ``conf/intervals.yaml`` are made from residuals of rows whose family took no part in the fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from costmodel.plans import Array
from search.base.paths import conf_dir
from search.evidence.measured.cases import Case
from search.evidence.measured.errors import age
from search.evidence.measured.errors import measured as actual_value
from search.evidence.measured.grouped import Figures, Read, measured
from search.evidence.measured.intervals import ACCELERATORS, ENGINES, FEW, KEYS, LOADS, covered_key
from search.evidence.measured.predict import UNFIT, Prediction
from search.evidence.measured.predict import predict as predict_all
from search.evidence.measured.rows import Measurement
from search.inputs.hardware_catalog import find_hardware

ROUNDS = 12  # of factors by engine, accelerator and load in turn
FEWEST = 3  # families that a class of its own needs; with fewer it borrows the next wider one
WIDENED = 1.5  # a class without residuals: logarithms of the widest measured class's bounds, times this
Bounds = dict[str, tuple[float, float]]
NAMES = {"ttft_s": "TTFT", "tpot_s": "TPOT", "output_tokens_per_s": "tokens/s/GPU"}


def residuals(read: Read, found: Figures, column: int) -> Array:
    """log(measured / predicted) of a figure, in the order of ``found.places``."""
    predicted = (found.ttft_s, found.tpot_s, found.tokens_per_s_per_gpu)[column]
    return np.log(measured(read, found.places)[column] / predicted)


def labels_of(read: Read, found: Figures) -> NDArray[np.str_]:
    return np.array([str(read.rows[i].family) for i in found.places])


def quantiles(values: Array, labels: NDArray[np.str_]) -> tuple[float, float]:
    """10th and 90th percentile of ``values``, each label weighing as the square root of its rows."""
    known = np.isfinite(values)
    low, high = (weighted_quantile(values[known], labels[known], q) for q in (0.1, 0.9))
    return low, high


def weighted_quantile(values: Array, labels: NDArray[np.str_], q: float) -> float:
    """The quantile ``q`` of ``values``, each label weighing as the square root of its rows (as in the fit)."""
    counts = {label: int((labels == label).sum()) for label in set(labels.tolist())}
    weight = np.array([counts[label] ** -0.5 for label in labels.tolist()])
    order = np.argsort(values)
    share = (np.cumsum(weight[order]) - weight[order] / 2) / weight.sum()
    return float(np.interp(q, share, values[order]))


def bounds(read: Read, found: Figures, values: Array, rows: NDArray[np.bool_] | None = None) -> tuple[float, float]:
    """Factors on a prediction; they hold 1."""
    rows = np.ones(len(values), dtype=bool) if rows is None else rows
    return factors_of(values[rows], labels_of(read, found)[rows])


def factors_of(values: Array, labels: NDArray[np.str_]) -> tuple[float, float]:
    """The same of residuals alone."""
    low, high = quantiles(values, labels)
    return min(float(np.exp(low)), 1.0), max(float(np.exp(high)), 1.0)


def known_bounds(read: Read, found: Figures, values: Array) -> Bounds:
    """Factors of closed loops whose accelerator and engine are known: all together (``covered``), by engine, and where
    sequences wait for the cache. An engine of fewer than ``FEWEST`` families borrows what all have; rows that wait are
    never surer than others."""
    covered = bounds(read, found, values, ~found.waiting)
    queued = [bounds(read, found, values, found.waiting)] if found.waiting.any() else []
    table = {"covered": covered, "waiting": hull(covered, *queued)}
    engines = np.array([read.cases[i].engine for i in found.places])
    labels = labels_of(read, found)
    for engine in ENGINES:
        rows = (engines == engine) & ~found.waiting
        own = len(set(labels[rows].tolist())) >= FEWEST
        table[f"covered_{engine}"] = bounds(read, found, values, rows) if own else covered
    return table


def widened(
    covered: tuple[float, float], read: Read, found: Figures, fitted: Figures, column: int
) -> tuple[float, float]:
    """``covered`` and what not knowing something adds, in quadrature of logarithms: the spread of the predictions with
    and without that knowledge."""
    with_it, without = ((f.ttft_s, f.tpot_s, f.tokens_per_s_per_gpu)[column] for f in (fitted, found))
    both = ~(fitted.waiting | found.waiting)
    low, high = quantiles(np.log(with_it / without)[both], labels_of(read, found)[both])
    inner = np.log(covered)
    return float(np.exp(-np.hypot(inner[0], low))), float(np.exp(np.hypot(inner[1], high)))


Factors = dict[str, dict[str, float]]


def inflation(read: Read, nested: Figures, column: int, table: Bounds) -> Factors:
    """How many times wider (in logarithms) the bounds of ``table`` must be for 80 % of the rows whose terms and
    constants the other families chose to lie inside: by engine, accelerator and load, whose factors multiply. Each is
    the 80th percentile of what its rows need beside the other two, in turn until they stand. A group of fewer than
    ``FEWEST`` families takes what all rows need (engines), or the largest of the others."""
    values, labels = residuals(read, nested, column), labels_of(read, nested)
    groups = groups_of_rows(read, nested)
    usual = [f"covered_{engine}" for engine in groups["engine"].tolist()]
    needed = np.array([shortfall(v, table[k]) for v, k in zip(values.tolist(), usual, strict=True)])
    known = np.isfinite(needed) & ~nested.waiting
    found: Factors = {name: {} for name in groups}
    for _ in range(ROUNDS):
        for name, of in groups.items():
            beside = np.ones(len(needed))
            for other in groups:
                if other != name:
                    beside *= [found[other].get(value, 1.0) for value in groups[other].tolist()]
            for value in sorted(set(of[known].tolist())):
                rows = known & (of == value)
                if len(set(labels[rows].tolist())) >= FEWEST:
                    found[name][value] = weighted_quantile(needed[rows] / beside[rows], labels[rows], 0.8)
    everybody = weighted_quantile(needed[known], labels[known], 0.8)
    for name, values_of in (("engine", ENGINES), ("accelerator", ACCELERATORS), ("load", LOADS)):
        borrowed = everybody if name == "engine" else max(found[name].values(), default=1.0)
        found[name] = {value: found[name].get(value, borrowed) for value in values_of}
    found["all"] = {"all": everybody}
    return found


def with_factors(table: Bounds, by: Factors) -> Bounds:
    """The bounds of engines stretched for each accelerator and load; those of an engine alone, of all and of rows that
    wait for the cache take the widest factors that apply, and are never narrower than what they hold."""
    wide = Bounds()
    for engine in ENGINES:
        usual = table[f"covered_{engine}"]
        for accelerator in ACCELERATORS:
            for load in LOADS:
                times = by["engine"][engine] * by["accelerator"][accelerator] * by["load"][load]
                wide[covered_key(engine, accelerator, load)] = stretched(usual, times)
        wide[f"covered_{engine}"] = hull(*(v for k, v in wide.items() if k.startswith(f"covered_{engine}_")))
    wide["covered"] = stretched(table["covered"], by["all"]["all"])
    wide["waiting"] = hull(stretched(table["waiting"], by["all"]["all"]), *wide.values())
    return wide


def groups_of_rows(read: Read, found: Figures) -> dict[str, NDArray[np.str_]]:
    """Engine, accelerator and load of each row."""
    cases = [read.cases[i] for i in found.places]
    return {
        "engine": np.array([case.engine for case in cases]),
        "accelerator": np.array([case.hardware for case in cases]),
        "load": np.array([LOADS[in_flight_a_gpu(case) > FEW] for case in cases]),
    }


def in_flight_a_gpu(case: Case) -> float:
    return float(case.plan.dp[0] * case.plan.batch[0] / case.plan.gpus[0])


def shortfall(value: float, factors: tuple[float, float]) -> float:
    """By how much a residual exceeds the bound on its side."""
    low, high = np.log(factors)
    bound = high if value > 0 else -low
    return abs(value) / max(float(bound), 1e-3)


def keys_of(read: Read, found: Figures) -> list[str]:
    """Rows of the table of intervals, of closed loops whose accelerator and engine are known."""
    groups = groups_of_rows(read, found)
    named = zip(*(groups[name].tolist() for name in ("engine", "accelerator", "load")), strict=True)
    own = [covered_key(*names) for names in named]
    return ["waiting" if waiting else key for key, waiting in zip(own, found.waiting.tolist(), strict=True)]


def inside(read: Read, found: Figures, column: int, table: Bounds) -> NDArray[np.bool_]:
    """Whether each row lies inside its interval; what it does not measure does not."""
    values = residuals(read, found, column).tolist()
    return np.array([shortfall(v, table[k]) <= 1.0 for v, k in zip(values, keys_of(read, found), strict=True)])


def widths(read: Read, strict: Figures, nested: Figures, column: int) -> tuple[Bounds, Factors]:
    """The table of closed loops whose accelerator and engine are known, and the factors in it: bounds of what was
    strictly left out, as much wider as ``nested`` asks for."""
    table = known_bounds(read, strict, residuals(read, strict, column))
    by = inflation(read, nested, column, table)
    return with_factors(table, by), by


def held_by_others(read: Read, strict: Figures, nested: Figures, column: int) -> NDArray[np.bool_]:
    """Whether each row of ``nested`` lies inside the interval that the other families' rows give."""
    labels, own = labels_of(read, nested), labels_of(read, strict)
    held = np.zeros(len(nested.places), dtype=bool)
    for family in sorted(set(labels.tolist())):
        mine = labels == family
        if (own != family).any():
            table, _ = widths(read, strict.only(own != family), nested.only(~mine), column)
            held[mine] = inside(read, nested.only(mine), column, table)
    return held


def coverages(read: Read, found: Figures, column: int, table: Bounds) -> dict[str, tuple[float, int]]:
    """Share of rows inside, and their number, over all, by engine, by accelerator and by load."""
    return shares(read, found, column, inside(read, found, column, table))


def shares(read: Read, found: Figures, column: int, held: NDArray[np.bool_]) -> dict[str, tuple[float, int]]:
    """The same of rows that are ``held``."""
    known = np.isfinite(residuals(read, found, column))
    groups = {"all": known}
    for names in groups_of_rows(read, found).values():
        groups |= {str(name): known & (names == name) for name in sorted(set(names.tolist()))}
    return {name: (float(held[rows].mean()), int(rows.sum())) for name, rows in groups.items()}


def stretched(factors: tuple[float, float], by: float) -> tuple[float, float]:
    """Factors whose logarithms are ``by`` times as large."""
    return factors[0] ** by, factors[1] ** by


def hull(*factors: tuple[float, float]) -> tuple[float, float]:
    """The narrowest factors that hold all: what lacks more is never surer."""
    return min(low for low, _ in factors), max(high for _, high in factors)


def published_bounds(printed: list[Measurement]) -> dict[str, dict[str, tuple[float, float]]]:
    """Factors by figure of ``published`` and ``offline``, and what published figures say of ``accelerator``: quantiles
    of the residuals of engines of today (what is fitted to them: docs/published.md). A class without rows is not in
    it."""
    # A layout that cannot hold what was served is not the one that was measured: no evidence for a width.
    rows = [p for p in predict_all(printed) if age(p.measurement) == "modern" and p.situation != UNFIT]
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for figure, name in NAMES.items():
        attribute = "tokens_per_s_per_gpu" if figure == "output_tokens_per_s" else figure
        for kind in ("published", "offline", "accelerator", "accelerator_amd"):
            chosen = [p for p in rows if kind in (p.coverage, p.situation, _amd(p))]
            pairs = [(getattr(p, attribute).value, actual_value(p.measurement, attribute)) for p in chosen]
            values = np.array([np.log(actual / value) if value > 0 else np.nan for value, actual in pairs])
            good = np.isfinite(values)
            if not good.any():
                continue
            labels = np.array([str(p.measurement.family) for p in chosen])[good]
            values = values[good]
            found.setdefault(figure, {})[kind] = factors_of(values, labels)
            own = np.mean([_held(values, labels, label) for label in sorted(set(labels.tolist()))])
            print(f"80 % intervals of {name}, {kind}, hold {own:.1%} of a published family's rows (mean over families)")
    return found


def _amd(p: Prediction) -> str:
    known = p.situation == "accelerator" and find_hardware(p.measurement.system).startswith("mi")
    return "accelerator_amd" if known else ""


def _held(values: Array, labels: NDArray[np.str_], label: str) -> float:
    """Share of a family's rows inside the interval of the others."""
    mine = labels == label
    if mine.all():
        return float("nan")
    low, high = quantiles(values[~mine], labels[~mine])
    return float(np.mean((values[mine] >= min(low, 0.0)) & (values[mine] <= max(high, 0.0))))


def write_intervals(factors: dict[str, Bounds], rows: int) -> None:
    """``conf/intervals.yaml``."""
    source = (
        f"residuals of {rows} closed-loop rows, each predicted without its model, system and engine version in the "
        "fit, widened for the choice of terms (docs/fidelity.md); accelerators and published figures: "
        "docs/published.md; split: disaggregated rows, docs/split.md; "
        f"layout: assumption, the widest of the others, its logarithm times {WIDENED}"
    )
    lines = [
        "# Written by `python -m search fidelity FILE --published FILE --write`: docs/fidelity.md.",
        "# Factors on a prediction between which the measured value lies in 80 % of cases, by situation.",
        f'source: "{source}"',
        "factors:",
    ]
    for figure, table in factors.items():
        lines.append(f"  {figure}:")
        lines += [f"    {name}: [{table[name][0]:.4f}, {table[name][1]:.4f}]" for name in KEYS]
    (conf_dir() / "intervals.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
