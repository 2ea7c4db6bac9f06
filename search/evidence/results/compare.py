"""A benchmark's result against the prediction for the plan under the benchmark's own load."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from costmodel.evaluate import evaluate
from costmodel.lengths import FixedLengths
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.serving.simulation.deployment import serve
from costmodel.serving.simulation.requests import Requests
from costmodel.serving.traffic import arrivals
from search.base.errors import InputError
from search.evidence.measured.cases import Case
from search.evidence.measured.fitting import Posterior, centred, fit_around
from search.evidence.measured.grouped import Read
from search.evidence.measured.intervals import coverage, load_intervals
from search.evidence.measured.rows import Measurement
from search.evidence.results.read import LATENCIES, STATISTICS, Result
from search.inputs.hardware_catalog import load_engine

SEED = 0
MOST_SIMULATED = 20_000  # requests: percentiles of more say the same
EVEN = 100.0  # burstiness from which on gaps are taken as equal


@dataclass(frozen=True)
class Compared:
    """A figure as ``measured`` and ``predicted``, whose 80 % interval is ``low`` to ``high``."""

    figure: str
    measured: float
    predicted: float
    low: float
    high: float

    @property
    def inside(self) -> bool:
        return self.low <= self.measured <= self.high


def servers_of(plan: Plans, servers: int) -> Plans:
    """So many servers of a plan."""
    own = plan.row(0)
    return Plans.of(**own | {"gpus": own["gpus"] // own["dp"] * servers, "dp": servers})


def at_load(scenario: Scenario, result: Result) -> Scenario:
    """The scenario with the benchmark's lengths; in a closed loop it sends so many waves."""
    lengths = FixedLengths(max(round(result.isl), 1), max(round(result.osl), 1), scenario.lengths.prefix_hit)
    waves = math.inf if result.concurrency is None else max(result.requests / result.concurrency, 1.0)
    return replace(scenario, lengths=lengths, waves=waves)


def compare(scenario: Scenario, plan: Plans, result: Result) -> list[Compared]:
    """Every figure of ``result`` that is predicted. ``plan``: the servers that were measured, ``batch`` the most that
    each runs. In a closed loop means are the closed form's, whose intervals are known; all else is simulated, and has
    the interval of its figure's mean."""
    scenario = at_load(scenario, result)
    predicted = _simulated(scenario, plan, result)
    waiting = False
    if result.concurrency is not None:
        each = max(math.ceil(result.concurrency / int(plan.dp[0])), 1)
        closed = Plans.of(**plan.row(0) | {"batch": min(each, int(plan.batch[0]))})
        scores = evaluate(scenario, closed)
        waiting = bool(scores.admitted_batch[0] < each)
        if each <= int(plan.batch[0]):
            ttft, tpot = float(scores.ttft_s[0]), float(scores.tpot_s[0])
            predicted |= {"ttft_s_mean": ttft, "tpot_s_mean": tpot}
            predicted |= {"e2e_s_mean": ttft + scenario.lengths.decodes * tpot}
            predicted |= {name: float(getattr(scores, name)[0]) for name in ("output_tokens_per_s", "requests_per_s")}
    known = coverage(scenario, plan, np.array([waiting]))
    found = []
    for name, value in predicted.items():
        if name not in result.figures or not math.isfinite(value):
            continue
        figure = next((f for f in LATENCIES if name.startswith(f)), name)
        # End to end is nearly all decoding.
        low, high = load_intervals().of("tpot_s" if figure == "e2e_s" else figure, known, np.array([value]))
        found.append(Compared(name, result.figures[name], value, float(low[0]), float(high[0])))
    return found


def _simulated(scenario: Scenario, plan: Plans, result: Result) -> dict[str, float]:
    size = min(result.requests, MOST_SIMULATED)
    isl, osl, hit = scenario.lengths.isl, scenario.lengths.osl, scenario.lengths.prefix_hit
    at = np.zeros(size)
    if result.rate is not None:
        even = result.burstiness >= EVEN
        kind = "constant" if even else "gamma"
        at = arrivals(kind, result.rate, result.burstiness**-0.5, size, np.random.default_rng(SEED))
    cached = np.full(size, int(isl * hit)) if hit else None
    requests = Requests(at, np.full(size, isl), np.full(size, osl), cached)
    served = serve(scenario, plan, requests, "least_loaded", in_flight=_each(result, plan))
    columns = {"ttft_s": served.ttft_s, "tpot_s": served.tpot_s(requests.answer_tokens), "e2e_s": served.e2e_s}
    found = {f"{figure}_{s}": _statistic(values, s) for figure, values in columns.items() for s in STATISTICS}
    through = int(np.isfinite(served.e2e_s).sum())
    if not through:
        raise InputError(f"{result.name}: no request of {isl} + {osl} tokens has room in the plan's cache")
    return found | {
        "output_tokens_per_s": through * osl / served.end_s,
        "requests_per_s": through / served.end_s,
    }


def _each(result: Result, plan: Plans) -> int | None:
    return None if result.concurrency is None else max(math.ceil(result.concurrency / int(plan.dp[0])), 1)


def _statistic(values: np.ndarray, name: str) -> float:
    kept = values[np.isfinite(values)]
    if not len(kept):
        return math.nan
    return float(kept.mean()) if name == "mean" else float(np.percentile(kept, float(name[1:])))


def would_change(scenario: Scenario, plan: Plans, result: Result, hardware: str) -> Posterior | None:
    """The engine's constants as this result alone would move them (``servefront calibrate``); ``None`` where it cannot
    tell: at a rate, or without both means."""
    figures, engine = result.figures, scenario.engine.name
    means = figures.get("ttft_s_mean"), figures.get("tpot_s_mean")
    if result.concurrency is None or None in means or engine == "any":
        return None
    scenario, gpus = at_load(scenario, result), int(plan.gpus[0])
    row = Measurement(
        id=result.name, model=scenario.model.name, system=hardware, engine=engine, version="", precision="",
        kv_precision="", regime="closed_loop_fixed_conc", isl=result.isl, osl=result.osl,
        nominal=(round(result.isl), round(result.osl)), drawn=False, concurrency=float(result.concurrency), gpus=gpus,
        tp=int(plan.tp[0]), pp=int(plan.pp[0]), attn_dp=int(plan.attn_dp[0]), ep=int(plan.ep[0]), moe_tp=None,
        ttft_s=means[0], tpot_s=means[1],
        tokens_per_s_per_gpu=figures["output_tokens_per_s"] / gpus if "output_tokens_per_s" in figures else None,
        waves=scenario.waves,
    )  # fmt: skip
    each = max(math.ceil(result.concurrency / int(plan.dp[0])), 1)
    case = Case(scenario, Plans.of(**plan.row(0) | {"batch": each}), hardware, engine, ())
    return fit_around(Read([row], {0: case}, {}), np.array([True]), centred(load_engine(engine)))
