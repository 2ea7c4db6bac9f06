"""A prediction for every measurement, or the reason why there is none."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from costmodel.engine import Engine
from costmodel.evaluate import evaluate
from costmodel.plans import Plans, concatenate
from costmodel.scenario import Scenario
from costmodel.serving.offline import Offline, max_throughput, static_batch
from costmodel.serving.split.loop import split_loop
from search.base.errors import InputError
from search.evidence.measured.cases import FORMATS, MOST, Case, case_of, scenario_key
from search.evidence.measured.intervals import CLASSES, SPLIT, coverage, load_intervals
from search.evidence.measured.rows import SPREAD, Measurement
from search.evidence.measured.split_cases import split_case_of
from search.evidence.measured.trtllm_bench import FREE_FRACTION, settings

CLOSED = ("closed_loop_fixed_conc", "latency_bs1")
# A program that calls the engine itself: no request travels, waits to be parsed and is answered.
IN_PROCESS = ("static_batch_offline", "prefill_only", "prefill_only_bs1", "decode_only")
OFFLINE = (*IN_PROCESS, "max_throughput_offline")
UNFIT = "unfit"  # the situation of a row whose layout, as printed, holds not even one sequence
LARGE_MEMORY = 70 * 2**30


@dataclass(frozen=True)
class Figure:
    """A prediction and its 80 % interval; NaN where there is none."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Prediction:
    """Seconds, and output tokens a second and GPU. ``coverage`` names the class of the intervals, ``situation``
    the one that a plan of a search would have; ``skipped`` is the reason of a row without a prediction."""

    measurement: Measurement
    ttft_s: Figure = Figure()
    tpot_s: Figure = Figure()
    tokens_per_s_per_gpu: Figure = Figure()
    coverage: str = ""
    situation: str = ""
    skipped: str | None = None
    assumptions: tuple[str, ...] = field(default=())


def most_sequences(case: Case) -> int:
    """The largest batch of an attention group that an engine runs unless told otherwise: vLLM max_num_seqs, 1024 on
    accelerators of 70 GiB and more that are no A100, else 256 (vllm/engine/arg_utils.py get_batch_defaults, 0.33);
    TensorRT-LLM max_batch_size 2048; SGLang max_running_requests 2048."""
    if case.engine != "vllm":
        return 2048
    large = case.scenario.accelerator.memory_bytes >= LARGE_MEMORY and not case.hardware.startswith("a100")
    return 1024 if large else 256


def predict(measurements: Sequence[Measurement], models: Path | None = None) -> list[Prediction]:
    """Predictions in the order of ``measurements``. Closed loops of one scenario are evaluated together."""
    found: list[Prediction | None] = [None] * len(measurements)
    groups: dict[tuple[object, ...], list[tuple[int, Case]]] = {}
    for i, m in enumerate(measurements):
        try:
            if m.regime == "disaggregated":
                found[i] = _split(m, models)
                continue
            case = case_of(m, models)
            if m.regime in CLOSED:
                members = groups.setdefault(scenario_key(m, case), [])
                if members:  # one scenario is held for all of them
                    case = replace(case, scenario=members[0][1].scenario)
                members.append((i, case))
            else:
                found[i] = _offline(m, case)
        except InputError as error:
            found[i] = Prediction(m, skipped=str(error))
    for members in groups.values():
        scores = evaluate(members[0][1].scenario, concatenate([case.plan for _, case in members]))
        for n, (i, case) in enumerate(members):
            figures = (scores.ttft_s[n], scores.tpot_s[n], scores.output_tokens_per_s_per_gpu[n])
            waiting = bool(scores.admitted_batch[n] < case.plan.batch[0])
            p = _with_intervals(measurements[i], case, figures, waiting)
            if scores.kv_capacity_tokens[n] < case.scenario.lengths.total:
                p = replace(p, situation=UNFIT)
            found[i] = p
    return [p for p in found if p is not None]


