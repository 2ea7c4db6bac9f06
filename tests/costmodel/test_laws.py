"""ShapedLaw: ranges, bounds, monotonicity, and agreement with a scalar derivation."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from costmodel.hardware import Accelerator
from costmodel.laws import ShapedLaw
from costmodel.laws.products import whole_tiles
from costmodel.operations import Work

LAWS = Path(__file__).parents[2] / "conf" / "law"
NAMES = ("class_default", "measured_h100_sxm", "measured_h200_sxm", "measured_b200_sxm")
CHIP = Accelerator("chip", 80e9, 3e12, {"bf16": 1e15, "fp8": 2e15}, 450e9)
KINDS = ("gemm", "experts", "prefill_attention", "decode_attention", "mla_decode", "scan", "elementwise")


def document(name: str) -> dict:
    return yaml.safe_load((LAWS / f"{name}.yaml").read_text())


def law(name: str = "class_default") -> ShapedLaw:
    return ShapedLaw.from_constants(name, document(name)["constants"])


def work(kind: str, m, n, k, dtype="bf16", groups=4.0) -> Work:
    """A plausible call: products read k x n weights, attention has heads of 128."""
    if kind in ("gemm", "experts"):
        copies = groups if kind == "experts" else 1.0
        size = {"bf16": 2.0, "fp8": 1.0, "fp4": 0.5}[dtype]
        return Work(kind, dtype, 2.0 * m * n * k, copies * n * k * size, 0.0, 2.0 * m * (n + k), m, n, k, copies)
    if kind == "elementwise":
        return Work(kind, dtype, 0.0, 0.0, 0.0, 2.0 * m * n, m, 1.0, 1.0)
    return Work(kind, dtype, 512.0 * m * n * k, 0.0, 64.0 * m * k, 512.0 * m * n, m, n, k)


@pytest.mark.parametrize("name", NAMES)
def test_constants_are_plausible_and_sourced(name):
    read = document(name)
    fitted = law(name)
    assert 0.6 < fitted.rates.bandwidth_share <= 1.0
    assert 0.5 < fitted.rates.halving_share <= 1.0
    for part in ("gemm", "experts", "prefill", "decode", "mla"):
        assert 0.0 < getattr(fitted, part).peak_share <= 1.0
        assert 5e-7 < getattr(fitted, part).launch_s < 5e-5
        assert read["sources"][part]["rows"] > 100
        assert read["sources"][part]["median_error"] <= 0.21  # experts on the H200: 0.20
    assert set(read["sources"]) == set(read["constants"])


@pytest.mark.parametrize(
    ("part", "key", "value"), [("gemm", "peak_share", 1.2), ("rates", "bandwidth_share", 0), ("mla", "launch_s", -1e-6)]
)
def test_constants_out_of_range_are_refused(part, key, value):
    constants = document("class_default")["constants"]
    constants[part][key] = value
    with pytest.raises(ValueError, match=f"{part}.{key}"):
        ShapedLaw.from_constants("x", constants)


def test_unknown_and_missing_constants_are_named():
    constants = document("class_default")["constants"]
    constants["gemm"]["typo"] = constants["gemm"].pop("launch_s")
    with pytest.raises(ValueError, match=r"missing \['launch_s'\], unknown \['typo'\]"):
        ShapedLaw.from_constants("x", constants)


rows = st.integers(1, 100_000).map(float)
widths = st.integers(64, 32_768).map(float)
kinds = st.sampled_from(KINDS)
dtypes = st.sampled_from(("bf16", "fp8", "fp4"))


@given(kinds, rows, widths, widths, dtypes)
def test_never_below_its_bounds_nor_the_ceilings(kind, m, n, k, dtype):
    fitted, call = law(), work(kind, m, n, k, dtype)
    seconds, compute, memory = fitted.times(call, CHIP)
    flops_per_s, bytes_per_s = fitted.ceilings(CHIP, dtype)
    slack = 1 + 1e-12
    assert seconds * slack >= max(compute, memory)
    assert compute * slack >= call.flops / flops_per_s
    assert memory * slack >= call.bytes / bytes_per_s


@given(kinds, rows, rows, widths, widths, dtypes)
def test_more_rows_are_never_faster(kind, m, more, n, k, dtype):
    fitted = law()
    assert fitted.times(work(kind, m + more, n, k, dtype), CHIP).seconds >= (
        fitted.times(work(kind, m, n, k, dtype), CHIP).seconds
    )


@given(kinds, rows, widths, widths, dtypes, st.floats(1.0, 10.0))
def test_more_work_or_a_slower_accelerator_is_never_faster(kind, m, n, k, dtype, factor):
    fitted, call = law(), work(kind, m, n, k, dtype)
    base = fitted.times(call, CHIP).seconds
    slower_memory = replace(CHIP, memory_bytes_per_s=CHIP.memory_bytes_per_s / factor)
    slower_units = replace(CHIP, peak_flops={d: p / factor for d, p in CHIP.peak_flops.items()})
    assert fitted.times(replace(call, flops=call.flops * factor), CHIP).seconds >= base
    assert fitted.times(replace(call, weight_bytes=call.weight_bytes + factor * 1e6), CHIP).seconds >= base
    assert fitted.times(replace(call, io_bytes=call.io_bytes * factor), CHIP).seconds >= base
    assert fitted.times(call, slower_memory).seconds >= base
    assert fitted.times(call, slower_units).seconds >= base


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_broadcast_and_empty_calls_take_no_time(kind):
    m = np.array([[0.0, 1.0, 64.0, 4096.0], [8.0, 0.0, 512.0, 1.0]])
    n, k = np.array([1024.0, 4096.0, 512.0, 8192.0]), 2048.0
    call = work(kind, m, n, k)
    call = replace(call, weight_bytes=call.weight_bytes * (m > 0), groups=np.where(m > 0, call.groups, 0.0))
    together = law().times(call, CHIP).seconds
    assert together.shape == m.shape
    assert (together[m == 0] == 0).all()
    for i, j in zip(*np.nonzero(m), strict=True):
        alone = law().times(work(kind, m[i, j], n[j], k), CHIP).seconds
        assert together[i, j] == pytest.approx(alone, rel=1e-12)


def test_scalar_derivation_of_each_product_and_core():
    c, bandwidth = document("class_default")["constants"], 3e12 * law().rates.bandwidth_share
    m, n, k = 300.0, 2048.0, 1024.0

    g = c["gemm"]
    call = work("gemm", m, n, k, "fp8")
    rows = 512.0  # two tiles of 256
    compute = 2 * rows * n * k / (2e15 * g["peak_share"] * c["rates"]["halving_share"])
    memory = (n * k + 2 * m * (n + k)) / bandwidth
    quantising = g["quantise_s"] + k * g["quantise_k_step_s"] + 3 * m * k / bandwidth
    expected = math.hypot(compute, memory) + g["launch_s"] + k * g["k_step_s"] + quantising
    assert law().times(call, CHIP).seconds == pytest.approx(expected)

    e = c["experts"]
    compute = 2 * n * k * (m + 4 * e["tile_rows"]) / (1e15 * e["peak_share"])
    weights, moved = 4 * n * k * 2 / bandwidth, e["io_passes"] * 2 * m * (n + k) / bandwidth
    expected = math.hypot(compute, weights) + moved + e["token_passes"] * 1e6 / bandwidth + e["launch_s"]
    call = replace(work("experts", m, n, k), token_bytes=1e6)
    assert law().times(call, CHIP).seconds == pytest.approx(expected)

    p = c["prefill"]
    products, softmax = 512 * m * n * k / (1e15 * p["peak_share"]), m * n * k / p["exponentials_per_s"]
    moved = p["io_passes"] * (64 * m * k + 512 * m * n) / bandwidth
    expected = math.hypot(products, softmax) * (k + p["tile_tokens"]) / k + moved + p["launch_s"]
    assert law().times(work("prefill_attention", m, n, k), CHIP).seconds == pytest.approx(expected)

    for kind, d in (("decode_attention", c["decode"]), ("mla_decode", c["mla"])):
        stretch, least = (k + d["tile_tokens"]) / k, math.hypot(1.0, d["tile_tokens"] / k)
        moved = (64 * m * k * least + 512 * m * n + d["head_bytes"] * m * n) / bandwidth
        expected = (
            math.hypot(moved, 512 * m * n * k / (1e15 * d["peak_share"])) + d["launch_s"] + d["split_s"] / stretch
        )
        assert law().times(work(kind, m, n, k), CHIP).seconds == pytest.approx(expected)


def test_weight_only_formats_gain_in_memory_and_lose_nothing_in_compute():
    bf16 = work("gemm", 8.0, 8192.0, 8192.0)
    packed = replace(bf16, weight_bytes=bf16.weight_bytes / 4)
    assert law().times(packed, CHIP).seconds < 0.5 * law().times(bf16, CHIP).seconds
    assert law().times(packed, CHIP).compute_s == law().times(bf16, CHIP).compute_s


def test_a_tensor_core_multiplies_64_rows_at_least():
    """An H20 computes 37 FLOPs a byte: one row of a bf16 product takes what 64 take, and longer than reading it."""
    h20 = Accelerator("H20", 96e9, 4e12, {"bf16": 148e12}, 450e9)
    one, tile = (work("gemm", m, 8192.0, 8192.0) for m in (1.0, 64.0))
    found = law().times(one, h20)
    assert found.seconds > 1.5 * found.memory_s
    assert found.seconds == pytest.approx(law().times(replace(tile, flops=one.flops), h20).seconds, rel=0.02)
    # Where FLOPs abound nothing changes: the weights rule.
    assert law().times(one, CHIP).seconds < 1.3 * law().times(one, CHIP).memory_s


def test_rows_of_whole_tiles():
    """129 rows take as long as 256, 257 as 512; the first 64 are left to ``TILE_ROWS``."""
    rows = np.array([0.0, 1.0, 64.0, 64.5, 128.0, 129.0, 256.0, 257.0, 512.0, 8193.0])
    assert whole_tiles(rows).tolist() == [0.0, 1.0, 64.0, 128.0, 128.0, 256.0, 256.0, 512.0, 512.0, 8448.0]
