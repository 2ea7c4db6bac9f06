"""The tables as work, the fit, and the errors that docs/laws.md states."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from costmodel.operations import Work
from search.kernels import comm
from search.kernels.cases import Cases, gemm_cases
from search.kernels.datasheets import DATASHEETS
from search.kernels.fit import main
from search.kernels.fitting import errors, fit, fit_all, kept, only, predict, read_classes, sample, split

LAW = Path(__file__).parents[3] / "conf" / "law" / "class_default.yaml"

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
        "gemm": {"peak_share": 0.75, "launch_s": 2.5e-6, "k_step_s": 4e-10, "quantise_s": 3e-6},
        "other fp8": {"quantise_s": 9e-6, "quantise_bytes": 12.0},
    }
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


def test_gemm_rows_state_why_they_are_left_out(folder):
    frames = [c.frame for c in gemm_cases(folder)]
    for frame in frames:
        out = frame[frame["left_out"] != ""]
        assert (out["left_out"].str.len() > 5).all()
        slow = (frame["framework"] == "VLLM") & (frame["format"] == "fp8_block")
        assert (frame.loc[slow, "left_out"] != "").all()


def test_all_reduce_constants_repeat(folder):
    table = comm.table(comm.read(folder)).set_index(["collective", "accelerator"])
    for name, limit in (("h100_sxm", 0.2), ("h200_sxm", 0.2), ("b200_sxm", 0.25)):
        row = table.loc[("all_reduce", name)]
        assert row["median_error"] < limit
        assert 3.0 < row["latency_us"] < 8.0
        assert 0.3 < row["link_share"] < 0.8


def test_a_missing_folder_is_an_error_in_one_line(tmp_path, capsys):
    assert main(["--data", str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
