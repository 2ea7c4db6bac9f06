"""The worked case's claims, and the rules by which any claim is judged."""

from __future__ import annotations

from dataclasses import replace

import pytest
from document_cases import worked_case
from hypothesis import given
from hypothesis import strategies as st

from costmodel.columns import COLUMNS
from costmodel.evaluate import evaluate
from costmodel.plans import Plans
from search.optimizer.baselines import Baseline
from search.optimizer.outcome import Outcome
from search.render.document import spans
from search.render.document.claims import HIGHER, LOWER, Verdict, judge
from search.render.document.spans import beats, physical_limit, span, standing
from search.render.plan_file import plan_mapping

OTHER = "only under another reading"


def verdicts(outcome: Outcome, name: str) -> dict[str, Verdict]:
    baseline = next(b for b in outcome.baselines if b.name == name)
    return {v.claim: v for v in judge(baseline, outcome.scenario)}


def claiming(outcome: Outcome, claims: dict[str, float], **axes: int) -> dict[str, Verdict]:
    plan = Plans.of(**({"gpus": 16, "tp": 4, "ep": 8, "dp": 2, "batch": 256} | axes))
    baseline = Baseline("b", plan, evaluate(outcome.scenario, plan), claims, {})
    return {v.claim: v for v in judge(baseline, outcome.scenario)}


