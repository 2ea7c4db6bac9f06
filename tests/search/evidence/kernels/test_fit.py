"""The tables as work, the fit, and the errors that docs/laws.md states."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from costmodel.all_reduce import KERNELS
from costmodel.collectives import OTHER_KERNELS
from costmodel.efficiency import USUAL
from costmodel.launches import kernels_of_experts
from costmodel.laws import GemmLaw
from costmodel.operations import Work
from search.evidence.kernels import comm, fitting
from search.evidence.kernels.cases import Cases, gemm_cases, moe_cases
from search.evidence.kernels.datasheets import DATASHEETS
from search.evidence.kernels.fit import main
from search.evidence.kernels.fitting import (
    BY_CUBLAS,
    START,
    errors,
    fit,
    fit_all,
    kept,
    only,
    predict,
    read_classes,
    sample,
    split,
)
from search.inputs.efficiency_laws import load_law
from search.inputs.hardware_catalog import load_cluster

LAW = Path(__file__).parents[4] / "conf" / "law" / "class_default.yaml"

# Median errors of docs/laws.md, accelerator left out, with room for a subsample.
STATED = {"gemm": 0.11, "experts": 0.22, "prefill": 0.18, "decode": 0.20, "mla": 0.15}


@pytest.fixture(scope="module")
def folder() -> Path:
    where = os.environ.get("SERVEFRONT_DATA")
    if not where:
        pytest.skip("SERVEFRONT_DATA is not set: the kernel tables are not here")
    return Path(where)


@pytest.fixture(scope="module")
def classes(folder):
    return {cls: split(sample(kept(cases), 3000)) for cls, cases in read_classes(folder).items()}


def test_class_default_keeps_its_stated_errors(classes):
    constants = yaml.safe_load(LAW.read_text())["constants"]
    for cls, limit in STATED.items():
        assert errors(cls, constants, classes[cls])["error"].abs().median() < limit, cls


@pytest.mark.parametrize("name", list(DATASHEETS))
def test_an_accelerator_is_predicted_from_its_datasheet(classes, name):
    constants = fit_all({cls: only(cases, lambda n: n != name) for cls, cases in classes.items()})
    unseen = {cls: only(classes[cls], lambda n: n == name) for cls in STATED}
    medians = {cls: errors(cls, constants, cases)["error"].abs().median() for cls, cases in unseen.items()}
    assert max(medians.values()) < 0.26, medians
    assert np.mean(list(medians.values())) < 0.18, medians


def test_quantising_kernels_do_not_pass_for_slow_products():
    """Two engines time the same products, each behind a kernel of its own: the law is that of the products."""
    draw = np.random.default_rng(0)
    m, n, k = (2.0 ** draw.integers(low, high, 600) for low, high in ((0, 14), (9, 15), (10, 14)))
    true = {
        "rates": {"bandwidth_share": 0.9, "halving_share": 0.8},
        "gemm": {
            "peak_share": 0.75, "launch_s": 2.5e-6, "k_step_s": 4e-10, "quantise_s": 3e-6, "quantise_k_step_s": 5e-10,
        },
        "other fp8": {"quantise_s": 9e-6, "quantise_k_step_s": 2e-10, "quantise_bytes": 12.0},
    }  # fmt: skip
    parts = []
    for dtype, owner in (("bf16", ""), ("fp8", "SGLang fp8_block"), ("fp8", "other fp8")):
        size = 2.0 if dtype == "bf16" else 1.0
        work = Work("gemm", dtype, 2 * m * n * k, n * k * size, 0.0, 2 * m * (n + k), m, n, k)
        part = Cases("gemm", pd.DataFrame({"accelerator": "h100_sxm", "owner": owner}, index=range(len(m))), (work,))
        part.frame["seconds"] = predict("gemm", true, part)
        parts.append(part)
    found = fit("gemm", parts, true["rates"], free_rates=True)
    for name, constants in true.items():
        assert found[name] == pytest.approx(constants, rel=0.05), name


def test_constants_of_fp4_inputs_repeat(folder):
    """SGLang's on the B200 are what every law holds."""
    products = only(split(kept(gemm_cases(folder))), lambda n: n == "b200_sxm")
    found = fit("gemm", products, START["rates"], free_rates=True)["SGLang nvfp4"]
    held = {f: GemmLaw.__dataclass_fields__[f].default for f in found}
    assert found == pytest.approx(held, rel=0.05)


@pytest.mark.parametrize("name", ["h100_sxm", "h200_sxm"])
def test_who_takes_whole_tiles_is_in_the_tables(name, folder, monkeypatch):
    """On Hopper every scaled FP8 product is nearer with them, cuBLAS's without."""
    products = only(split(kept(gemm_cases(folder))), lambda n: n == name)

    def error(even: bool) -> pd.Series:
        owners = {str(c.frame["owner"].iloc[0]) for c in products}
        monkeypatch.setattr(fitting, "EVEN", dict.fromkeys(owners, BY_CUBLAS) if even else {})
        found = fit("gemm", products, START["rates"], free_rates=True)
        return pd.Series({
            str(c.frame["owner"].iloc[0]): np.abs(np.log(predict("gemm", found, c) / c.frame["seconds"])).mean()
            for c in products
        })  # fmt: skip

    gain = error(even=True) - error(even=False)
    scaled = ["SGLang fp8", "SGLang fp8_block", "TRTLLM fp8_block", "VLLM fp8"]
    assert (gain[scaled] > 0.004).all(), gain
    assert gain["TRTLLM fp8"] < -0.01, gain


