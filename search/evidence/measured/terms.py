"""Terms of the model that were chosen by looking at the measurements of today, and what the model is without each.

Leaving a family out of a fit tests the constants, not the choice of terms. Here the choice is repeated: half of the
families choose terms and constants, the other half shows how far predictions are off, and the other way round.
A term that the choosing half gives no reason for is not taken, as nobody would have looked for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from costmodel.plans import Array
from costmodel.scenario import Scenario
from search.evidence.measured.cases import Case
from search.evidence.measured.fitting import TTFT_WEIGHT, Fitted, apply, errors, fit
from search.evidence.measured.grouped import Figures, Read, predict


def _engine(**changes: object) -> Callable[[Scenario], Scenario]:
    return lambda scenario: replace(scenario, engine=replace(scenario.engine, **changes))  # type: ignore[arg-type]


def _kernels(scenario: Scenario) -> Scenario:
    own = scenario.engine.expert_kernels
    return _engine(expert_kernels="cutlass")(scenario) if own == "triton" else scenario


def _norms(scenario: Scenario) -> Scenario:
    early = scenario.engine.name == "trtllm" and scenario.engine.all_reduce_norm == "apart"
    return _engine(all_reduce="trtllm", all_reduce_norm="fused")(scenario) if early else scenario


def _quantised(scenario: Scenario) -> Scenario:
    early = scenario.engine.name == "trtllm" and scenario.engine.input_quantisation == "fp8"
    return _engine(input_quantisation="fused")(scenario) if early else scenario


# What the model is without each. Facts of launch scripts that no error was needed to find (token budgets) are not here.
WITHOUT: Mapping[str, Callable[[Scenario], Scenario]] = {
    "lockstep": lambda scenario: replace(scenario, together=False),
    "prompts alone": _engine(prefill_first=0),
    "balance of attention groups": _engine(balance_steps=0.0),
    "drafts": _engine(drafts=0, draft_acceptance=0.0),
    "Triton experts": _kernels,
    "norms apart in early TensorRT-LLM": _norms,
    "FP4 inputs quantised apart": _quantised,
    "fused kernels of latent attention on Blackwell": _engine(fused_latent=0),
}


def without(read: Read, terms: list[str]) -> Read:
    """The file's cases with some terms taken out of the model."""

    def changed(case: Case) -> Case:
        scenario = case.scenario
        for term in terms:
            scenario = WITHOUT[term](scenario)
        return replace(case, scenario=scenario)

    return Read(read.rows, {i: changed(case) for i, case in read.cases.items()}, {})


def halves(read: Read) -> list[set[tuple[str, str, str]]]:
    """Families in two halves, every other one of an engine's in each, largest first."""
    sizes: dict[tuple[str, str, str], int] = {}
    for i in read.cases:
        family = read.rows[i].family
        sizes[family] = sizes.get(family, 0) + 1
    order = sorted(sizes, key=lambda family: (read_engine_of(read, family), -sizes[family], family))
    return [set(order[0::2]), set(order[1::2])]


def read_engine_of(read: Read, family: tuple[str, str, str]) -> str:
    return next(case.engine for i, case in read.cases.items() if read.rows[i].family == family)


def chosen(read: Read, fitted: Fitted) -> list[str]:
    """Terms without which the rows of ``read`` are predicted worse."""
    best = _size(read, fitted)
    return [term for term in WITHOUT if _size(without(read, [term]), fitted) > best * 1.001]


def nested(read: Read, fitted: Fitted, excluded: NDArray[np.bool_]) -> Figures:
    """Every row predicted with terms and constants that the other half of the families chose; ``excluded`` of shape
    (rows of the file,) take no part in choosing. ``fitted`` to all only begins the fits."""
    places = list(read.cases)
    at = {i: n for n, i in enumerate(places)}
    out = np.full((4, len(places)), np.nan)
    both = halves(read)
    for mine, other in (both, both[::-1]):
        inside = {i: c for i, c in read.cases.items() if read.rows[i].family in mine and not excluded[i]}
        half = Read(read.rows, inside, {})
        taken = chosen(half, fitted)
        left = [term for term in WITHOUT if term not in taken]
        print(f"terms that a half of {len(mine)} families gives reason for: {', '.join(taken)}")
        model = without(half, left)
        values = fit(model, np.array([i in inside for i in range(len(read.rows))]), rounds=1, start=fitted)
        rest = Read(read.rows, {i: c for i, c in read.cases.items() if read.rows[i].family in other}, {})
        found = predict(without(rest, left), apply(values))
        out[:, [at[i] for i in found.places]] = [
            found.ttft_s, found.tpot_s, found.tokens_per_s_per_gpu, found.waiting,
        ]  # fmt: skip
    return Figures(places, out[0], out[1], out[2], out[3] > 0)


def _size(read: Read, fitted: Fitted) -> float:
    """Mean size of the weighted log errors, each family weighing as much as the square root of its rows."""
    names = [read.rows[i].family for i in read.cases]
    weight = np.array([names.count(name) ** -0.5 for name in names])
    found: Array = np.abs(errors(read, fitted))
    return float((weight * (found[0] + TTFT_WEIGHT * found[1])).sum() / weight.sum())
