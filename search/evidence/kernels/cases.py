"""Rows of the kernel tables as ``Work`` records, as the planner's operations would describe the same calls."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from costmodel.blocks.moe import elsewhere
from costmodel.operations import ACTIVATION_BYTES, Work
from search.evidence.kernels.datasheets import DATASHEETS


@dataclass(frozen=True)
class Cases:
    """Measured calls of one class. ``frame`` has a row a call: accelerator, framework, kernel, dtype, seconds,
    ``owner`` (of constants that are not the law's, or empty) and ``left_out`` (a reason, or empty). ``works`` are the
    operations that such a call consists of, arrays of that length; their times add up."""

    name: str
    frame: pd.DataFrame
    works: tuple[Work, ...]

    def where(self, mask: np.ndarray) -> Cases:
        return Cases(self.name, self.frame[mask].reset_index(drop=True), tuple(_pick(w, mask) for w in self.works))


FIELDS = ("flops", "weight_bytes", "kv_bytes", "io_bytes", "m", "n", "k", "groups", "token_bytes")


def _pick(work: Work, mask: np.ndarray) -> Work:
    values = {f: np.broadcast_to(np.asarray(getattr(work, f), dtype=float), mask.shape)[mask] for f in FIELDS}
    return Work(work.kind, work.dtype, **values)


def read(folder: Path, table: str) -> pd.DataFrame:
    """One table of all accelerators; ``seconds`` converted from milliseconds; ``accelerator`` from ``system``."""
    parts = [pd.read_csv(folder / f"kernels_{table}_{name}.csv.gz", low_memory=False) for name in DATASHEETS]
    frame = pd.concat(parts, ignore_index=True).rename(columns={"system": "accelerator", "kernel_source": "kernel"})
    frame["seconds"] = frame["latency"] * 1e-3
    frame["left_out"] = ""
    frame["owner"] = ""
    return frame


def by_dtype(cases_of: Any, frame: pd.DataFrame) -> list[Cases]:
    """One ``Cases`` for each compute dtype, because a ``Work`` has one dtype."""
    return [cases_of(frame[frame["dtype"] == d].reset_index(drop=True), d) for d in sorted(frame["dtype"].unique())]


def leave_out(frame: pd.DataFrame, rows: pd.Series, reason: str) -> None:
    frame.loc[rows & (frame["left_out"] == ""), "left_out"] = reason


GEMM = {  # name in the table: (compute dtype, bytes an element with its scales)
    "bfloat16": ("bf16", 2.0),
    "fp8": ("fp8", 1.0),
    "fp8_block": ("fp8", 1.0 + 4 / 128**2),
    "int8_wo": ("bf16", 1.0),
    "nvfp4": ("fp4", 0.5 + 1 / 16),
}


def gemm_cases(folder: Path) -> list[Cases]:
    frame = read(folder, "gemm")
    frame["format"] = frame["gemm_dtype"]
    frame["dtype"] = frame["format"].map({k: v[0] for k, v in GEMM.items()})
    frame["bytes_per_element"] = frame["format"].map({k: v[1] for k, v in GEMM.items()})
    # Whose kernel quantises the input: it is timed together with the product, and none is like another's.
    quantised = frame["format"].isin(["fp8", "fp8_block", "nvfp4"])
    frame["owner"] = (frame["framework"] + " " + frame["format"]).where(quantised, "")
    leave_out(frame, (frame["n"] < 512) | (frame["k"] < 512), "matrix under 512 wide: no projection of an LLM rank")
    slow = (frame["framework"] == "VLLM") & (frame["format"] == "fp8_block")
    leave_out(frame, slow, "vLLM 0.24 fp8_block: 55-152 us floor of its collection")
    leave_out(frame, frame["format"] == "int8_wo", "int8 weight-only: one old SGLang version, H100 only")
    leave_out(frame, frame["src_version"] == "0.5.6.post2", "SGLang 0.5.6: superseded by 0.5.14")
    return by_dtype(_gemm, frame)


def _gemm(f: pd.DataFrame, dtype: str) -> Cases:
    m, n, k = (f[c].to_numpy(float) for c in "mnk")
    weights = n * k * f["bytes_per_element"].to_numpy()
    work = Work("gemm", dtype, 2 * m * n * k, weights, 0.0, m * (k + n) * ACTIVATION_BYTES, m, n, k)
    return Cases("gemm", f, (work,))


def _bytes(names: pd.Series) -> np.ndarray:
    return names.map({"bfloat16": 2.0, "fp8": 1.0}).to_numpy(float)


def _visible(new: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Causal pairs of a prompt of ``new`` tokens, each seeing at most ``window`` (0: all)."""
    w = np.where(window > 0, np.minimum(window, new), new)
    pairs: np.ndarray = new * w - w * (w - 1) / 2
    return pairs


def prefill_cases(folder: Path) -> list[Cases]:
    frame = read(folder, "ctxattn")
    frame["dtype"] = frame["attn_dtype"].map({"bfloat16": "bf16", "fp8": "fp8"})
    frame["owner"] = frame["framework"]
    leave_out(frame, frame["kernel"].str.contains("triton"), "Triton fallback kernel")
    leave_out(frame, frame["kernel"].str.contains("trtllmdecode"), "decode kernel used for a prompt")
    leave_out(frame, frame["isl"] < 64, "prompts under 64 tokens")
    leave_out(frame, (frame["isl"] * frame["batch_size"]) < 256, "under 256 new tokens in all")
    leave_out(frame, frame["head_dim"] > 256, "head dimension 512")
    leave_out(
        frame, (frame["src_version"] == "0.22.0"), "vLLM 0.22 on Blackwell: superseded by 0.24 (and faster than it)"
    )
    leave_out(frame, frame["kernel"] == "torch_flow_flashinfer", "fallback kernel of TensorRT-LLM")
    return by_dtype(_prefill, frame)


def _prefill(f: pd.DataFrame, dtype: str) -> Cases:
    new, batch, heads, kv, d = (
        f[c].to_numpy(float) for c in ("isl", "batch_size", "num_heads", "num_key_value_heads", "head_dim")
    )
    pairs = _visible(new, f["window_size"].to_numpy(float))
    flops = 4 * heads * d * pairs * batch
    rows = new * batch
    written = rows * 2 * kv * d * _bytes(f["kv_cache_dtype"])
    io = rows * 2 * heads * d * ACTIVATION_BYTES
    return Cases("prefill", f, (Work("prefill_attention", dtype, flops, 0.0, written, io, rows, heads, pairs / new),))


def decode_cases(folder: Path) -> list[Cases]:
    frame = read(folder, "genattn")
    frame["dtype"] = "bf16"
    leave_out(frame, frame["kernel"].str.contains("triton"), "Triton fallback kernel")
    leave_out(frame, frame["head_dim"] > 256, "head dimension 512")
    leave_out(
        frame, (frame["src_version"] == "0.22.0"), "vLLM 0.22 on Blackwell: superseded by 0.24 (and faster than it)"
    )
    cast = frame["kernel"].isin(["fa3", "vllm_flash_attn_fa3", "flashinfer"]) & (frame["kv_cache_dtype"] == "fp8")
    leave_out(frame, cast, "FA3 and FlashInfer with an fp8 cache: no faster than with bf16 on the same shapes")
    leave_out(frame, frame["kernel"] == "torch_flow_flashinfer", "fallback kernel of TensorRT-LLM")
    batch, heads, kv, d = (
        frame[c].to_numpy(float) for c in ("batch_size", "num_heads", "num_key_value_heads", "head_dim")
    )
    window, seen = frame["window_size"].to_numpy(float), frame["step"].to_numpy(float) + 1
    context = np.where(window > 0, np.minimum(seen, window), seen)
    cache = batch * 2 * kv * d * _bytes(frame["kv_cache_dtype"]) * (context + 1)
    io = batch * 2 * heads * d * ACTIVATION_BYTES
    flops = 4 * heads * d * context * batch
    return [Cases("decode", frame, (Work("decode_attention", "bf16", flops, 0.0, cache, io, batch, heads, context),))]


LATENT, ROPE, NOPE, VALUE = 512.0, 64.0, 128.0, 128.0  # DeepSeek-V3 (arXiv:2412.19437, section 4.2)


def mla_cases(folder: Path) -> tuple[list[Cases], list[Cases]]:
    """Prompt kernels (as multi-head attention of width 192 and 128) and decode kernels (on the latent cache)."""
    frame = read(folder, "mla")
    frame = frame[frame["src_file"].isin(["context_mla", "generation_mla"])].reset_index(drop=True)
    frame["dtype"] = "bf16"
    hopper = (frame["framework"] == "SGLang") & (frame["accelerator"] != "b200_sxm")
    prompt_rows = frame["src_file"] == "context_mla"
    leave_out(frame, hopper & prompt_rows, "SGLang on Hopper, prompts: slower than TensorRT-LLM on the same shapes")
    cast = hopper & (frame["kv_cache_dtype"] == "fp8")
    leave_out(frame, cast, "SGLang on Hopper with an fp8 cache: 1.5 to 6 times its own bf16 on the same shapes")
    leave_out(frame, prompt_rows & (frame["isl"] < 64), "prompts under 64 tokens")
    leave_out(frame, prompt_rows & (frame["isl"] * frame["batch_size"] < 256), "under 256 new tokens in all")
    new, batch, heads = (frame[c].to_numpy(float) for c in ("isl", "batch_size", "num_heads"))
    row = (LATENT + ROPE) * _bytes(frame["kv_cache_dtype"])
    pairs = new * (new + 1) / 2
    rows = new * batch
    prompt = Work(
        "prefill_attention",
        "bf16",
        2 * heads * (NOPE + ROPE + VALUE) * pairs * batch,
        0.0,
        rows * row,
        rows * heads * (2 * (NOPE + ROPE) + 2 * VALUE) * ACTIVATION_BYTES,
        rows,
        heads,
        pairs / new,
    )
    context = frame["step"].to_numpy(float) + 1
    decode = Work(
        "mla_decode",
        "bf16",
        2 * heads * (2 * LATENT + ROPE) * context * batch,
        0.0,
        batch * row * (context + 1),
        batch * heads * (2 * LATENT + ROPE) * ACTIVATION_BYTES,
        batch,
        heads,
        context,
    )
    first = (frame["src_file"] == "context_mla").to_numpy()
    return [Cases("mla prefill", frame, (prompt,)).where(first)], [Cases("mla decode", frame, (decode,)).where(~first)]


MOE = {  # name in the table: (compute dtype, bytes an element with its scales)
    "bfloat16": ("bf16", 2.0),
    "fp8": ("fp8", 1.0),
    "fp8_block": ("fp8", 1.0 + 4 / 128**2),
    "int4_wo": ("bf16", 0.5 + 2 / 128),
    "nvfp4": ("fp4", 0.5 + 1 / 16),
    "w4a16_mxfp4": ("bf16", 0.5 + 1 / 32),
    "w4a8_mxfp4_mxfp8": ("fp8", 0.5 + 1 / 32),
}


MOE_UNTUNED = {
    "sglang_flashinfer_cutlass_moe": "FlashInfer CUTLASS in SGLang on Hopper: 3 times the law",
    "vllm_modeloptfp8moe_flashinfer_cutlass_flashinferexperts": "FlashInfer CUTLASS fp8 in vLLM: 3 times TensorRT-LLM",
    "moe_torch_flow_min_latency": "TensorRT-LLM's kernel for a few tokens, run at all sizes",
    "vllm_mxfp4_moe": "vLLM 0.19: superseded",
    "vllm_marlin_int4_moe": "vLLM 0.19: superseded",
}


ROWS_OF_ALL = 8  # of an expert in the mean: so many that few get none


def moe_cases(folder: Path) -> list[Cases]:
    frame = read(folder, "moe")
    frame["format"] = frame["moe_dtype"]
    frame["dtype"] = frame["format"].map({k: v[0] for k, v in MOE.items()})
    frame["bytes_per_element"] = frame["format"].map({k: v[1] for k, v in MOE.items()})
    leave_out(frame, frame["src_file"] != "moe", "wide expert parallel module: tokens counted otherwise")
    # Where every expert has rows and no rank is busier than another, routing as uneven as that counts as much.
    rows = frame["num_tokens"] * frame["topk"] / frame["num_experts"]
    plain = (frame["distribution"] == "power_law_1.01") & (frame["moe_ep_size"] == 1) & (rows >= ROWS_OF_ALL)
    uneven = (frame["distribution"] != "balanced") & ~plain
    leave_out(frame, uneven, "power-law routing: used for the imbalance only")
    for name, reason in MOE_UNTUNED.items():
        leave_out(frame, frame["kernel"] == name, reason)
    portable = frame["kernel"].str.contains("triton_triton|fused_moe|marlin") & (frame["accelerator"] == "b200_sxm")
    leave_out(frame, portable, "Triton or Marlin kernel on Blackwell: a fallback")
    leave_out(frame, frame["format"].isin(["int4_wo", "w4a16_mxfp4"]), "weight-only formats: reported, not fitted")
    # Kernels that keep a place for the rows of other ranks' experts (``costmodel.scenario``: expert_rows).
    walks = frame["kernel"].str.contains("triton|fused_moe") & (frame["accelerator"] != "b200_sxm")
    blocks = (frame["format"] == "fp8_block") & frame["framework"].isin(["SGLang", "VLLM"])
    frame["walks"] = walks | (blocks & (frame["accelerator"] == "b200_sxm"))
    frame["owner"] = frame["framework"] + " " + frame["format"]
    frame["gated"] = ~frame["kernel"].str.contains("nongated")
    return by_dtype(_moe, frame)


def _moe(f: pd.DataFrame, dtype: str) -> Cases:
    tokens, hidden, inter, topk, experts, tp, ep = (
        f[c].to_numpy(float)
        for c in ("num_tokens", "hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size", "moe_ep_size")
    )
    inner, local, rows = inter / tp, experts / ep, tokens * topk / ep
    hit = np.minimum(local, np.maximum(rows, 1.0))
    width = inner * np.where(f["gated"], 2.0, 1.0)
    size = f["bytes_per_element"].to_numpy()

    def product(n: np.ndarray, k: np.ndarray) -> Work:
        io = rows * (k + n) * ACTIVATION_BYTES
        seen = tokens * hidden * ACTIVATION_BYTES
        return Work("experts", dtype, 2 * rows * n * k, hit * n * k * size, 0.0, io, rows, n, k, hit, token_bytes=seen)

    moved = rows * (width + inner) * ACTIVATION_BYTES
    moved = moved + f["walks"] * tokens * elsewhere(topk, width, inner, hidden) * (1.0 - 1.0 / ep)
    silu = Work("elementwise", dtype, 0.0, 0.0, 0.0, moved, rows, 1.0, 1.0)
    return Cases("experts", f, (product(width, hidden), product(hidden, inner), silu))