def test_gemm_rows_state_why_they_are_left_out(folder):
    frames = [c.frame for c in gemm_cases(folder)]
    for frame in frames:
        out = frame[frame["left_out"] != ""]
        assert (out["left_out"].str.len() > 5).all()
        slow = (frame["framework"] == "VLLM") & (frame["format"] == "fp8_block")
        assert (frame.loc[slow, "left_out"] != "").all()


def test_all_reduce_constants_repeat(folder):
    """The clusters' files hold them."""
    table = comm.table(comm.read(folder)).set_index(["collective", "accelerator"])
    for name, cluster in (("h100_sxm", "hgx8_400g"), ("h200_sxm", "hgx8_400g"), ("b200_sxm", "hgx8_blackwell_400g")):
        row, tier = table.loc[("all_reduce", name)], load_cluster(cluster).tiers[0]
        assert row["median_error"] < 0.1
        assert row["latency_us"] == pytest.approx(tier.latency_s * 1e6, rel=0.02)
        assert row["link_share"] == pytest.approx(tier.efficiency, rel=0.03)
        assert row["switch_latency_us"] == pytest.approx(tier.switch_latency_s * 1e6, rel=0.02)


def test_other_collectives_beside_the_all_reduce(folder):
    """Latency and share of the links over those of the all-reduce: the median over accelerators is what is held."""
    table = comm.table(comm.read(folder)).set_index(["collective", "accelerator"])
    reduced = table.loc["all_reduce"]
    for kind, names in (("all_gather", ["all_gather"]), ("reduce_scatter", ["reduce_scatter"]),
                        ("all_to_all", ["all_to_all dispatch", "all_to_all combine"])):  # fmt: skip
        for column, held in zip(("latency_us", "link_share"), OTHER_KERNELS[kind], strict=True):
            ratios = np.concatenate([(table.loc[name][column] / reduced[column]).to_numpy() for name in names])
            assert np.median(ratios) == pytest.approx(held, rel=0.1), (kind, column, ratios)


def test_latencies_of_all_reduce_kernels_repeat(folder):
    """On any two of the accelerators too."""
    calls = comm.read(folder)
    for left, tolerance in ((None, 0.02), *((name, 0.15) for name in sorted(calls["accelerator"].unique()))):
        found = comm.fit_kernels(calls[calls["accelerator"] != left])
        for name, kernel in KERNELS.items():
            assert found[name].one_pass == pytest.approx(kernel.one_pass, rel=tolerance), (left, name)
            assert found[name].two_passes == pytest.approx(kernel.two_passes, rel=tolerance), (left, name)


def test_a_missing_folder_is_an_error_in_one_line(tmp_path, capsys):
    assert main(["--data", str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def in_format(call: Work, format_: str) -> Work:
    """As the planner's operations say it; the tables' calls have neither flag."""
    if call.kind != "experts":
        return call
    return replace(call, dtype="fp4" if "mxfp4" in format_ else call.dtype, blocks="block" in format_)


@pytest.mark.parametrize(
    ("framework", "format_", "least", "engine", "rows"),
    [
        ("VLLM", "w4a16_mxfp4", 0, "vllm", 78),
        ("SGLang", "w4a16_mxfp4", 0, "sglang", 121),
        ("TRTLLM", "w4a16_mxfp4", 0, "cutlass", 37),
        ("VLLM", "fp8_block", 512, "vllm", 44),
        ("SGLang", "fp8_block", 512, "sglang", 35),
    ],
)
def test_factors_of_expert_kernels_repeat(folder, framework, format_, least, engine, rows):
    """With the engine's factor the median of measured over predicted time, without the fixed cost, is nearer to 1;
    block-scaled products of the fit's rows on B200 alone and by one rank, where they rule, packed ones on the two
    without FP4."""
    ratios: dict[bool, list[float]] = {True: [], False: []}
    for cases in split(moe_cases(folder)):
        name = str(cases.frame["accelerator"].iloc[0])
        wanted = cases.frame["format"].eq(format_)
        wanted &= cases.frame["framework"].eq(framework) & cases.frame["num_tokens"].ge(least)
        wanted &= ~cases.frame["left_out"].str.contains("fallback|3 times")
        if "block" in format_:
            wanted &= cases.frame["left_out"].eq("") & cases.frame["moe_ep_size"].eq(1)
        else:
            wanted &= cases.frame["distribution"].eq("balanced")
        if (name == "b200_sxm") is not ("block" in format_) or not wanted.any():
            continue
        here, chip, usual = cases.where(wanted.to_numpy()), DATASHEETS[name], load_law(f"measured_{name}")
        for factor, found in ratios.items():
            kernels = kernels_of_experts(engine, chip) if factor else USUAL
            law = replace(usual, experts=replace(usual.experts, kernels=kernels))
            seconds = sum(np.asarray(law.times(in_format(w, format_), chip).seconds) for w in here.works)
            fixed = 2 * law.experts.launch_s + np.asarray(law.times(here.works[2], chip).seconds)
            found += ((here.frame["seconds"] - fixed) / (seconds - fixed)).tolist()
    assert len(ratios[True]) == rows
    own, plain = (np.median(ratios[factor]) for factor in (True, False))
    assert abs(np.log(own)) < 0.2 * (1 + ("block" in format_)) and abs(np.log(own)) < abs(np.log(plain))
