"""The worked case's claims, and the rules by which any claim is judged."""

from __future__ import annotations

from dataclasses import replace

import pytest
from document_cases import worked_case
from hypothesis import given
from hypothesis import strategies as st

from costmodel.evaluate import evaluate
from costmodel.plans import Plans
from search.baselines import Baseline
from search.document.claims import HIGHER, LOWER, Verdict, holds, judge
from search.front import COLUMNS
from search.plan_file import plan_mapping
from search.run import Outcome

OTHER = "only under another reading"


def verdicts(outcome: Outcome, name: str) -> dict[str, Verdict]:
    baseline = next(b for b in outcome.baselines if b.name == name)
    return {v.claim: v for v in judge(baseline, outcome.scenario)}


def claiming(outcome: Outcome, claims: dict[str, float], **axes: int) -> dict[str, Verdict]:
    plan = Plans.of(**({"gpus": 16, "tp": 4, "ep": 8, "dp": 2, "batch": 256} | axes))
    baseline = Baseline("b", plan, evaluate(outcome.scenario, plan), claims, {})
    return {v.claim: v for v in judge(baseline, outcome.scenario)}


def test_verdicts_on_the_original_plan(worked: Outcome) -> None:
    found = {name: v.verdict for name, v in verdicts(worked, "original").items()}
    assert found == {
        "output_tokens_per_s": "fails",
        "ttft_s": OTHER,
        "memory_utilization": "holds",
        "claimed throughput needs no more than the bandwidth achieved": "fails",
    }


def test_verdicts_on_the_refined_plan(worked: Outcome) -> None:
    found = {name: v.verdict for name, v in verdicts(worked, "refined").items()}
    assert found == {
        "output_tokens_per_s": "fails",
        "ttft_s": OTHER,
        "memory_bytes_per_gpu": "fails",
        "weights_bytes_per_gpu": OTHER,
        "kv_cache_bytes_per_gpu": "fails",
        "activation_bytes_per_gpu": "fails",
        "decode_bandwidth_utilization": OTHER,
        "claimed parts add up to the claimed memory": "holds",
        "claimed throughput needs no more than the bandwidth achieved": "fails",
    }


def test_first_token_is_only_one_sequence(worked: Outcome) -> None:
    for name in ("original", "refined"):
        v = verdicts(worked, name)["ttft_s"]
        assert v.reading == "one sequence by itself"
        assert 0.02 < v.derived < v.claimed


def test_weights_are_one_copy_over_all_gpus(worked: Outcome) -> None:
    v = verdicts(worked, "refined")["weights_bytes_per_gpu"]
    assert v.derived == pytest.approx(235.09e9 / 16, rel=0.01)
    assert "one copy" in v.reading
    assert "30.79 GB" in v.arithmetic


def test_throughput_needs_more_than_the_peak(worked: Outcome) -> None:
    v = verdicts(worked, "refined")["claimed throughput needs no more than the bandwidth achieved"]
    assert v.derived == pytest.approx(1.07, abs=0.005)
    for figure in ("24,648 tok/s", "512 in flight", "20.8 ms", "30.47 GB", "9.47 GB", "1.44 TB/s", "27.7 ms", "107 %"):
        assert figure in v.arithmetic


def test_what_a_run_says_of_its_own_plan_holds(worked: Outcome) -> None:
    """``plan.yaml`` as an earlier plan of the next run, with a burst limit and with a mean limit."""
    for statistic in ("burst", "mean"):
        limits = replace(worked.scenario.limits, ttft_statistic=statistic)
        outcome = replace(worked, scenario=replace(worked.scenario, limits=limits))
        assert outcome.choice is not None
        row = outcome.choice.recommended
        plan = plan_mapping(outcome, row, "again")
        found = claiming(outcome, plan["claims"], **plan["layout"], batch=plan["batch"])
        assert {v.verdict for v in found.values()} == {"holds"}


def test_every_figure_can_be_claimed(priced: Outcome) -> None:
    """Whatever column of pareto.csv is claimed at its derived value holds."""
    plan = priced.baselines[1].plan
    for name in COLUMNS:
        value = float(getattr(plan if hasattr(plan, name) else priced.baselines[1].scores, name)[0])
        if name == "ttft_s":  # alone it is the burst's, which the limit bounds
            continue
        found = claiming(priced, {name: value})
        assert found[name].verdict == "holds", name


def test_claims_of_zero_are_judged(priced: Outcome) -> None:
    for name in COLUMNS:
        assert claiming(priced, {name: 0.0})[name].verdict in ("holds", "fails")


def test_latencies_and_throughput_must_agree(worked: Outcome) -> None:
    claims = {"output_tokens_per_s": 5000.0, "ttft_s": 0.2, "burst_ttft_s": 20.0, "tpot_s": 0.02}
    found = claiming(worked, claims)
    assert found["claimed throughput follows from the claimed latencies"].verdict == "fails"
    assert found["output_tokens_per_s"].verdict == "holds"
    assert found["tpot_s"].verdict == "fails"


def test_claimed_share_must_match_claimed_memory(worked: Outcome) -> None:
    found = claiming(worked, {"memory_bytes_per_gpu": 45.8e9, "memory_utilization": 0.9})
    assert found["claimed memory is the claimed share"].verdict == "fails"


def test_utilization_without_a_throughput_is_the_plans_own(worked: Outcome) -> None:
    assert claiming(worked, {"decode_bandwidth_utilization": 0.66})["decode_bandwidth_utilization"].verdict == "holds"
    share = claiming(worked, {"decode_bandwidth_utilization": 0.83})["decode_bandwidth_utilization"]
    assert (share.verdict, share.reading) == (OTHER, "a share of what is achieved, not of the peak")


def test_ttft_under_a_mean_limit_is_the_mean() -> None:
    outcome = worked_case(**{"limits.ttft_statistic": "mean", "engine.request_overhead_s": 0.0})
    assert verdicts(outcome, "refined")["ttft_s"].verdict == "holds"


@given(name=st.sampled_from(COLUMNS), value=st.floats(1e-6, 1e15), factor=st.floats(0.01, 100.0))
def test_holds_within_tolerance(name: str, value: float, factor: float) -> None:
    assert holds(name, value, value)
    good = holds(name, value, value * factor)
    if (name in HIGHER and factor >= 1.0) or (name in LOWER and factor <= 1.0):
        assert good
    elif not 0.899 < factor < 1.101:
        assert not good or (name in HIGHER and factor > 1.0) or (name in LOWER and factor < 1.0)
