"""Fitting one law of a class to measured calls, and predicting them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from costmodel.efficiency import NONE, Inputs
from costmodel.launches import kernels_of_experts
from costmodel.laws import DecodeLaw, ExpertsLaw, GemmLaw, PrefillLaw, StreamLaw
from costmodel.laws.rates import Rates
from search.evidence.kernels.cases import Cases, decode_cases, gemm_cases, mla_cases, moe_cases, prefill_cases
from search.evidence.kernels.datasheets import DATASHEETS

Constants = dict[str, dict[str, float]]

# Where a fit starts from, also the order of magnitude to expect.
START: Constants = {
    "rates": {"bandwidth_share": 0.85, "halving_share": 0.75},
    "gemm": {
        "peak_share": 0.8, "launch_s": 3e-6, "k_step_s": 2e-10, "quantise_s": 3e-6, "quantise_k_step_s": 3e-10,
    },
    "experts": {"launch_s": 1.8e-5, "tile_rows": 30.0, "io_passes": 3.0, "token_passes": 1.0},
    "prefill": {
        "peak_share": 0.8, "exponentials_per_s": 3e12, "tile_tokens": 300.0, "io_passes": 2.0, "launch_s": 1e-5,
    },
    "decode": {"peak_share": 0.1, "tile_tokens": 100.0, "head_bytes": 3000.0, "split_s": 3e-6, "launch_s": 8e-6},
    "mla": {"peak_share": 0.6, "tile_tokens": 100.0, "head_bytes": 3000.0, "split_s": 5e-6, "launch_s": 8e-6},
}  # fmt: skip

# Constants that a table mixes with those of the law: an owner (``cases``) has its own, which no law keeps, and the law
# has those of the owner named last. A product is timed together with the kernel that quantises its input, and no
# engine's is like another's; SGLang quantises apart in serving too. TensorRT-LLM's prompts are timed with the kernels
# around the attention, vLLM's nearly without.
OWNED: dict[str, tuple[dict[str, float], str]] = {
    "gemm": ({"quantise_s": 5e-6, "quantise_k_step_s": 1e-10, "quantise_bytes": 6.0}, "SGLang fp8_block"),
    "prefill": ({"launch_s": 1.5e-5, "io_passes": 2.0}, "VLLM"),
}

# cuBLAS's products in FP8 take no whole tiles of rows (``GemmLaw.even``); the tables time no operation before them.
# TensorRT-LLM calls it for weights that are not scaled in blocks.
BY_CUBLAS: Inputs = frozenset({(None, "fp8")})
EVEN = {"TRTLLM fp8": BY_CUBLAS}
# What computes experts in a framework's tables (``costmodel.launches.EXPERT_KERNELS``).
EXPERTS = {"VLLM": "vllm", "SGLang": "sglang", "TRTLLM": "cutlass"}

# Not measured: a norm is one short kernel between others in a CUDA graph; a scan reaches the share of a GEMM.
ASSUMED: Constants = {
    "scan": {"peak_share": 0.5, "launch_s": 5e-6},
    "elementwise": {"peak_share": 0.5, "launch_s": 1.5e-6},
}

LAWS: dict[str, type] = {
    "gemm": GemmLaw, "experts": ExpertsLaw, "prefill": PrefillLaw, "decode": DecodeLaw, "mla": DecodeLaw,
}  # fmt: skip

ROWS_IN_A_FIT = 6000  # a random sample of this many rows gives the same constants to two digits


def read_classes(folder: Path) -> dict[str, list[Cases]]:
    """All measured calls by class, kept and left out. MLA prompts are checked against the prefill law, not fitted."""
    prompts, decodes = mla_cases(folder)
    return {
        "gemm": gemm_cases(folder),
        "experts": moe_cases(folder),
        "prefill": prefill_cases(folder),
        "decode": decode_cases(folder),
        "mla": decodes,
        "mla prefill": prompts,
    }


def split(cases: Sequence[Cases]) -> list[Cases]:
    """By accelerator, because a law is asked about one at a time, and by owner of constants."""
    parts = []
    for c in cases:
        for name in DATASHEETS:
            for owner in sorted(c.frame["owner"].unique()):
                mask = ((c.frame["accelerator"] == name) & (c.frame["owner"] == owner)).to_numpy()
                if mask.any():
                    parts.append(c.where(mask))
    return parts


def kept(cases: Sequence[Cases]) -> list[Cases]:
    parts = [c.where((c.frame["left_out"] == "").to_numpy()) for c in cases]
    return [c for c in parts if len(c.frame)]


def only(cases: Sequence[Cases], wanted: Callable[[str], bool]) -> list[Cases]:
    """Of cases already split by accelerator, those whose accelerator is wanted."""
    return [c for c in cases if wanted(str(c.frame["accelerator"].iloc[0]))]


def sample(cases: Sequence[Cases], rows: int, seed: int = 0) -> list[Cases]:
    share = min(1.0, rows / max(1, sum(len(c.frame) for c in cases)))
    draw = np.random.default_rng(seed)
    return [p for c in cases if len((p := c.where(draw.random(len(c.frame)) < share)).frame)]


def predict(cls: str, constants: Constants, part: Cases) -> np.ndarray:
    """Seconds of each call of one accelerator. Activations between the experts' products run as ``elementwise``."""
    accelerator = DATASHEETS[str(part.frame["accelerator"].iloc[0])]
    owner = str(part.frame["owner"].iloc[0])
    rates = Rates(**constants["rates"])
    own: Any = dict(constants.get(owner, {})) if cls in OWNED else {}
    if cls == "gemm":
        own["even"] = EVEN.get(owner, NONE)
    elif cls == "experts":
        own["kernels"] = kernels_of_experts(EXPERTS[owner.split()[0]], accelerator)
    total: Any = 0.0
    for work in part.works:
        law: Any
        stream = work.kind == "elementwise"
        law = StreamLaw(**ASSUMED["elementwise"]) if stream else LAWS[cls](**(constants[cls] | own))
        total = total + law.times(replace(work, blocks=owner.endswith("_block")), accelerator, rates).seconds
    return np.asarray(total)


