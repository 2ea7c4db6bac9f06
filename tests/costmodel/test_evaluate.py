"""``evaluate`` against the scalar reference, and the properties that every score has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cost_strategies import CHECKS, scenarios_and_plans
from hypothesis import given, settings
from hypothesis import strategies as st
from scalar_case import Case
from scalar_reference import Reference
from worked_case import accelerator, cluster, original, refined, worked_case

from costmodel.all_reduce import KERNELS, NORM_KERNEL
from costmodel.cluster import Cluster
from costmodel.engine import Engine
from costmodel.evaluate import LIMIT_NAMES, evaluate
from costmodel.lengths import FixedLengths
from costmodel.plans import Plans, concatenate
from costmodel.scenario import Limits
from costmodel.scores import FIGURES
from costmodel.serving import servers

HOST = {
    "step_overhead_s": 1e-3,
    "layer_overhead_s": 2e-6,
    "sequence_overhead_s": 1e-5,
    "request_overhead_s": 2e-2,
    "prompt_token_s": 1e-5,
    "stream_token_s": 5e-5,
    "steps_ahead": 1.0,
    "reserve_bytes": 2e9,
}

PLANS = {
    "refined": {"gpus": 16, "tp": 4, "ep": 8, "dp": 2, "batch": 256},
    "original": {"gpus": 8, "tp": 8, "ep": 8, "batch": 128},
    "two uneven stages of dense attention": {"gpus": 16, "tp": 4, "ep": 8, "pp": 2, "batch": 192},
    "94 layers in 4 stages": {"gpus": 32, "tp": 8, "ep": 8, "pp": 4, "batch": 100},
    "more stages than sequences": {"gpus": 64, "tp": 8, "ep": 8, "pp": 8, "batch": 3},
    "prompts split over sp": {"gpus": 8, "tp": 4, "ep": 8, "sp": 2, "batch": 64},
    "experts split too": {"gpus": 16, "tp": 4, "ep": 4, "batch": 333},
    "experts split over everything": {"gpus": 8, "tp": 2, "ep": 1, "batch": 31},
    "cache too small": {"gpus": 8, "tp": 8, "ep": 8, "batch": 2048},
    "weights too large": {"gpus": 4, "tp": 4, "ep": 4, "batch": 16},
    "attention across nodes": {"gpus": 32, "tp": 16, "ep": 32, "batch": 512},
    "groups and micro-batches unequally full": {"gpus": 32, "tp": 2, "ep": 8, "pp": 4, "batch": 5},
    "everything across nodes": {"gpus": 64, "tp": 4, "ep": 16, "dp": 2, "pp": 2, "sp": 2, "batch": 1000},
}


def check(case: Case, scenario_changes: dict, degrees: dict) -> None:
    plan = Plans.of(**degrees)
    scores = evaluate(worked_case(**scenario_changes), plan)
    for name, wanted in Reference(case, **plan.row(0)).figures().items():
        assert getattr(scores, name)[0] == pytest.approx(wanted, rel=1e-9), name


@pytest.mark.parametrize("degrees", PLANS.values(), ids=PLANS.keys())
def test_scalar_reference(degrees: dict) -> None:
    check(Case(), {}, degrees)


@pytest.mark.parametrize("degrees", PLANS.values(), ids=PLANS.keys())
def test_scalar_reference_with_a_host_and_long_prompts(degrees: dict) -> None:
    engine = Engine("host", 2048, expert_imbalance=1.3, **HOST)
    case = Case(isl=9000, osl=100, budget=2048, imbalance=1.3, **HOST)
    check(case, {"engine": engine, "lengths": FixedLengths(9000, 100)}, degrees)


@pytest.mark.parametrize("degrees", PLANS.values(), ids=PLANS.keys())
def test_scalar_reference_with_norms_in_all_reduces(degrees: dict) -> None:
    node, fabric = cluster().tiers
    switched = Cluster("switched", (replace(node, switch_latency_s=40e-6), fabric))
    engine = Engine("any", all_reduce="sglang", all_reduce_norm="experts")
    own, norm = ((k.one_pass, k.two_passes) for k in (KERNELS["sglang"], NORM_KERNEL))
    case = Case(latencies=own, norm_latencies=norm, switch_s=40e-6)
    check(case, {"engine": engine, "cluster": switched}, degrees)


def test_scalar_reference_where_only_the_middle_hop_leaves_the_node() -> None:
    check(Case(), {}, {"gpus": 16, "tp": 4, "ep": 4, "pp": 4, "batch": 100})


def test_cache_admits_fewer_than_the_batch() -> None:
    """The case of that name above is one: who finds no room waits outside, and throughput no longer grows."""
    scores = evaluate(worked_case(), original(batch=[1024, 2048]))
    assert np.all(scores.admitted_batch < 1024)
    assert scores.output_tokens_per_s[1] == pytest.approx(scores.output_tokens_per_s[0], rel=0.02)
    assert scores.ttft_s[1] > 2 * scores.ttft_s[0]
    assert scores.limits[scores.first_violated()[0]] == "memory"


def test_worked_case_claims() -> None:
    """What the plan document's claims come to (docs/design, section 2)."""
    scores = evaluate(worked_case(), concatenate([refined(), original()]))
    assert np.all(scores.output_tokens_per_s < [24648, 12324])
    assert np.all(scores.ttft_s > 0.05)
    assert scores.burst_ttft_s[0] > 12.3
    assert scores.tpot_s[0] > 0.0337
    assert scores.memory_bytes_per_gpu[1] == pytest.approx(43.8e9, rel=0.04)
    assert scores.weights_bytes_per_gpu[1] + scores.kv_cache_bytes_per_gpu[1] == pytest.approx(42e9, rel=0.01)