@pytest.fixture
def covered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals as narrow as those of a deployment that was measured: those of an accelerator that was not hold two
    readings of a figure at once."""
    monkeypatch.setattr(spans, "known", lambda scenario, plan, scores: "covered")


def test_verdicts_on_the_original_plan(worked: Outcome) -> None:
    found = {name: v.verdict for name, v in verdicts(worked, "original").items()}
    assert found == {
        "output_tokens_per_s": "fails",
        "ttft_s": OTHER,
        "memory_utilization": "holds",
        "claimed throughput needs no more than the bandwidth achieved": "contradicts",
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
        "claimed weights hold the whole model in every replica": "contradicts",
        "claimed throughput needs no more than the bandwidth achieved": "contradicts",
        "claimed bandwidth carries the claimed throughput": "contradicts",
    }


def test_first_token_is_only_one_sequence(worked: Outcome) -> None:
    for name in ("original", "refined"):
        v = verdicts(worked, name)["ttft_s"]
        assert v.reading == "one sequence by itself"
        assert v.otherwise is not None
        assert 0.02 < v.otherwise < v.claimed < v.derived


def test_weights_are_one_copy_over_all_gpus(worked: Outcome) -> None:
    v = verdicts(worked, "refined")["weights_bytes_per_gpu"]
    assert v.derived == pytest.approx(30.79e9, rel=0.001)
    assert v.otherwise == pytest.approx(235.09e9 / 16, rel=0.01)
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
        assert claiming(priced, {name: 0.0})[name].verdict in ("holds", "holds, with room", "fails")


@pytest.mark.usefixtures("covered")
def test_latencies_and_throughput_must_agree(worked: Outcome) -> None:
    claims = {"output_tokens_per_s": 5000.0, "ttft_s": 0.2, "burst_ttft_s": 20.0, "tpot_s": 0.02}
    found = claiming(worked, claims)
    assert found["claimed throughput follows from the claimed latencies"].verdict == "contradicts"
    assert found["output_tokens_per_s"].verdict == "holds, with room"
    assert found["tpot_s"].verdict == "fails"


def test_claimed_share_must_match_claimed_memory(worked: Outcome) -> None:
    found = claiming(worked, {"memory_bytes_per_gpu": 45.8e9, "memory_utilization": 0.9})
    assert found["claimed memory is the claimed share"].verdict == "contradicts"


@pytest.mark.usefixtures("covered")
def test_utilization_without_a_throughput_is_the_plans_own(worked: Outcome) -> None:
    assert claiming(worked, {"decode_bandwidth_utilization": 0.66})["decode_bandwidth_utilization"].verdict == "holds"
    share = claiming(worked, {"decode_bandwidth_utilization": 0.83})["decode_bandwidth_utilization"]
    assert (share.verdict, share.reading) == (OTHER, "a share of what is achieved, not of the peak")


def test_ttft_under_a_mean_limit_is_the_mean() -> None:
    outcome = worked_case(**{"limits.ttft_statistic": "mean"})
    found = verdicts(outcome, "refined")["ttft_s"]
    scores = next(b.scores for b in outcome.baselines if b.name == "refined")
    assert (found.verdict, found.reading) == ("holds", "as defined")
    assert found.derived == scores.ttft_s[0] < scores.burst_ttft_s[0]


def test_no_replica_holds_half_a_model(worked: Outcome) -> None:
    """16 GPUs, ep 8, two replicas and 14.69 GB of weights cannot all be true: 8 × 14.69 GB is half the model."""
    relation = "claimed weights hold the whole model in every replica"
    found = verdicts(worked, "refined")[relation]
    assert set(found.concerns) == {"weights_bytes_per_gpu", "gpus", "dp", "ep"}
    for shown in ("16 GPUs as 2 replicas", "14.69 GB", "117.52 GB", "236.39 GB", "ep 8", "28.39 GB"):
        assert shown in found.arithmetic
    assert claiming(worked, {"weights_bytes_per_gpu": 30.4e9})[relation].verdict == "holds"
    one_replica = claiming(worked, {"weights_bytes_per_gpu": 14.69e9}, dp=1, ep=16, batch=512)
    assert one_replica[relation].verdict == "holds"


def test_claims_that_hold_alone_and_not_together_contradict(worked: Outcome) -> None:
    """Both lie in their wide intervals, but 512 sequences at 54 ms a token cannot give what the interval ends at."""
    b = worked.baselines[1]
    _, high = span("output_tokens_per_s", float(b.scores.output_tokens_per_s[0]), worked.scenario, b.plan, b.scores)
    fast = 0.99 * high
    assert fast * 0.054 > 1.2 * 512
    found = claiming(worked, {"output_tokens_per_s": fast, "tpot_s": 0.054})
    assert found["output_tokens_per_s"].verdict == found["tpot_s"].verdict == "contradicts"
    alone = {**claiming(worked, {"output_tokens_per_s": fast}), **claiming(worked, {"tpot_s": 0.054})}
    assert alone["output_tokens_per_s"].verdict == alone["tpot_s"].verdict == "holds"


def test_where_a_claim_fails_its_partner_is_not_blamed(worked: Outcome) -> None:
    found = claiming(worked, {"memory_bytes_per_gpu": 45.8e9, "memory_utilization": 0.9})
    assert found["memory_bytes_per_gpu"].verdict == "holds"
    assert found["memory_utilization"].verdict == "fails"


@pytest.mark.parametrize(
    ("claims", "relation", "good"),
    [
        ({"weights_bytes_per_gpu": 50e9, "memory_bytes_per_gpu": 45e9}, "claimed parts add up", False),
        ({"weights_bytes_per_gpu": 30e9, "memory_bytes_per_gpu": 45e9}, "claimed parts add up", None),
        ({"memory_bytes_per_gpu": 65e9}, "claimed memory fits the accelerator", False),
        ({"memory_utilization": 1.1}, "claimed memory fits the accelerator", False),
        ({"output_tokens_per_s": 8000.0, "requests_per_s": 5.0}, "claimed throughput is the claimed requests", False),
        ({"output_tokens_per_s": 8192.0, "requests_per_s": 4.0}, "claimed throughput is the claimed requests", True),
        ({"output_tokens_per_s_per_gpu": 2000.0}, "claimed throughput needs no more", False),
        ({"admitted_batch": 300.0}, "claimed sequences are no more than the batch", False),
    ],
)
def test_relations(worked: Outcome, claims: dict[str, float], relation: str, good: bool | None) -> None:
    found = {v.claim: v.good for v in claiming(worked, claims).values() if v.claim.startswith(relation)}
    assert list(found.values()) == ([] if good is None else [good])


def test_what_beats_the_physical_limit_is_impossible(priced: Outcome) -> None:
    for name in (*LOWER[1:], *HIGHER[:3]):
        limit = physical_limit(name, priced.baselines[1].scores)
        assert limit is not None
        better = limit * (0.9 if name in LOWER else 1.1)
        found = claiming(priced, {name: better})[name]
        assert found.impossible
        assert not found.good
        assert "impossible" in found.arithmetic


@given(name=st.sampled_from(COLUMNS), factor=st.floats(0.001, 1000.0))
def test_standing_of_a_claim(priced: Outcome, name: str, factor: float) -> None:
    """A promise never gets worse by promising less; a size fails on both sides; the derived value always holds."""
    b = priced.baselines[1]
    value = float(getattr(b.plan if hasattr(b.plan, name) else b.scores, name)[0])
    low, high = span(name, value, priced.scenario, b.plan, b.scores)
    assert low <= value <= high
    assert standing(name, value, low, high) == "holds"
    found = standing(name, value * factor, low, high)
    inside = low <= value * factor <= high
    modest = (name in HIGHER and factor < 1.0) or (name in LOWER and factor > 1.0)
    assert found == ("holds" if inside else "holds, with room" if modest else "fails")
    if modest:
        assert not beats(name, value * factor, physical_limit(name, b.scores))


def test_spans_are_as_wide_as_what_is_known(worked: Outcome) -> None:
    """Degrees exact, counted bytes 2 %, estimated ones 10 %, their sum between, predictions wider."""
    b = worked.baselines[1]

    def width(name: str) -> float:
        low, high = span(name, 1.0, worked.scenario, b.plan, b.scores)
        return high - low

    assert width("tp") == 0.0
    assert width("weights_bytes_per_gpu") == pytest.approx(0.04)
    assert width("reserve_bytes_per_gpu") == pytest.approx(0.2)
    assert 0.04 < width("memory_bytes_per_gpu") < 0.06
    assert width("memory_utilization") == width("memory_bytes_per_gpu")
    assert width("decode_bandwidth_utilization") > 0.2
    assert min(width("ttft_s"), width("tpot_s")) > 0.2
