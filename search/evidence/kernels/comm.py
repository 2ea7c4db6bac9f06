"""Constants of collectives inside a node, in the form that ``costmodel.collectives`` uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from costmodel.all_reduce import KERNELS, AllReduceKernel, passes_s
from costmodel.cluster import Tier
from search.evidence.kernels.datasheets import DATASHEETS

GPUS_OF_A2A = 8.0
FORMS = ("one_pass", "two_passes")
START = [5e-6, 0.6, 6e-5]  # latency_s, link_share, switch_latency_s


def read(folder: Path) -> pd.DataFrame:
    """Columns: collective, accelerator, kernel, ways, bytes (of ``Message``), seconds, left_out; ``reduces`` names the
    kernel of an all-reduce (``costmodel.all_reduce.KERNELS``)."""
    frames = [pd.read_csv(folder / f"kernels_comm_{name}.csv.gz", low_memory=False) for name in DATASHEETS]
    raw = pd.concat(frames, ignore_index=True)
    return pd.concat([_all_reduce(raw), _nccl(raw), _low_latency(raw), _high_throughput(raw)], ignore_index=True)


def _frame(raw: pd.DataFrame, **columns: Any) -> pd.DataFrame:
    out = pd.DataFrame({"accelerator": raw["system"], "kernel": raw["kernel_source"], "left_out": ""}, index=raw.index)
    return out.assign(**columns)


def _all_reduce(raw: pd.DataFrame) -> pd.DataFrame:
    """The engines' own all-reduce; from 16 KiB on they are the sizes of hidden x tokens."""
    rows = raw[raw["src_file"] == "custom_allreduce"]
    size = rows["message_size"] * 2.0
    out = _frame(rows, collective="all_reduce", ways=rows["num_gpus"], bytes=size, seconds=rows["latency"] * 1e-3)
    out.loc[rows["kernel_source"].str.contains("eager"), "left_out"] = "eager launch: engines run it in a CUDA graph"
    out.loc[(size < 16384) | (size > 2**28), "left_out"] = "below 16 KiB or above 256 MiB"
    out["reduces"] = "custom"
    out.loc[rows["kernel_source"] == "TRTLLM", "reduces"] = "trtllm"
    new = (rows["src_backend"] == "sglang") & (rows["src_version"] == "0.5.14")
    out.loc[new & (out["reduces"] == "custom"), "reduces"] = "sglang"
    return out


def _nccl(raw: pd.DataFrame) -> pd.DataFrame:
    """NCCL all-gather and reduce-scatter. ``message_size`` is the whole buffer: what a rank holds in all."""
    wanted = (raw["src_file"] == "nccl") & raw["op_name"].isin(["all_gather", "reduce_scatter"])
    rows = raw[wanted & (raw["nccl_dtype"] == "half")]
    size = rows["message_size"] * 2.0
    out = _frame(rows, collective=rows["op_name"], ways=rows["num_gpus"], bytes=size, seconds=rows["latency"] * 1e-3)
    out.loc[(size < 16384) | (size > 2**26), "left_out"] = "below 16 KiB or above 64 MiB"
    out.loc[rows["src_version"] == "2.23", "left_out"] = "NCCL 2.23: superseded"
    return out


def _copies(topk: pd.Series) -> pd.Series:
    """Ranks that a token goes to: W (1 - (1 - 1/W)^topk), as ``costmodel.blocks.moe`` counts them."""
    return GPUS_OF_A2A * (1.0 - (1.0 - 1.0 / GPUS_OF_A2A) ** topk)


def _low_latency(raw: pd.DataFrame) -> pd.DataFrame:
    """DeepEP low latency in one node: fp8 out (dispatch), bf16 back (combine); microseconds."""
    wanted = (raw["src_file"] == "wideep_deepep_ll") & (raw["node_num"] == 1) & (raw["src_version"] == "0.5.12")
    rows = raw[wanted]
    sent = rows["num_token"] * rows["hidden_size"] * _copies(rows["num_topk"])
    few = rows["num_experts"] < 64
    parts = []
    for phase, width, column in (("dispatch", 1.0, "dispatch_avg_t_us"), ("combine", 2.0, "combine_avg_t_us")):
        out = _frame(rows, collective=f"all_to_all {phase}", ways=GPUS_OF_A2A, bytes=sent * width)
        out["seconds"] = rows[column] * 1e-6
        out.loc[few, "left_out"] = "fewer than 64 experts: no model spreads those"
        parts.append(out)
    return pd.concat(parts)


