"""What the model says of a run under traffic: simulated request by request, and in the closed form's means."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from costmodel.evaluate import evaluate
from costmodel.lengths import FixedLengths
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.serving.simulation.deployment import request_seconds, serve
from search.base.errors import InputError
from search.base.escape import csv_cell
from search.base.whole_file import put_out
from search.evidence.measured.cases import case_of
from search.evidence.measured.rows import Measurement
from search.evidence.traffic_runs.rows import FIGURES, STATISTICS, TrafficRun, measured_of

PRECISIONS = {"bfloat16": "bf16", "float16": "bf16", "": "bf16", "auto": "bf16"}


@dataclass(frozen=True)
class Predicted:
    """Figures of a run in seconds, by ``ttft_s_mean`` and the like; ``skipped`` says why there are none."""

    run: TrafficRun
    simulated: dict[str, float]
    analytic: dict[str, float]
    skipped: str = ""


def predict(runs: Sequence[TrafficRun], models: Path | None = None) -> list[Predicted]:
    """One prediction a run, or why there is none."""
    found = []
    for run in runs:
        try:
            scenario, plan = deployment(run, models)
        except InputError as error:
            found.append(Predicted(run, {}, {}, str(error)))
            continue
        served = serve(scenario, plan, run.requests)
        through = np.isfinite(served.e2e_s)  # nobody measures a request whose client gave up
        answers = run.requests.answer_tokens[through].astype(float)
        simulated = measured_of(served.ttft_s[through], served.e2e_s[through], answers)
        prefix = float(served.hit_tokens.sum() / run.requests.prompt_tokens.sum())
        found.append(Predicted(run, simulated, closed_form(scenario, plan, run, prefix)))
    return found


def deployment(run: TrafficRun, models: Path | None) -> tuple[Scenario, Plans]:
    """The server as it was started: its budget and its seats."""
    settings, requests = run.settings, run.requests
    isl, osl = float(requests.prompt_tokens.mean()), float(requests.answer_tokens.mean())
    tp, seats = run.count("tp"), run.count("max_num_seqs")
    dtype = settings.get("dtype") or ""
    measurement = Measurement(
        id=run.name, model=settings["model"], system=settings["system"], engine=settings["engine"],
        version=settings["engine_version"], precision=PRECISIONS.get(dtype, dtype), kv_precision="",
        regime="closed_loop_fixed_conc", isl=isl, osl=osl, nominal=(round(isl), round(osl)), drawn=True,
        concurrency=seats, gpus=tp, tp=tp, pp=1, attn_dp=None, ep=None, moe_tp=None, ttft_s=None, tpot_s=None,
        tokens_per_s_per_gpu=None,
    )  # fmt: skip
    case = case_of(measurement, models)
    engine = replace(case.scenario.engine, max_batched_tokens=run.count("max_num_batched_tokens"))
    return replace(case.scenario, engine=engine, waves=math.inf), case.plan


def closed_form(scenario: Scenario, plan: Plans, run: TrafficRun, prefix: float) -> dict[str, float]:
    """Means at the rate: the closed loop with so many inside that they leave as fast as others come (Little's law);
    infinite where even all seats are too slow. Requests are equally long there, ``prefix`` of a prompt is found."""
    requests = run.requests
    rate = (len(requests) - 1) / float(requests.arrival_s[-1]) if len(requests) > 1 else 0.0
    isl, osl = round(float(requests.prompt_tokens.mean())), round(float(requests.answer_tokens.mean()))
    # What a request costs the host at a rate, as the simulation and the formulas of a search at a rate have it.
    engine, host_s = scenario.engine, partial(request_seconds, scenario.engine)
    engine = replace(engine, request_overhead_s=host_s(0.0), prompt_token_s=host_s(1.0) - host_s(0.0))
    scenario = replace(scenario, engine=engine, lengths=FixedLengths(isl, max(osl, 1), prefix))
    batches = np.arange(1, int(plan.batch[0]) + 1)
    axes = plan.row(0) | {"batch": batches}
    scores = evaluate(scenario, Plans.of(**axes))
    if rate > float(scores.requests_per_s.max()):
        return {f"{figure}_mean": math.inf for figure in FIGURES}
    place = int(np.argmax(scores.requests_per_s >= rate))
    low, high = max(place - 1, 0), place

    def at(values: np.ndarray) -> float:
        rates = scores.requests_per_s[[low, high]]
        return float(np.interp(rate, rates, values[[low, high]])) if high > low else float(values[high])

    ttft, tpot = at(scores.ttft_s), at(scores.tpot_s)
    return {"ttft_s_mean": ttft, "tpot_s_mean": tpot, "e2e_s_mean": ttft + scenario.lengths.decodes * tpot}


def columns() -> list[str]:
    """Figures of the file of predictions."""
    wanted = [f"{figure}_{s}" for figure in FIGURES for s in STATISTICS]
    return [f"{name}_{way}" for name in wanted for way in ("analytic", "simulated")]


def write_predictions(predictions: Sequence[Predicted], key: str, path: Path) -> None:
    """A line a run: its name under ``key``, every figure both ways, and why there is none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([key, *columns(), "skipped"])
    for p in predictions:
        both = {f"{n}_analytic": v for n, v in p.analytic.items()} | {
            f"{n}_simulated": v for n, v in p.simulated.items()
        }
        writer.writerow(
            [csv_cell(p.run.name), *(f"{both[n]:.6g}" if n in both else "" for n in columns()), csv_cell(p.skipped)]
        )
    put_out("--out", path, text.getvalue())
