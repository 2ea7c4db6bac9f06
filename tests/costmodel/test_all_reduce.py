"""Kernels of an all-reduce: their latencies, when the norm is done in passing, what that saves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from costmodel.all_reduce import CUSTOM, KERNELS, LARGEST_WITH_NORM, does_norms, kernel_of, with_norm_s
from costmodel.cluster import Cluster, Tier
from costmodel.collectives import message_seconds
from costmodel.engine import Engine
from costmodel.evaluate import evaluate
from costmodel.operations import Collective, Message
from costmodel.plans import Plans
from tests.costmodel.worked_case import worked_case

ALPHA, BETA = 5e-6, 200e9
NODE = Tier("node", 8, ALPHA, BETA, switch_latency_s=80e-6)
SWITCHED = Cluster("switched", (NODE, Tier("fabric", 64, 10e-6, 50e9)))
PLAIN = Cluster("plain", (replace(NODE, switch_latency_s=0.0), SWITCHED.tiers[1]))


def message(data: float, size: int = 8, stride: int = 1, rows: float = np.inf) -> Message:
    return Message("all_reduce", data, np.asarray(float(size)), stride, rows)


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_takes_the_faster_of_one_pass_and_two_with_its_own_latencies(name: str) -> None:
    kernel = KERNELS[name]
    for data in (1e4, 1e6):
        one = kernel.one_pass * ALPHA + 7 * data / BETA
        two = kernel.two_passes * ALPHA + 2 * 7 / 8 * data / BETA
        seconds = float(message_seconds(message(data), SWITCHED, 8, kernel))
        assert seconds == pytest.approx(min(one, two, 80e-6 + data / BETA), rel=1e-12)


def test_kernels_that_wait_for_nobody_are_faster_with_little_and_not_with_much() -> None:
    little, much = (
        {n: float(message_seconds(message(data), PLAIN, 8, k)) for n, k in KERNELS.items()} for data in (1e4, 3e6)
    )
    assert little["sglang"] < little["trtllm"] < little["custom"]
    assert much["sglang"] < much["custom"] < much["trtllm"]


@pytest.mark.parametrize("name", KERNELS)
def test_nodes_whose_switch_adds_nothing_up_have_kernels_with_barriers(name: str) -> None:
    engine = Engine("e", all_reduce=name, all_reduce_norm="fused")
    assert kernel_of(engine, SWITCHED) == KERNELS[name]
    assert kernel_of(engine, PLAIN) == CUSTOM
    assert does_norms(engine, SWITCHED, experts=False) and not does_norms(engine, PLAIN, experts=False)


@pytest.mark.parametrize(("setting", "dense", "experts"), [("apart", 0, 0), ("experts", 0, 1), ("fused", 1, 1)])
def test_the_engine_says_in_which_models_all_reduces_do_norms(setting: str, dense: int, experts: int) -> None:
    engine = Engine("e", all_reduce_norm=setting)
    assert [does_norms(engine, SWITCHED, e) for e in (False, True)] == [dense, experts]


def test_norms_are_done_in_passing_within_a_node_up_to_a_size() -> None:
    seconds = [
        float(with_norm_s(message(data, size, stride), SWITCHED, 64, 0))
        for data, size, stride in ((1e4, 8, 1), (LARGEST_WITH_NORM + 1, 8, 1), (1e4, 8, 8), (1e4, 1, 1), (0.0, 8, 1))
    ]
    assert seconds[0] == pytest.approx(KERNELS["trtllm"].one_pass * ALPHA + 7 * 1e4 / BETA)
    assert seconds[1:] == [np.inf] * 4


def test_a_norm_done_in_passing_saves_its_own_time() -> None:
    """One sequence at tp 8, two all-reduces and two norms a layer: what the kernel saves, and the norms' traffic;
    nothing at tp 1, where nothing is reduced."""
    scenario = worked_case(cluster=SWITCHED)
    apart, fused = (
        replace(scenario, engine=replace(scenario.engine, all_reduce_norm=how)) for how in ("apart", "fused")
    )
    single, wide = (Plans.of(gpus=g, tp=g, ep=1, batch=1) for g in (1, 8))
    assert evaluate(apart, single).tpot_s == evaluate(fused, single).tpot_s

    hidden, layers = scenario.model.hidden, scenario.model.layer_count
    decodes = 2047 / 2048  # of 2048 steps of its life it decodes in 2047
    row = message(2.0 * hidden * decodes)
    kernel_s = message_seconds(row, SWITCHED, 8, CUSTOM) - with_norm_s(row, SWITCHED, 8, 0)
    norm_s = (4 * hidden * decodes + hidden) * 2.0 / (1.8e12 * 0.8)  # two streams in and out, and the weights, in bf16
    step_s = evaluate(apart, wide).tpot_s[0] - evaluate(fused, wide).tpot_s[0]
    assert step_s == pytest.approx(2 * layers * (float(kernel_s) + norm_s), rel=1e-9)


def test_messages_are_alike_only_if_they_take_as_long() -> None:
    """What is timed once: the same bytes among the same ranks, before a norm or not."""
    size = np.array([4.0, 8.0])
    first = Collective("attention.all_reduce", "all_reduce", 8192.0, size, 1, before_norm=True)
    assert replace(first, name="experts.all_reduce").alike == first.alike
    changes = (
        {"bytes_per_row": 4096.0},
        {"size": size / 2},
        {"stride": 2},
        {"rows": "samples"},
        {"before_norm": False},
    )
    for change in (*changes, {"kind": "all_gather"}):
        assert replace(first, **change).alike != first.alike
