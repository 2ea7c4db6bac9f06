"""Scaling an input is what it says, under every law, and moves the figures the way physics does."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensitivity_cases import config, scenario

from costmodel.efficiency import FlatLaw
from costmodel.evaluate import evaluate
from costmodel.laws import ShapedLaw
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from search.base.errors import InputError
from search.optimizer.legal import legal_plans
from search.optimizer.rules.facts import facts_of
from search.optimizer.sensitivity.inputs import INPUTS, read_ranges, scaled
from search.optimizer.space import Space

CHOICES = {
    "flat": ("+experiment=qwen3_235b",),
    "shaped": ("model=qwen3_235b_fp8", "hardware=h100_sxm", "space=two_nodes"),
    "dense": ("model=llama_3_1_70b", "hardware=a100_80gb_sxm", "space=two_nodes"),
}


@cache
def case(name: str) -> tuple[Scenario, Plans]:
    """A scenario and its legal plans."""
    found = scenario(*CHOICES[name])
    space = Space.from_config(vars(config(*CHOICES[name]).space))
    return found, legal_plans(space, facts_of(found), "any").plans


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(CHOICES)), st.sampled_from(["compute", "bandwidth", "beta", "alpha"]), st.data())
def test_a_worse_rate_never_helps(name: str, name_of_input: str, data: st.DataObject) -> None:
    found, plans = case(name)
    known = INPUTS[name_of_input]
    factor = data.draw(st.floats(0.3, 1.0) if known.helps > 0 else st.floats(1.0, 5.0))
    some = plans.take(data.draw(st.lists(st.integers(0, len(plans) - 1), min_size=1, max_size=20)))
    before, after = evaluate(found, some), evaluate(scaled(found, {name_of_input: factor}), some)
    assert np.all(after.output_tokens_per_s <= before.output_tokens_per_s * (1 + 1e-12))
    for figure in ("burst_ttft_s", "tpot_s"):  # the mean TTFT may fall: a slower loop brings fewer prompts a second
        assert np.all(getattr(after, figure) >= getattr(before, figure) * (1 - 1e-12))
    assert np.array_equal(after.memory_bytes_per_gpu, before.memory_bytes_per_gpu)


@pytest.mark.parametrize("name", sorted(CHOICES))
@pytest.mark.parametrize("factor", [0.8, 1.05])
def test_scaling_the_accelerator_is_scaling_what_the_law_grants(name: str, factor: float) -> None:
    """The law's own constants changed by hand, kind of work by kind of work, give the same figures."""
    found, plans = case(name)
    few = plans.take(slice(0, None, 97))
    law = found.law
    if isinstance(law, FlatLaw):
        slow = {
            "compute": replace(law, mfu=law.mfu * factor),
            "bandwidth": replace(law, bandwidth=law.bandwidth * factor),
        }
    else:
        assert isinstance(law, ShapedLaw)
        parts = ("gemm", "experts", "prefill", "decode", "mla", "scan", "elementwise")
        products = {p: replace(getattr(law, p), peak_share=getattr(law, p).peak_share * factor) for p in parts}
        rates = replace(law.rates, bandwidth_share=law.rates.bandwidth_share * factor)
        slow = {"compute": replace(law, **products), "bandwidth": replace(law, rates=rates)}
    for input_name, changed in slow.items():
        ours = evaluate(scaled(found, {input_name: factor}), few)
        by_hand = evaluate(replace(found, law=changed), few)
        for figure in ("ttft_s", "burst_ttft_s", "tpot_s", "output_tokens_per_s"):
            np.testing.assert_allclose(getattr(ours, figure), getattr(by_hand, figure), rtol=1e-12)


def test_a_factor_of_one_changes_nothing() -> None:
    found, _ = case("flat")
    assert scaled(found, dict.fromkeys(INPUTS, 1.0)) is found


def test_lengths_stay_whole_and_positive() -> None:
    found, _ = case("flat")
    assert scaled(found, {"isl": 1e-6, "osl": 0.5}).lengths == replace(found.lengths, isl=1, osl=1024)


def test_what_cannot_exist_is_cut_off() -> None:
    wide = [
        f"sensitivity.ranges.{name}.{end}"
        for name in ("compute", "bandwidth", "beta")
        for end in ("low=0.1", "high=50")
    ]
    ranges = {r.name: r for r in read_ranges(config(*CHOICES["flat"], *wide).sensitivity, case("flat")[0])}
    assert ranges["compute"].high == pytest.approx(1 / 0.6)  # the whole peak
    assert ranges["bandwidth"].high == pytest.approx(1 / 0.8)
    assert ranges["beta"].high == pytest.approx(1 / 0.8)
    assert ranges["imbalance"].low == pytest.approx(max(0.85, 1 / 1.2))
    assert ranges["compute"].low == 0.1


def test_a_dense_model_has_no_imbalance() -> None:
    names = [r.name for r in read_ranges(config(*CHOICES["dense"]).sensitivity, case("dense")[0])]
    assert "imbalance" not in names
    assert {"compute", "bandwidth", "alpha", "beta", "isl", "osl"} == set(names)


def test_every_default_range_has_a_source() -> None:
    for name, given_range in config().sensitivity.ranges.items():
        assert given_range.source, name
        assert given_range.low < 1.0 < given_range.high


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sensitivity.ranges.compute.low=1.2", "sensitivity.ranges.compute.low: 1.2 is not allowed"),
        ("sensitivity.ranges.compute.low=0", "sensitivity.ranges.compute.low: 0.0 is not allowed"),
        ("sensitivity.ranges.beta.high=0.9", "sensitivity.ranges.beta.high: 0.9 is not allowed"),
        ("sensitivity.ranges.beta.high=nan", "sensitivity.ranges.beta.high"),
        ("+sensitivity.ranges.luck={low: 0.5, high: 2}", "sensitivity.ranges.luck: unknown input; allowed: compute"),
        ("+sensitivity.ranges.compute.mean=1", "sensitivity.ranges.compute.mean: unknown key"),
        ("sensitivity.draws=-1", "sensitivity.draws: -1 is not allowed"),
        ("sensitivity.draws=many", "sensitivity.draws"),
        ("sensitivity.seed=-1", "sensitivity.seed: -1"),
        ("sensitivity.most_ranked=0", "sensitivity.most_ranked: 0"),
        ("sensitivity=some", "sensitivity: there is no 'some'; available: default, none"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(search, override: str, message: str) -> None:
    code, _, err = search("+experiment=qwen3_235b", override)
    assert code == 2
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert message in err


def test_a_bad_range_is_an_input_error() -> None:
    bad = config(*CHOICES["flat"]).sensitivity
    bad.ranges["compute"].high = 1000.0
    with pytest.raises(InputError, match="above|from 1 to 100"):
        read_ranges(bad, case("flat")[0])
