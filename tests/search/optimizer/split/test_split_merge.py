"""The merge of two pools' own fronts against the product of the pools: every pair of instances that an engine lets send
caches to each other, at every ratio."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worked_case import cluster, qwen3, worked_case

from costmodel.cluster import Cluster, Tier
from costmodel.drafts.drafter import Drafter
from costmodel.engine import Engine
from costmodel.lengths import FixedLengths
from costmodel.plans import Plans
from costmodel.scenario import Limits
from costmodel.serving.split.joint import DecodePoint, PrefillPoint
from costmodel.serving.split.journey import Cargo, Transfer
from search.optimizer.front import Objectives, pareto_front
from search.optimizer.space import Space
from search.optimizer.split.asked import Asked
from search.optimizer.split.merge import ratios
from search.optimizer.split.pools import DecodePool, PrefillPool, decode_pool, prefill_pool
from search.optimizer.split.search import costs_of, merged, own_fronts, scored

WANTED = Objectives({"output_tokens_per_s": "max", "ttft_s": "min", "tpot_s": "min", "gpus": "min"})


def go_together(engine, p, a, d, b, asked):
    """What the engines say of two instances, plainly; the model has 4 KV heads."""
    sender, taker = p.plans.row(a), d.plans.row(b)
    if d.drafter[b] and asked.drafters[d.drafter[b] - 1].kind == "eagle3" and max(sender["sp"], sender["pp"]) > 1:
        return False
    if sender["sp"] > 1 and d.ranks[b] > 1:
        return False
    if engine == "sglang" and taker["pp"] not in (1, sender["pp"]):
        return False
    return engine != "vllm" or sender["tp"] <= max(taker["tp"], 4)


def product(scenario, p, d, asked, wanted=WANTED):
    """The cost rows of the front of all pairs at all ratios."""
    rows = []
    for total in asked.totals:
        found = [
            (a, b, x, y)
            for a in range(len(p))
            for b in range(len(d))
            if go_together(scenario.engine.name, p, a, d, b, asked)
            for x, y in ratios(total, int(p.plans.gpus[a]), int(d.plans.gpus[b]))
            if asked.may(x * int(p.plans.gpus[a]), y * int(d.plans.gpus[b]))
        ]
        if found:
            plans = scored(scenario, p, d, asked, total, *np.array(found).T)
            rows.append(costs_of(plans, wanted)[plans.feasible])
    return front_of(np.concatenate(rows) if rows else np.zeros((0, 4)))


def front_of(costs):
    kept = costs[pareto_front(costs, np.ones(len(costs), dtype=bool))] if len(costs) else costs
    return np.unique(np.round(kept, 9), axis=0)


def merged_front(scenario, p, d, asked, wanted=WANTED):
    plans = merged(scenario, *own_fronts(scenario, p, d, asked), asked)
    return front_of(costs_of(plans, wanted)[plans.feasible]), len(plans)


# Few values, so that ties abound.
FEW = st.sampled_from([0.5, 1.0, 2.0, 3.0, 5.0])


def columns(draw, n, names):
    return {name: np.array(draw(st.lists(FEW, min_size=n, max_size=n))) for name in names}


@st.composite
def pools(draw):
    n, m = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    sizes, degrees, one_or_two = st.sampled_from([1, 2, 4]), st.sampled_from([2, 4, 8]), st.sampled_from([1, 1, 2])

    def of(many, values):
        return np.array(draw(st.lists(values, min_size=many, max_size=many)))

    first = Plans.of(gpus=of(n, sizes), tp=of(n, degrees), sp=of(n, one_or_two), pp=of(n, one_or_two))
    second = Plans.of(gpus=of(m, sizes), tp=of(m, degrees), pp=of(m, one_or_two), batch=4)
    a, b = columns(draw, n, ("rate_per_s", "wait", "own_s")), columns(draw, m, ("rate_per_s", "tpot_s", "join_s"))
    one, many = np.ones(n), np.ones(m)
    held = Cargo(one * 4e9, np.array(draw(st.lists(FEW, min_size=n, max_size=n))), one * 4e9)
    taken = Cargo(np.array(draw(st.lists(FEW, min_size=m, max_size=m))) * 1e9, 4.0 * many, many * 4e9)
    p = PrefillPool(
        first, one.astype(int), one, one,
        PrefillPoint(first.gpus * one, a["rate_per_s"], a["wait"] + a["own_s"], a["own_s"], 4.0 * one, one, held),
    )  # fmt: skip
    d = DecodePool(
        second, many, of(m, st.sampled_from([0, 1, 2])), of(m, one_or_two),
        DecodePoint(second.gpus * many, b["rate_per_s"], b["tpot_s"], b["join_s"], 9.0 * many, many, taken),
    )  # fmt: skip
    return p, d


@given(pools(), st.sampled_from(["vllm", "sglang"]), st.sampled_from([1e10, 3e10, 1e12]))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_the_merge_has_every_point_of_the_products_front(drawn, engine, link):
    p, d = drawn
    wires = Cluster("drawn", (Tier("node", 64, 0.0, link),))
    scenario = worked_case(engine=Engine(engine), cluster=wires, limits=Limits(ttft_s=12.0, tpot_s=3.0))
    drafters = (Drafter("eagle3", (0.8,)), Drafter("ngram", (0.4,)))
    asked = Asked((1, 2, 4), (1, 2, 4), (0.5,), (8192,), (4, 7), Transfer(), drafters)
    found, _ = merged_front(scenario, p, d, asked)
    np.testing.assert_array_equal(found, product(scenario, p, d, asked))


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_the_merge_is_exact_on_a_small_space_of_the_model(engine):
    scenario = worked_case(
        model=qwen3(12), engine=Engine(engine), cluster=cluster(), lengths=FixedLengths(12000, 512),
        limits=Limits(ttft_s=5.0, tpot_s=0.05),
    )  # fmt: skip
    axes = {"gpus": (8, 12), "dp": (1,), "pp": (1, 2), "sp": (1,), "tp": (1, 2, 4, 8), "ep": (1, 2, 4, 8)}
    space = Space(axes | {"batch": (1, 8, 64)})
    asked = Asked((2, 4, 8), (2, 4, 8), (0.5, 0.9), (4096, 8192), (8, 12), Transfer())
    p, d = prefill_pool(scenario, space, asked), decode_pool(scenario, space, asked)
    found, pairs = merged_front(scenario, p, d, asked)
    exact = product(scenario, p, d, asked)
    assert len(exact) > 3
    np.testing.assert_array_equal(found, exact)
    everything = sum(
        len(list(ratios(total, int(n), int(m)))) for total in asked.totals for n in p.plans.gpus for m in d.plans.gpus
    )
    assert pairs < everything / 2


def test_ratios_are_whole_instances_that_fill_the_accelerators():
    assert list(ratios(16, 4, 8)) == [(2, 1)]
    assert list(ratios(7, 2, 3)) == [(2, 1)]
    assert list(ratios(4, 4, 4)) == []
    for x, y in ratios(64, 2, 3):
        assert 2 * x + 3 * y == 64
