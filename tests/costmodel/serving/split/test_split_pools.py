"""Each pool against an independent reckoning: the aggregated model's passes, queues by simulation."""

from dataclasses import replace

import numpy as np
import pytest
from worked_case import cluster, qwen3, worked_case

from costmodel.cluster import Cluster, Tier
from costmodel.engine import Engine
from costmodel.lengths import FixedLengths
from costmodel.plans import Plans
from costmodel.serving.offline import static_batch
from costmodel.serving.split.decode import decode
from costmodel.serving.split.joint import decode_point, joint, prefill_point
from costmodel.serving.split.journey import Link, Transfer, cargo, journey, link_of
from costmodel.serving.split.prefill import Prefill, prefill

FAST = Link(np.inf, 0.0)
INSTANCES = Plans.of(gpus=[8, 8, 16, 4], tp=[8, 2, 4, 4], ep=[8, 8, 16, 1], batch=[64, 128, 256, 8])


def scenario(isl=2048, osl=512, **engine):
    return worked_case(model=qwen3(12), lengths=FixedLengths(isl, osl), engine=Engine("any", **engine))


@pytest.mark.parametrize("isl", [2048, 8192, 20000])
def test_one_instance_each_on_a_fast_link_is_prefill_alone_and_decode_alone(isl):
    asked = scenario(isl, request_overhead_s=0.01, sequence_overhead_s=1e-5)
    idle = prefill_point(asked, INSTANCES, np.full(4, 1e-13))
    busy = decode_point(asked, INSTANCES)
    both = joint(asked, FAST, idle, 1.0, busy, 1.0)
    alone = static_batch(asked, replace(INSTANCES, batch=np.ones(4, dtype=int)))
    decoding = static_batch(asked, INSTANCES)
    np.testing.assert_allclose(both.ttft_s - busy.join_s, alone.prefill_s, rtol=1e-9)
    np.testing.assert_allclose(both.tpot_s, decoding.step_s, rtol=1e-9)


def test_the_lesser_pool_is_the_throughput():
    asked = scenario()
    p, d = prefill_point(asked, INSTANCES, np.full(4, 0.8)), decode_point(asked, INSTANCES)
    both = joint(asked, FAST, p, 3.0, d, 2.0)
    np.testing.assert_allclose(both.requests_per_s, np.minimum(3 * p.rate_per_s, 2 * d.rate_per_s), rtol=1e-12)
    np.testing.assert_allclose(d.rate_per_s, INSTANCES.batch / (d.join_s + 511 * d.tpot_s), rtol=1e-12)


def test_figures_grow_with_the_instances_and_times_do_not():
    asked = scenario()
    p, d, link = prefill_point(asked, INSTANCES, np.full(4, 0.7)), decode_point(asked, INSTANCES), Link(5e10, 1e-5)
    one, many = (joint(asked, link, p, 2.0 * k, d, 3.0 * k) for k in (1.0, 7.0))
    for name in ("gpus", "requests_per_s", "in_flight"):
        np.testing.assert_allclose(getattr(many, name), 7.0 * getattr(one, name), rtol=1e-12)
    for name in ("ttft_s", "tpot_s", "transfer_s", "link_share"):
        np.testing.assert_array_equal(getattr(many, name), getattr(one, name))


def test_more_link_never_hurts():
    asked = scenario(20000)
    p, d = prefill_point(asked, INSTANCES, np.full(4, 0.9)), decode_point(asked, INSTANCES)
    rates = np.geomspace(1e6, 1e13, 40)
    found = [joint(asked, Link(rate, 1e-5), p, 1.0, d, 1.0) for rate in rates]
    ttft = np.array([f.ttft_s for f in found])
    assert np.isinf(ttft[0]).any()  # a link that cannot carry what is prefilled
    assert np.isfinite(ttft[-1]).all()
    later, before = ttft[1:], ttft[:-1]
    assert ((later <= before) | np.isinf(before)).all()


def test_a_queue_of_single_prompts_is_that_of_kleinrock():
    one = np.ones(1)
    pool = Prefill(one, 0.2 * one, 0.2 * one, 0.2 * one, 0.2 * one, one, one, 0.0, np.array([True]))
    for used in (0.1, 0.5, 0.9):
        expected = used * 0.2 / (2.0 * (1.0 - used))  # M/D/1: rho s / (2 (1 - rho))
        np.testing.assert_allclose(pool.wait_s(used * pool.capacity_per_s), expected, rtol=1e-12)
    assert np.isinf(pool.wait_s(pool.capacity_per_s)[0])


