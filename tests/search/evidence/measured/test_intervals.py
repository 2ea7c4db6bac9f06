"""Rows of the table of intervals: which one a plan has, and what is never surer than what."""

from dataclasses import replace

import numpy as np
import pytest
from measured_cases import SILICON

from costmodel.plans import Plans
from search.evidence.measured.grouped import read_cases
from search.evidence.measured.interval_fit import hull, with_factors
from search.evidence.measured.intervals import CLASSES, ENGINES, FIGURES, KEYS, OWN, coverage, load_intervals
from search.evidence.measured.rows import read_rows


@pytest.fixture
def scenario(table):
    return read_cases(read_rows(table(SILICON, {"row": "a"}))).cases[0].scenario


def key_of(scenario, waiting=False, **degrees):
    plan = Plans.of(**degrees)
    return KEYS[int(coverage(scenario, plan, np.array([waiting]))[0])]


def test_a_plan_has_the_row_of_its_engine_accelerator_and_load(scenario):
    """Up to eight sequences in flight a GPU are few, whatever the replicas."""
    assert key_of(scenario, gpus=8, tp=8, batch=64) == "covered_vllm_h200_sxm_few"
    assert key_of(scenario, gpus=8, tp=8, batch=65) == "covered_vllm_h200_sxm_many"
    assert key_of(scenario, gpus=8, dp=2, tp=4, batch=33) == "covered_vllm_h200_sxm_many"
    assert key_of(scenario, waiting=True, gpus=8, tp=8, batch=64) == "waiting"
    assert key_of(scenario, gpus=8, tp=4, pp=2, batch=64) == "layout"
    assert key_of(scenario, gpus=16, tp=16, batch=64) == "layout"


def test_a_law_of_ones_own_is_not_a_measured_accelerators(scenario):
    own = replace(scenario, law=replace(scenario.law, name="measured_my_card"))
    assert key_of(own, gpus=8, tp=8, batch=8) == "covered_vllm"
    assert key_of(replace(own, law=replace(own.law, name="class_default")), gpus=8, tp=8, batch=8) == "accelerator"


def test_every_row_belongs_to_a_situation():
    assert len(CLASSES) == len(KEYS)
    assert {CLASSES[KEYS.index(key)] for key in OWN} == {"covered"}
    assert CLASSES[KEYS.index("accelerator_amd")] == "accelerator"


def test_factors_multiply_and_the_less_known_are_no_surer():
    table = {"covered": (0.8, 1.25), "waiting": (0.7, 1.5)}
    table |= {f"covered_{engine}": (0.9, 1.2) for engine in ENGINES}
    by = {
        "engine": {"vllm": 1.0, "sglang": 2.0, "trtllm": 1.0},
        "accelerator": {"b200_sxm": 0.5, "h100_sxm": 1.0, "h200_sxm": 1.5},
        "load": {"few": 1.0, "many": 2.0},
        "all": {"all": 1.0},
    }
    wide = with_factors(table, by)
    assert wide["covered_sglang_h200_sxm_many"] == pytest.approx((0.9**6, 1.2**6))
    assert wide["covered_vllm_b200_sxm_few"] == pytest.approx((0.9**0.5, 1.2**0.5))
    assert wide["covered_vllm"] == pytest.approx((0.9**3, 1.2**3))
    assert hull(*wide.values()) == wide["waiting"]


@pytest.mark.parametrize("figure", FIGURES)
def test_the_file_keeps_that_order(figure):
    bounds = load_intervals().bounds[figure]
    own = [bounds[key] for key in OWN]
    assert hull(bounds["waiting"], *own) == bounds["waiting"]
    # Split plans have runs of their own, whose first tokens waited for connections (docs/split.md).
    aggregated = [bounds[key] for key in bounds if key != "split"]
    assert hull(bounds["layout"], *aggregated) == bounds["layout"]
