"""Building layouts keeps the plans, and counts the removed ones, that walking the product does."""

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.engine import ENGINES
from search.base.errors import InputError
from search.optimizer.layouts import Divisors
from search.optimizer.legal import legal_plans
from search.optimizer.rules.facts import Facts
from search.optimizer.rules.registry import engine_rules, general_rules
from search.optimizer.space import ORDER, Space
from tests.search.optimizer.walk import walk

EXPERTS = Facts(
    layers=12, heads=(16,), kv_heads=(4,), grouped_query=True, experts=(32,), expert_inner=(768,), dense_inner=(),
    weight_block=128, max_gpus=48, node_size=8, max_batched_tokens=16, block_tp=(2048,), total_tokens=100,
)  # fmt: skip
LATENT = replace(EXPERTS, grouped_query=False, kv_heads=(), dense_inner=(9216,), dense_split="stage", weight_block=0)
DENSE = replace(EXPERTS, experts=(), expert_inner=(), dense_inner=(3072,), weight_block=0, block_tp=())
SHORT = replace(DENSE, positions=50)
KINDS = (EXPERTS, LATENT, DENSE, SHORT)


def axis(*, most: int, longest: int = 5):
    return st.lists(st.integers(1, most), min_size=1, max_size=longest, unique=True).map(lambda v: tuple(sorted(v)))


SPACES = st.fixed_dictionaries(
    {
        "gpus": axis(most=64), "dp": axis(most=6), "pp": axis(most=14, longest=3), "sp": axis(most=4, longest=3),
        "tp": axis(most=16), "ep": axis(most=36), "batch": axis(most=64, longest=3),
    }
).map(Space)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(SPACES, st.sampled_from(KINDS), st.sampled_from(("any", *ENGINES)))
def test_as_a_walk_through_the_product(space, facts, engine):
    index, takes, removed = walk(space, facts, engine)
    found = legal_plans(space, facts, engine)
    assert np.array_equal(found.index, index)
    assert np.array_equal(found.engines, takes)
    assert found.removed == dict(removed)
    assert all(np.array_equal(getattr(found.plans, a), getattr(space.plans(index), a)) for a in ORDER)


@pytest.mark.parametrize("facts", KINDS)
def test_a_rule_says_whether_it_reads_the_batch(facts):
    axes = {"gpus": (8, 16), "dp": (1, 2), "pp": (1, 2), "sp": (1, 2), "tp": (1, 2, 4), "ep": (1, 8), "batch": (1,)}
    space = Space(axes)
    plans = legal_plans(space, replace(facts, weight_block=0, positions=0), "any").plans
    assert len(plans)
    for rule in (*general_rules(), *(r for e in ENGINES for r in engine_rules(e))):
        verdicts = [rule.keeps(replace(plans, batch=np.full(len(plans), b)), facts) for b in (1, 7, 100_000)]
        assert rule.reads_batch or all(np.array_equal(v, verdicts[0]) for v in verdicts), rule.name


@given(axis(most=400, longest=80), st.lists(st.integers(1, 10_000), min_size=1, max_size=20))
def test_divisors_of_an_axis(values, numbers):
    found = Divisors(values)
    rows, places = found.pairs(np.array(numbers))
    wanted = [(i, j) for i, n in enumerate(numbers) for j, v in enumerate(values) if n % v == 0]
    assert list(zip(rows.tolist(), places.tolist(), strict=True)) == wanted
    assert found.counts(np.array(numbers)).tolist() == [sum(n % v == 0 for v in values) for n in numbers]


def test_time_grows_with_the_layouts_and_not_with_the_product():
    """10^14 points in a second or so: a walk through 8 10^9 takes nine minutes."""
    every = tuple(range(1, 1025))
    axes = {"gpus": (64, 96, 128), "dp": every, "pp": every, "sp": (1,), "tp": every, "ep": every, "batch": (1, 8)}
    space = Space(axes)
    facts = replace(EXPERTS, max_gpus=128, heads=(64,))
    start = time.process_time()
    found = legal_plans(space, facts, "any")
    assert space.size > 6e12
    assert len(found) + sum(found.removed.values()) == space.size
    assert time.process_time() - start < 5.0
    assert found.plans.gpus.max() == 128


def test_more_plans_than_memory_holds_are_a_line(monkeypatch):
    monkeypatch.setattr("search.optimizer.legal.MOST_LEGAL", 5)
    axes = {"gpus": (8,), "dp": (1,), "pp": (1,), "sp": (1,), "tp": (4, 8), "ep": (1, 8), "batch": (1, 2, 3)}
    with pytest.raises(InputError, match="space: more than 5 legal plans of 12 points"):
        legal_plans(Space(axes), EXPERTS, "any")