def _high_throughput(raw: pd.DataFrame) -> pd.DataFrame:
    """DeepEP high throughput as TensorRT-LLM calls it, bf16, under balanced and power-law routing alike; microseconds.
    ``num_tokens`` are those of one rank."""
    wanted = (raw["src_file"] == "moe_a2a") & (raw["comm_backend"] == "trtllm_deepep_ht")
    rows = raw[wanted & (raw["comm_dtype"] == "bfloat16")]
    sent = rows["num_tokens"] * rows["hidden_size"] * _copies(rows["topk"]) * 2.0
    out = _frame(rows, collective="all_to_all ht " + rows["phase"], ways=GPUS_OF_A2A, bytes=sent)
    out["seconds"] = rows["transmit_us"] * 1e-6
    return out


Kernels = dict[str, AllReduceKernel]


def predict(frame: pd.DataFrame, constants: Sequence[float], kernels: Kernels = KERNELS) -> np.ndarray:
    """Seconds with ``constants`` as ``fit`` returns them: latency_s + (ways - 1) / ways * bytes / (link * link_share),
    or of an all-reduce with its kernel or by the switch, whichever is faster (``costmodel.collectives``)."""
    latency_s, link_share, *switch = constants
    link: Any = frame["accelerator"].map({n: a.link_bytes_per_s for n, a in DATASHEETS.items()}).to_numpy(float)
    ways, data = frame["ways"].to_numpy(float), frame["bytes"].to_numpy(float)
    tier = Tier("node", 8, latency_s, link, link_share)
    if not (frame["collective"] == "all_reduce").all():
        return np.asarray(latency_s + (ways - 1.0) / ways * (data / tier.rate))
    of: Any = {f: frame["reduces"].map({n: getattr(k, f) for n, k in kernels.items()}).to_numpy(float) for f in FORMS}
    passes = passes_s(tier, ways, data, np.inf, AllReduceKernel(**of), one_pass_tokens=0)
    return np.asarray(np.minimum(passes, switch[0] + data / tier.rate))


def fit(frame: pd.DataFrame) -> tuple[float, ...]:
    """(latency_s, link_share), and switch_latency_s of an all-reduce, by soft-L1 on the logarithm."""
    reduces = bool((frame["collective"] == "all_reduce").all())
    return _least(START if reduces else START[:2], lambda x: _off(frame, x.tolist()))


def fit_kernels(frame: pd.DataFrame) -> Kernels:
    """Latencies of the kernels of an all-reduce over those of ``custom``, for all accelerators together, each with its
    own constants: what ``costmodel.all_reduce.KERNELS`` holds."""
    reduces = frame[(frame["collective"] == "all_reduce") & (frame["left_out"] == "")]
    parts = [here for _, here in reduces.groupby("accelerator")]
    others = [name for name in KERNELS if name != "custom"]

    def kernels(x: np.ndarray) -> Kernels:
        return {"custom": KERNELS["custom"]} | {n: AllReduceKernel(*x[2 * i : 2 * i + 2]) for i, n in enumerate(others)}

    def residuals(x: np.ndarray) -> np.ndarray:
        own = x[2 * len(others) :].reshape(-1, 3).tolist()
        return np.concatenate([_off(here, own[i], kernels(x)) for i, here in enumerate(parts)])

    return kernels(np.array(_least([0.7, 2.0] * len(others) + START * len(parts), residuals)))


def _off(frame: pd.DataFrame, constants: Sequence[float], kernels: Kernels = KERNELS) -> np.ndarray:
    return np.asarray(np.log(predict(frame, constants, kernels)) - np.log(frame["seconds"].to_numpy()))


def _least(start: list[float], residuals: Callable[[np.ndarray], np.ndarray]) -> tuple[float, ...]:
    found = least_squares(lambda logs: residuals(np.exp(logs)), np.log(start), loss="soft_l1", f_scale=0.1)
    return tuple(np.exp(found.x).tolist())


def table(frame: pd.DataFrame) -> pd.DataFrame:
    """For each collective and accelerator: its own constants with their error, and the error of the constants of the
    other accelerators (``left_out_median``)."""
    good = frame[frame["left_out"] == ""]
    rows = []
    for (collective, name), here in good.groupby(["collective", "accelerator"]):
        others = good[(good["collective"] == collective) & (good["accelerator"] != name)]
        own = fit(here)
        other = predict(here, fit(others)) / here["seconds"] - 1
        error = predict(here, own) / here["seconds"] - 1
        switch = own[2] if len(own) > 2 else np.nan
        rows.append((collective, name, len(here), *own[:2], switch, error.abs().median(), other.abs().median()))
    columns = [
        "collective", "accelerator", "rows", "latency_s", "link_share", "switch_latency_s", "median_error",
        "left_out_median",
    ]  # fmt: skip
    out = pd.DataFrame(rows, columns=columns)
    for name in ("latency", "switch_latency"):
        out[f"{name}_us"] = (out.pop(f"{name}_s") * 1e6).round(2)
    return out.round(3)