def test_violations_are_relative_to_each_limit() -> None:
    limits = Limits(0.9, ttft_s=2.0, ttft_statistic="burst", tpot_s=0.02, min_requests_per_s=100.0)
    scores = evaluate(worked_case(limits=limits), refined())
    assert scores.limits == LIMIT_NAMES
    assert scores.violations[:, 0] == pytest.approx(
        [
            scores.memory_bytes_per_gpu[0] / (0.9 * 64e9) - 1,
            scores.burst_ttft_s[0] / 2.0 - 1,
            scores.tpot_s[0] / 0.02 - 1,
            1 - scores.requests_per_s[0] / 100.0,
        ]
    )
    assert not scores.feasible[0]
    assert scores.first_violated()[0] == 1


def test_no_plans() -> None:
    scores = evaluate(worked_case(), refined().take(slice(0, 0)))
    assert len(scores) == 0
    assert scores.violations.shape == (len(LIMIT_NAMES), 0)


@CHECKS
@given(scenarios_and_plans())
def test_identities(drawn: tuple) -> None:
    scenario, plans = drawn
    scores, lengths = evaluate(scenario, plans), scenario.lengths
    stay = scores.ttft_s + (lengths.osl - 1) * scores.tpot_s
    np.testing.assert_allclose(scores.output_tokens_per_s, plans.dp * plans.batch * lengths.osl / stay, rtol=1e-12)
    np.testing.assert_allclose(scores.output_tokens_per_s_per_gpu * plans.gpus, scores.output_tokens_per_s, rtol=1e-12)
    np.testing.assert_allclose(scores.requests_per_s * lengths.osl, scores.output_tokens_per_s, rtol=1e-12)
    parts = (
        scores.weights_bytes_per_gpu
        + scores.kv_cache_bytes_per_gpu
        + scores.activation_bytes_per_gpu
        + scores.reserve_bytes_per_gpu
    )
    np.testing.assert_allclose(scores.memory_bytes_per_gpu, parts, rtol=1e-12)
    for name in FIGURES:
        assert np.all(np.isfinite(getattr(scores, name))), name
    for name in ("decode_mfu", "decode_bandwidth_utilization", "prefill_mfu"):
        assert np.all((getattr(scores, name) >= 0) & (getattr(scores, name) <= 1)), name


@CHECKS
@given(scenarios_and_plans(), st.sampled_from(("flops", "memory", "link")), st.floats(1.0, 4.0))
def test_faster_is_never_slower(drawn: tuple, what: str, factor: float) -> None:
    scenario, plans = drawn
    before = evaluate(scenario, plans)
    if what == "link":
        node = scenario.cluster.node_size
        faster = replace(scenario, cluster=cluster(link=factor, node=node))
    else:
        memory_bytes = scenario.accelerator.memory_bytes
        faster = replace(scenario, accelerator=replace(accelerator(**{what: factor}), memory_bytes=memory_bytes))
    after = evaluate(faster, plans)
    for name in ("burst_ttft_s", "tpot_s"):
        assert np.all(getattr(after, name) <= getattr(before, name) * (1 + 1e-12)), name
    # A faster loop brings more prompts a second, so a request may meet one more often: the whole stay counts.
    decodes = scenario.lengths.decodes
    assert np.all(after.ttft_s + decodes * after.tpot_s <= (before.ttft_s + decodes * before.tpot_s) * (1 + 1e-12))


def same(a: object, b: object, index: object) -> None:
    for name in (*FIGURES, "violations"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name)[..., index], err_msg=name)


@settings(CHECKS, max_examples=25)
@given(scenarios_and_plans(most=40), st.randoms(use_true_random=False), st.sampled_from((1, 3, 7)))
def test_order_and_chunks_change_no_bit(drawn: tuple, random, chunk: int) -> None:
    scenario, plans = drawn
    whole = evaluate(scenario, plans)
    order = list(range(len(plans)))
    random.shuffle(order)
    same(evaluate(scenario, plans.take(order)), whole, order)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(servers, "CELLS", chunk)
        same(evaluate(scenario, plans), whole, slice(None))


def test_chunks_change_no_bit_with_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = worked_case(engine=Engine("host", **HOST))
    plans = Plans.of(gpus=16, tp=4, ep=4, dp=2, pp=[1, 2] * 64, batch=range(8, 520, 4))
    whole = evaluate(scenario, plans)
    monkeypatch.setattr(servers, "CELLS", 1)
    same(evaluate(scenario, plans), whole, slice(None))