@pytest.mark.parametrize(("used", "most"), [(0.3, 8), (0.6, 8), (0.8, 4), (0.9, 16)])
def test_waits_in_shared_passes_are_those_of_a_simulation(used, most):
    """Prompts at random times, passes of up to ``most`` that take 0.1 s and 0.02 s a prompt."""
    one = np.ones(1)
    full = (0.1 + 0.02 * most) * one
    pool = Prefill(one, 0.12 * one, full, 0.12 * one, full, one, most * one, 0.0, np.array([False]))
    rate = float(used * pool.capacity_per_s[0])
    arrived = np.cumsum(np.random.default_rng(1).exponential(1.0 / rate, 40_000))
    clock, i, waits = 0.0, 0, []
    while i < len(arrived):
        clock = max(clock, arrived[i])
        taken = min(int(np.searchsorted(arrived, clock, side="right")) - i, most)
        waits.extend(clock - arrived[i : i + taken])
        clock, i = clock + 0.1 + 0.02 * taken, i + taken
    assert float(pool.wait_s(rate)[0]) == pytest.approx(float(np.mean(waits)), rel=0.2)


def test_a_prompt_longer_than_the_budget_takes_passes_in_turn():
    pool = prefill(scenario(20000), INSTANCES)
    np.testing.assert_array_equal(pool.passes, 3.0)
    short = prefill(scenario(1024), INSTANCES)
    np.testing.assert_allclose(short.prompts, 8.0 * INSTANCES.attn_dp)
    assert (short.capacity_per_s > 8.0 * pool.capacity_per_s).all()


@pytest.mark.parametrize("engine", ["trtllm", "vllm", "sglang"])
def test_passes_of_tensorrt_llm_hold_whole_prompts(engine):
    """Eight of 1,000 tokens in a budget of 8,192 for each group, where others fill it with a part of a ninth."""
    asked = replace(scenario(1000), engine=Engine(engine, max_batched_tokens=8192))
    pool = prefill(asked, INSTANCES)
    full = (8.0 if engine == "trtllm" else 8.192) * INSTANCES.attn_dp
    np.testing.assert_allclose(pool.prompts, full, rtol=1e-12)
    assert (pool.least == 1.0).all()


def test_a_decoding_instance_serves_more_of_more_sequences_and_each_more_slowly():
    asked, plan = scenario(), Plans.of(gpus=8, tp=2, ep=8)
    at = np.geomspace(0.5, 512, 30)
    found = decode(asked, plan.take(np.zeros(30, dtype=int)), at)
    assert (np.diff(found.tpot_s) >= 0).all()
    assert (np.diff(found.rate_per_s) > 0).all()


def test_a_group_that_cannot_split_heads_takes_copies():
    asked = scenario(osl=2)
    held = cargo(asked, Plans.of(gpus=[1, 4, 8], tp=[1, 4, 8]))
    np.testing.assert_allclose(held.copies, [1.0, 1.0, 2.0])  # four KV heads
    elements = 2 * 4 * 128 * 12  # keys and values, heads, width, layers, a byte each
    np.testing.assert_allclose(held.total_bytes, 2048 * elements)
    trip = journey(asked, Link(1e9, 0.0), held, held, 0.0, 0.0)
    np.testing.assert_allclose(trip.travel_s, 2048 * elements / np.array([1e9, 4e9, 4e9]))


def test_chunks_travel_behind_the_ones_that_follow():
    asked = replace(scenario(32768, 2), engine=Engine("sglang"))
    held = cargo(asked, Plans.of(gpus=1, tp=1))
    whole = journey(asked, Link(1e9, 0.0), held, held, 0.0, 0.0).travel_s
    last = journey(asked, Link(1e9, 0.0), held, held, 0.0, 0.0, 4.0, 1e3).travel_s
    slow = journey(asked, Link(1e9, 0.0), held, held, 0.0, 0.0, 4.0, whole / 2.0).travel_s
    np.testing.assert_allclose(last, whole / 4.0)
    np.testing.assert_allclose(slow, whole * (1.0 - 0.375))


def test_the_link_is_the_tier_that_holds_everything_and_a_host_is_slower():
    wires = cluster()
    assert link_of(wires, Transfer(), 8).bytes_per_s == 400e9 * 0.8
    assert link_of(wires, Transfer(), 16).bytes_per_s == 50e9 * 0.8
    assert link_of(wires, Transfer("rdma"), 8).bytes_per_s == 50e9 * 0.8
    staged = link_of(wires, Transfer("host", 5e10), 16)
    assert 1.0 / staged.bytes_per_s == pytest.approx(1.0 / 40e9 + 2.0 / 5e10)
    board = Cluster("one board", (Tier("node", 8, 1e-6, 1e11),))
    assert link_of(board, Transfer("rdma"), 8).bytes_per_s == 1e11
