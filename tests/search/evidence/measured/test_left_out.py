"""Slopes that serve every fit, what is left out together, and the terms that halves of the families choose."""

from dataclasses import replace

import numpy as np
import pytest
from measured_cases import SILICON

from search.evidence.measured.fitting import SHARED, apply, errors, fit, fit_linear, linear_around, wanted
from search.evidence.measured.grouped import Read, impossible_families, predict, read_cases
from search.evidence.measured.interval_fit import coverages, inflation, known_bounds, residuals, with_factors
from search.evidence.measured.left_out import LeftOut, model_of, version_family
from search.evidence.measured.linear import Linear, solve
from search.evidence.measured.rows import read_rows
from search.evidence.measured.terms import WITHOUT, chosen, halves, nested, without

DENSE = {"model": "Qwen/Qwen3-32B", "precision": "bf16", "ep": "1", "moe_tp": "8"}
SERVED = [
    {"system": "h100_sxm", "engine": "trtllm", "engine_version": "1.0.0rc3"},
    {"system": "h100_sxm", "engine": "sglang", "engine_version": "0.5.1", **DENSE},
    {"system": "h200_sxm", "engine": "vllm", "engine_version": "0.12.0"},
    {"system": "b200_sxm", "engine": "vllm", "engine_version": "0.19.0", "model": "MiniMaxAI/MiniMax-M2.5"},
]


@pytest.fixture
def read(table) -> Read:
    """Four families of four rows, measured as today's constants and a few per cent of noise have it."""
    changes = [
        {"row": f"{n}.{c}", "concurrency": str(c), "isl": "1024", "osl": str(osl), **of}
        for n, of in enumerate(SERVED) for c, osl in ((4, 256), (16, 256), (64, 512), (128, 512))
    ]  # fmt: skip
    found = read_cases(read_rows(table(SILICON, *changes)))
    assert not found.skipped
    said = predict(found)
    noise = np.random.default_rng(3).normal(0.0, 0.03, (2, len(said.places)))
    rows = [
        replace(row, ttft_s=float(t * np.exp(a)), tpot_s=float(p * np.exp(b)))
        for row, t, p, a, b in zip(found.rows, said.ttft_s, said.tpot_s, *noise, strict=True)
    ]
    return Read(rows, found.cases, {})


def everything(read: Read) -> np.ndarray:
    return np.ones(len(read.rows), dtype=bool)


def test_solve_finds_what_a_line_asks_for():
    slopes = np.array([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]])
    linear = Linear([("a", "x"), ("a", "y")], np.zeros(2), -np.array([[0.1, 0.2, 0.3]]), slopes)
    weak = (1e-9 * np.eye(2), np.zeros(2))
    found, _ = solve(linear, np.ones((1, 3)), weak, (np.full(2, -5.0), np.full(2, 5.0)), 1.0)
    assert found == pytest.approx([0.1, 0.2], abs=1e-4)


def test_slopes_tell_what_a_constant_does(read):
    values = {s.key: (s.towards if isinstance(s.towards, float) else s.constant.centre) for s in wanted(read)}
    linear = linear_around(read, values)
    moved = {**values, (SHARED, "sequence_overhead_s"): values[SHARED, "sequence_overhead_s"] * 1.1}
    logs = np.log([moved[key] for key in linear.keys])
    change = errors(read, moved) - errors(read, values)
    assert linear(logs) - linear.errors == pytest.approx(change, abs=2e-3)


def test_a_fit_by_old_slopes_is_near_a_fit_of_its_own(read):
    full = fit(read, everything(read), rounds=2)
    linear = linear_around(read, full)
    keep = np.array([row.engine != "sglang" for row in read.rows])
    quick, own = fit_linear(read, linear, keep), fit(read, keep, rounds=3, start=full)
    for key, value in own.items():
        assert quick[key] == pytest.approx(value, rel=0.15), key


def test_what_is_left_out_together(read):
    rows = [replace(read.rows[0], model=m) for m in ("deepseek-ai/DeepSeek-R1", "deepseek-ai/DeepSeek-V3")]
    assert len({model_of(m) for m in rows}) == 1
    assert model_of(replace(rows[0], model="nvidia/Llama-3.1-8B-Instruct-FP8")) == model_of(
        replace(rows[0], model="meta-llama/Llama-3.1-8B-Instruct")
    )
    assert version_family(read.rows[0]) != version_family(replace(read.rows[0], version="1.2.0"))


def test_strictly_left_out_rows_know_nothing_of_theirs(read):
    """Wrong measurements of a family move nothing that is predicted for it when its system and version are out."""
    full = fit(read, everything(read), rounds=1)
    odd = Read(
        [replace(row, tpot_s=row.tpot_s * 3.0) if row.engine == "sglang" else row for row in read.rows], read.cases, {}
    )
    plain, moved = (LeftOut(r, full, everything(r)).strict() for r in (read, odd))
    mine = np.array([read.rows[i].engine == "sglang" for i in plain.places])
    assert plain.tpot_s[mine] == pytest.approx(moved.tpot_s[mine], rel=1e-9)
    assert not np.allclose(plain.tpot_s[~mine], moved.tpot_s[~mine], rtol=1e-6)


def test_halves_share_no_family(read):
    a, b = halves(read)
    assert not a & b
    assert a | b == {row.family for row in read.rows}


def test_a_term_that_rows_were_made_with_is_chosen(read):
    full = fit(read, everything(read), rounds=1)
    assert "lockstep" in chosen(read, full)
    lacking = predict(without(read, ["lockstep"]), apply(full))
    mine = np.array([read.rows[i].engine == "sglang" for i in lacking.places])
    assert not np.allclose(lacking.ttft_s[mine], predict(read, apply(full)).ttft_s[mine], rtol=0.05)


def test_nothing_is_left_of_a_term(read):
    for term in WITHOUT:
        assert set(without(read, [term]).cases) == set(read.cases)


def test_intervals_are_widened_until_the_other_half_lies_inside(read):
    full = fit(read, everything(read), rounds=1)
    strict = LeftOut(read, full, everything(read)).strict()
    others = nested(read, full, ~everything(read))
    table = known_bounds(read, strict, residuals(read, strict, 1))
    by = inflation(read, others, 1, table)
    wide = with_factors(table, by)
    shares = coverages(read, others, 1, wide)
    assert shares["all"][0] >= 0.75
    assert shares["all"][1] == len(read.cases)
    assert {"few", "many", "h100_sxm", "vllm"} <= set(shares)
    # Fewer than three families say nothing of their own: an engine takes what all rows need.
    assert by["engine"]["sglang"] == by["all"]["all"]
    assert by["accelerator"]["b200_sxm"] == max(by["accelerator"].values())
    assert table["covered_vllm"] == table["covered"]  # two families are too few for a class of their own


def test_a_family_faster_than_the_accelerator_is_found(read):
    assert impossible_families(read) == set()
    rows = [replace(row, tokens_per_s_per_gpu=1e9) if n == 0 else row for n, row in enumerate(read.rows)]
    assert impossible_families(Read(rows, read.cases, {})) == {read.rows[0].family}
