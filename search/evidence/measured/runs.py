"""A user's own runs: what ``vllm bench serve --save-result`` and SGLang's ``bench_serving`` write.

Neither file knows the layout, so it is given beside them. Lengths are the realised means of the run; its requests over
its concurrency are the waves (docs/words.md).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.base.errors import InputError
from search.base.strict_json import strict
from search.evidence.measured.rows import Measurement, read_rows
from search.inputs.bounded_file import read_bounded
from search.inputs.models.catalog import find_model

# Keys as both benchmarks write them (vllm/benchmarks/serve.py, 0.33; sglang/bench_serving.py, 0.5.23).
NEEDED = ("mean_ttft_ms", "mean_tpot_ms", "completed", "total_input_tokens", "total_output_tokens")


MAX_BYTES = 200_000_000  # results with every request's latency are long
LEAST = 1e-9  # of a figure in its unit
FAILED = 0.1  # of the requests that were completed


@dataclass(frozen=True)
class Deployment:
    """What served the runs."""

    model: str
    system: str
    engine: str
    version: str
    precision: str
    gpus: int
    tp: int
    pp: int
    attn_dp: int
    ep: int


def read_runs(path: Path, deployment: Deployment | None) -> list[Measurement]:
    """A CSV of either schema of docs/validate.md, one JSON object, or one JSON object a line."""
    if path.suffix.lower() == ".csv":
        return read_rows(path)
    if deployment is None:
        raise InputError(
            f"{path}: benchmark results do not name the layout; give --model, --hardware, --engine, --tp ..."
        )
    try:
        text = read_bounded(path, MAX_BYTES, "a file of benchmark results").decode("utf-8")
        try:
            objects = [strict(text)]
        except json.JSONDecodeError:
            objects = [strict(line) for line in text.splitlines() if line.strip()]
    except RecursionError:
        raise InputError(f"{path}: cannot be read as JSON: nested too deep") from None
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: cannot be read as JSON: {error}") from None
    return [_measurement(f"{path.name}:{n + 1}", found, deployment) for n, found in enumerate(objects)]


def _measurement(name: str, run: Any, d: Deployment) -> Measurement:
    if not isinstance(run, dict):
        raise InputError(f"{name}: must be an object, not {type(run).__name__}")
    figures = {key: _number(name, run, key) for key in NEEDED}
    completed = figures["completed"]
    failed = run.get("failed") or 0
    if isinstance(failed, bool) or not isinstance(failed, int | float) or not 0 <= failed <= FAILED * completed:
        raise InputError(
            f"{name}: failed = {str(failed)[:40]!r} of {completed:g} completed; its figures are not of this load"
        )
    served = run.get("model_id")
    if isinstance(served, str) and not _same_model(served, d.model):
        raise InputError(f"{name}: model_id = {served[:80]!r} is another model than --model {d.model}")
    rate = run.get("request_rate")
    if rate not in (None, "inf", math.inf):
        raise InputError(
            f"{name}: request_rate = {str(rate)[:40]!r}: a run at a rate, whose figures are not of a closed loop; "
            "servefront check judges it"
        )
    concurrency = run.get("max_concurrency") or completed
    concurrency = min(_positive(name, "max_concurrency", concurrency), completed)
    isl, osl = figures["total_input_tokens"] / completed, figures["total_output_tokens"] / completed
    speed = run.get("output_throughput")
    return Measurement(
        id=name, model=d.model, system=d.system, engine=d.engine, version=d.version, precision=d.precision,
        kv_precision="", regime="closed_loop_fixed_conc", isl=isl, osl=osl, nominal=(round(isl), round(osl)),
        drawn=False, concurrency=concurrency, gpus=d.gpus, tp=d.tp, pp=d.pp, attn_dp=d.attn_dp, ep=d.ep, moe_tp=None,
        ttft_s=figures["mean_ttft_ms"] / 1e3, tpot_s=figures["mean_tpot_ms"] / 1e3,
        tokens_per_s_per_gpu=None if speed is None else _positive(name, "output_throughput", speed) / d.gpus,
        waves=completed / concurrency,
    )  # fmt: skip


def _number(name: str, run: dict[str, Any], key: str) -> float:
    if key not in run:
        raise InputError(f"{name}: lacks {key!r}; results of vllm bench serve or sglang bench_serving have it")
    return _positive(name, key, run[key])


def _positive(name: str, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not LEAST < value < 1e15:
        raise InputError(f"{name}: {key} = {value!r} is not allowed; give a number above 0")
    return float(value)


def _same_model(served: str, wanted: str) -> bool:
    """Whether a server's name may be the catalog's model: true unless the catalog knows it as another one, for a name
    may be a folder or an alias of the server's."""
    try:
        return find_model(served) == find_model(wanted)
    except InputError:
        return True
