"""What a benchmark measured: the JSON of ``vllm bench serve``, SGLang's ``bench_serving`` and GuideLLM.

Keys: vllm/benchmarks/serve.py, 0.33; sglang/bench_serving.py, 0.5.23; guidellm/benchmark/schemas/generative/metrics.py,
0.7. A JSON object, one a line, or GuideLLM's report with a list of ``benchmarks``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.base.errors import InputError
from search.base.strict_json import strict
from search.evidence.measured.runs import FAILED, LEAST, MAX_BYTES
from search.inputs.bounded_file import read_bounded

STATISTICS = ("mean", "p50", "p90", "p95", "p99")
LATENCIES = ("ttft_s", "tpot_s", "e2e_s")
RATES = ("output_tokens_per_s", "requests_per_s")
# Names of a latency in milliseconds in the flat results, vLLM's before SGLang's.
FLAT = {"ttft_s": ("ttft_ms",), "tpot_s": ("tpot_ms",), "e2e_s": ("e2el_ms", "e2e_latency_ms")}
# GuideLLM's own time per output token counts the first one too; its inter-token latency is ours.
NESTED = {
    "ttft_s": ("time_to_first_token_ms", 1e-3),
    "tpot_s": ("inter_token_latency_ms", 1e-3),
    "e2e_s": ("request_latency", 1.0),
}
MOST_REQUESTS = 10_000_000


@dataclass(frozen=True)
class Result:
    """``requests`` that were answered, of ``isl`` and ``osl`` tokens in the mean; at most ``concurrency`` of them at a
    time, or ``rate`` a second (exactly one of the two); ``burstiness`` of their gaps, 1 at random, more: more even.
    ``figures`` in seconds, tokens and requests a second, by ``ttft_s_mean``, ``output_tokens_per_s`` and the like."""

    name: str
    requests: int
    isl: float
    osl: float
    concurrency: int | None
    rate: float | None
    burstiness: float
    figures: Mapping[str, float]


def read_results(path: Path) -> list[Result]:
    """All results of a file; ``InputError`` in one line."""
    try:
        text = read_bounded(path, MAX_BYTES, "a benchmark's result").decode("utf-8")
        try:
            found = [strict(text)]
        except json.JSONDecodeError:
            found = [strict(line) for line in text.splitlines() if line.strip()]
    except RecursionError:
        raise InputError(f"{path}: cannot be read as JSON: nested too deep") from None
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: cannot be read as JSON: {error}") from None
    if len(found) == 1 and isinstance(found[0], dict) and isinstance(found[0].get("benchmarks"), list):
        results = [_nested(f"{path.name}:{n}", each) for n, each in enumerate(found[0]["benchmarks"], 1)]
    else:
        results = [_flat(f"{path.name}:{n}" if len(found) > 1 else path.name, each) for n, each in enumerate(found, 1)]
    if not results:
        raise InputError(f"{path}: holds no result")
    return results


def _flat(name: str, run: Any) -> Result:
    if not isinstance(run, dict):
        raise InputError(f"{name}: must be an object, not {type(run).__name__}")
    completed = _count(name, run, "completed")
    failed = run.get("failed") or 0
    if isinstance(failed, bool) or not isinstance(failed, int | float) or not 0 <= failed <= FAILED * completed:
        raise InputError(f"{name}: failed = {str(failed)[:40]!r} of {completed:g}; its figures are not of this load")
    figures: dict[str, float] = {}
    for figure, endings in FLAT.items():
        for statistic in STATISTICS:
            words = ("median", "p50") if statistic == "p50" else (statistic,)
            key = next((f"{w}_{e}" for e in endings for w in words if run.get(f"{w}_{e}") is not None), None)
            if key is not None:
                figures[f"{figure}_{statistic}"] = _number(name, run, key) / 1e3
    for figure, keys in (("output_tokens_per_s", "output_throughput"), ("requests_per_s", "request_throughput")):
        if run.get(keys) is not None:
            figures[figure] = _number(name, run, keys)
    rate, most = run.get("request_rate"), run.get("max_concurrency")
    limited = type(rate) is int or (type(rate) is float and math.isfinite(rate))
    return Result(
        name,
        completed,
        _number(name, run, "total_input_tokens") / completed,
        _number(name, run, "total_output_tokens") / completed,
        None if limited else _count(name, run, "max_concurrency") if most else completed,
        _number(name, run, "request_rate", 1e6) if limited else None,
        _number(name, run, "burstiness", 1e6) if run.get("burstiness") is not None else 1.0,
        _some(name, figures),
    )


def _nested(name: str, run: Any) -> Result:
    metrics = run.get("metrics") if isinstance(run, dict) else None
    if not isinstance(metrics, dict):
        raise InputError(f"{name}: lacks 'metrics'; reports of guidellm have it")
    totals = _object(name, metrics, "request_totals")
    completed = _count(name, totals, "successful")
    figures: dict[str, float] = {}
    for figure, (key, unit) in NESTED.items():
        if isinstance(metrics.get(key), dict):
            told = _object(name, metrics[key], "successful")
            percentiles = told.get("percentiles")
            ranks = percentiles if isinstance(percentiles, dict) else {}
            given = {"mean": told.get("mean"), "p50": told.get("median"), **{s: ranks.get(s) for s in STATISTICS[2:]}}
            for statistic, value in given.items():
                if value is not None:
                    figures[f"{figure}_{statistic}"] = _checked(name, f"{key}.{statistic}", value) * unit
    for figure, key in (("output_tokens_per_s", "output_tokens_per_second"), ("requests_per_s", "requests_per_second")):
        if isinstance(metrics.get(key), dict):
            figures[figure] = _number(name, _object(name, metrics[key], "successful"), "mean")

    def mean(key: str) -> float:
        return _number(name, _object(name, _object(name, metrics, key), "successful"), "mean")

    strategy = _strategy(run)
    rate = strategy.get("rate") if strategy.get("type_") in ("constant", "async", "poisson") else None
    streams = strategy.get("streams") or strategy.get("max_concurrency")
    inside = streams if isinstance(streams, int) and not isinstance(streams, bool) else mean("request_concurrency")
    return Result(
        name,
        completed,
        mean("prompt_token_count"),
        mean("output_token_count"),
        None if rate else max(round(_checked(name, "concurrency", inside)), 1),
        _checked(name, "rate", rate) if rate else None,
        1.0 if strategy.get("type_") == "poisson" else 1e3,
        _some(name, figures),
    )


def _strategy(run: Mapping[str, Any]) -> Mapping[str, Any]:
    """How GuideLLM sent requests; older reports keep it with the arguments."""
    for holder in ("config", "args", "scheduler"):
        inner = run.get(holder)
        if isinstance(inner, dict) and isinstance(inner.get("strategy"), dict):
            return dict(inner["strategy"])
    return {}


def _some(name: str, figures: dict[str, float]) -> dict[str, float]:
    if not figures:
        raise InputError(
            f"{name}: holds no figure that is predicted; give a result of vllm bench serve, SGLang or GuideLLM"
        )
    return figures


def _object(name: str, holder: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = holder.get(key)
    if not isinstance(found, dict):
        raise InputError(f"{name}: lacks {key!r}; reports of guidellm have it")
    return found


def _number(name: str, run: Mapping[str, Any], key: str, most: float = 1e15) -> float:
    if key not in run:
        raise InputError(f"{name}: lacks {key!r}; results of vllm bench serve, SGLang and GuideLLM have it")
    return _checked(name, key, run[key], most)


def _count(name: str, run: Mapping[str, Any], key: str) -> int:
    count = _number(name, run, key, MOST_REQUESTS)
    if count % 1:
        raise InputError(f"{name}: {key} = {count:g} is not allowed; give a whole number")
    return int(count)


def _checked(name: str, key: str, value: Any, most: float = 1e15) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not LEAST < value <= most:
        raise InputError(f"{name}: {key} = {str(value)[:40]!r} is not allowed; give a number above 0, at most {most:g}")
    return float(value)