def _split(m: Measurement, models: Path | None) -> Prediction:
    """A closed loop over two pools."""
    split = split_case_of(m, models)
    loop = split_loop(
        split.prefill, split.decode, split.link, np.array([split.in_flight]), split.seats, SPREAD if m.drawn else 0.0
    )
    speed = loop.requests_per_s[0] * split.case.scenario.lengths.osl / split.gpus
    found = _figures((loop.ttft_s[0], loop.tpot_s[0], speed), np.array([SPLIT]))
    return Prediction(m, *found, "split", "split", assumptions=split.assumptions)


def _offline(m: Measurement, case: Case) -> Prediction:
    """Regimes without a closed loop; one that is not known is an ``InputError``."""
    cap = float(most_sequences(case))
    nan = math.nan
    if m.regime == "max_throughput_offline":
        run = max_throughput(*_queued(m, case, cap))
        return _with_intervals(m, case, (nan, run.tpot_s[0], _speed(run, m)), False)
    figures: dict[str, Callable[[Offline], tuple[float, float, float]]] = {
        "static_batch_offline": lambda run: (run.prefill_s[0], run.step_s[0], _speed(run, m)),
        "burst_all_at_once": lambda run: (run.ttft_s[0], run.tpot_s[0], _speed(run, m)),
        "prefill_only": lambda run: (run.ttft_s[0], nan, nan),
        "prefill_only_bs1": lambda run: (run.ttft_s[0], nan, nan),
        "decode_only": lambda run: (nan, run.step_s[0], case.plan.batch[0] / run.step_s[0] / m.gpus),
    }
    if m.regime not in figures:
        raise InputError(f"regime {m.regime!r} is not known")
    scenario = case.scenario
    if m.regime in IN_PROCESS:  # and the batch is what the caller made it
        cap = MOST
        scenario = replace(scenario, engine=_without_requests(scenario.engine))
    run = static_batch(scenario, case.plan, cap)
    return _with_intervals(m, case, figures[m.regime](run), bool(run.admitted[0] < case.plan.batch[0]))


def _without_requests(engine: Engine) -> Engine:
    return replace(engine, request_overhead_s=0.0, prompt_token_s=0.0)


def _queued(m: Measurement, case: Case, cap: float) -> tuple[Scenario, Plans, float, float]:
    """A benchmark that calls the engine itself and queues everything; trtllm-bench tunes its limits to the lengths."""
    scenario, plan = case.scenario, case.plan
    engine = _without_requests(scenario.engine)
    if case.engine == "trtllm":
        most, budget = settings(scenario, FORMATS[m.precision], m.gpus // m.pp, m.pp)
        cap, engine = float(most * m.pp), replace(engine, max_batched_tokens=budget)
        scenario = replace(scenario, limits=replace(scenario.limits, memory_fraction=FREE_FRACTION))
    return replace(scenario, engine=engine), plan, cap, m.requests or math.inf


def _speed(run: Offline, m: Measurement) -> float:
    return float(run.output_tokens_per_s[0]) / m.gpus


def _with_intervals(m: Measurement, case: Case, figures: tuple[float, float, float], waiting: bool) -> Prediction:
    known = coverage(case.scenario, case.plan, np.array([waiting]))
    situation = CLASSES[int(known[0])]
    if m.printed and situation != "layout":
        known = np.array([CLASSES.index("offline" if m.regime in OFFLINE else "published")])
    return Prediction(m, *_figures(figures, known), CLASSES[int(known[0])], situation, assumptions=case.assumptions)


def _figures(figures: tuple[float, float, float], known: NDArray[np.int64]) -> tuple[Figure, Figure, Figure]:
    """TTFT, TPOT and throughput with the intervals of one class, of shape (1,)."""
    names = ("ttft_s", "tpot_s", "output_tokens_per_s_per_gpu")
    found = []
    for name, value in zip(names, figures, strict=True):
        low, high = load_intervals().of(name, known, np.array([value], dtype=float))
        found.append(Figure(float(value), float(low[0]), float(high[0])))
    return found[0], found[1], found[2]