def fit(
    cls: str,
    cases: Sequence[Cases],
    rates: dict[str, float],
    free_rates: bool = False,
    held: Mapping[str, float] | None = None,
) -> Constants:
    """Constants of one class: soft-L1 on log(predicted / measured), so that outliers pull no more than linearly.

    All rows weigh the same; which rows there are is decided in ``cases`` (sizes of LLM layers). ``free_rates``: the
    shared rates are fitted too (GEMM), else taken as given. ``OWNED`` constants are fitted to each owner; ``held``
    ones of the class are not fitted.
    """
    data = sample(cases, ROWS_IN_A_FIT)
    owned, lawful = OWNED.get(cls, ({}, ""))
    owners = sorted({str(c.frame["owner"].iloc[0]) for c in data} - {"", lawful}) if owned else []
    keys = [(cls, k) for k in START[cls]] + ([("rates", k) for k in START["rates"]] if free_rates else [])
    own = {owner: {_field(owner, k): v for k, v in owned.items()} for owner in owners}
    keys += [(owner, k) for owner, constants in own.items() for k in constants]
    base: Constants = {"rates": dict(rates), cls: START[cls] | dict(held or {})} | own
    start = np.array([base[c][k] for c, k in keys])
    upper = np.array([0.0 if k.endswith("_share") else np.log(1e4 * v) for (_, k), v in zip(keys, start, strict=True)])
    lower = np.log(start) - np.log(1e4)
    measured = [np.log(c.frame["seconds"].to_numpy()) for c in data]

    def constants_at(x: np.ndarray) -> Constants:
        out = {c: dict(v) for c, v in base.items()}
        for (c, k), value in zip(keys, np.exp(x), strict=True):
            out[c][k] = float(value)
        return out

    def residuals(x: np.ndarray) -> np.ndarray:
        at = constants_at(x)
        return np.concatenate([np.log(predict(cls, at, c)) - s for c, s in zip(data, measured, strict=True)])

    found = least_squares(residuals, np.log(start), bounds=(lower, upper), loss="soft_l1", f_scale=0.1, max_nfev=80)
    return constants_at(np.minimum(found.x, upper))


def _field(owner: str, constant: str) -> str:
    """The law's field for a constant of an owner: NVFP4 is quantised by a kernel of its own."""
    return f"fp4_{constant}" if owner.endswith("nvfp4") else constant


def fit_all(classes: dict[str, list[Cases]]) -> Constants:
    """All classes of some accelerators (already split and kept): GEMM first, which sets the shared rates and the peak
    that products of experts come to as well; one of their own ends at 1 and errs as much (docs/laws.md)."""
    constants: Constants = fit("gemm", classes["gemm"], START["rates"], free_rates=True)
    peak = {"peak_share": constants["gemm"]["peak_share"]}
    for cls in ("experts", "prefill", "decode", "mla"):
        constants |= fit(cls, classes[cls], constants["rates"], held=peak if cls == "experts" else None)
    return constants | {k: dict(v) for k, v in ASSUMED.items()}


def errors(cls: str, constants: Constants, cases: Sequence[Cases]) -> pd.DataFrame:
    """One row a call: accelerator, dtype, framework, kernel, left_out, and ``error`` = predicted / measured - 1."""
    law = "prefill" if cls == "mla prefill" else cls
    out = []
    for part in split(cases):
        frame = part.frame[["accelerator", "dtype", "framework", "kernel", "left_out", "seconds"]].copy()
        frame.insert(0, "class", cls)
        frame["error"] = predict(law, constants, part) / frame["seconds"].to_numpy() - 1.0
        out.append(frame)
    return pd.concat(out, ignore_index=True)
