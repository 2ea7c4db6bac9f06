"""Drafts: what is gained, what drafting and checking cost, memory, the physical limit."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worked_case import qwen3, worked_case

from costmodel.drafts.drafter import KINDS, Drafter
from costmodel.drafts.drafting import drafter_bytes, with_drafter
from costmodel.engine import Engine
from costmodel.evaluate import evaluate
from costmodel.lengths import FixedLengths
from costmodel.plans import Plans

PLANS = Plans.of(gpus=8, tp=[8, 2, 1, 4], ep=8, batch=[1, 16, 64, 256])


@pytest.fixture(scope="module")
def plain():
    return worked_case(model=qwen3(24), lengths=FixedLengths(1024, 1024), engine=Engine("any"))


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8))
def test_one_chance_at_every_position_gains_as_many_tokens(chances):
    drafter = Drafter("mtp", tuple(chances))
    engine = replace(Engine("any"), drafts=drafter.tokens, draft_acceptance=drafter.even)
    assert engine.tokens_a_step == pytest.approx(drafter.gained, rel=1e-9)
    assert 1.0 <= drafter.gained <= 1.0 + drafter.tokens


@pytest.mark.parametrize("kind", KINDS)
def test_drafts_that_are_never_accepted_cost_and_gain_nothing(plain, kind):
    without = evaluate(plain, PLANS)
    drafted = evaluate(with_drafter(plain, Drafter(kind, (0.0, 0.0))), PLANS)
    checked = evaluate(replace(plain, engine=replace(plain.engine, drafts=2)), PLANS)  # a share of a step for drafts
    assert (drafted.tpot_s > without.tpot_s).all()
    assert (drafted.output_tokens_per_s < without.output_tokens_per_s).all()
    if kind == "ngram":  # all that it costs is to check three rows for one
        assert (drafted.tpot_s < checked.tpot_s).all()


@pytest.mark.parametrize("tokens", [1, 3, 5])
def test_drafts_that_are_always_accepted_gain_up_to_one_more_than_their_number(plain, tokens):
    slow = worked_case(model=qwen3(24), lengths=FixedLengths(64, 4096), engine=Engine("any", step_overhead_s=0.5))
    alone = Plans.of(gpus=8, tp=8, ep=8)
    ratio = evaluate(slow, alone).tpot_s / evaluate(with_drafter(slow, Drafter("ngram", (1.0,) * tokens)), alone).tpot_s
    assert tokens + 0.9 < ratio[0] <= tokens + 1.0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chance", [0.0, 0.6, 1.0])
def test_nothing_is_below_the_limit_of_its_own_work(plain, kind, chance):
    scores = evaluate(with_drafter(plain, Drafter(kind, (chance,) * 3)), PLANS)
    assert (scores.tpot_s >= scores.limit_tpot_s).all()
    assert (scores.share_of_limit <= 1.0).all()


def test_the_gain_falls_with_the_batch(plain):
    plans = Plans.of(gpus=8, tp=8, ep=8, batch=[1, 8, 64, 512])
    drafted = evaluate(with_drafter(plain, Drafter("mtp", (0.8, 0.7))), plans).output_tokens_per_s
    gains = drafted / evaluate(plain, plans).output_tokens_per_s
    # Three rows touch nearly three times the experts of one: a mixture gains little even alone.
    assert gains[0] > 1.05
    assert gains[-1] < 0.95 * gains.max()


def test_more_is_accepted_more_is_served(plain):
    speeds = [
        evaluate(with_drafter(plain, Drafter("mtp", (chance, chance))), PLANS).output_tokens_per_s
        for chance in np.linspace(0.0, 1.0, 6)
    ]
    assert (np.diff(speeds, axis=0) > 0).all()


def test_a_drafter_takes_room_for_its_layer_and_its_cache(plain):
    without = evaluate(plain, PLANS)
    mtp, ngram = (evaluate(with_drafter(plain, Drafter(k, (0.5,))), PLANS) for k in ("mtp", "ngram"))
    np.testing.assert_allclose(mtp.kv_cache_bytes_per_gpu, without.kv_cache_bytes_per_gpu * 25 / 24)
    np.testing.assert_array_equal(ngram.weights_bytes_per_gpu, without.weights_bytes_per_gpu)
    layout = plain.layout(Plans.of(gpus=1, tp=1))
    one = float(drafter_bytes(with_drafter(plain, Drafter("mtp", (0.5,))), layout)[0])
    layer = 3 * 128 * 4096 * 1536 + 4096 * (64 + 8) * 128 + 64 * 128 * 4096 + 2 * 4096 * 4096
    assert one == pytest.approx(layer, rel=0.01)  # FP8; norms and the router in bf16


def test_without_a_drafter_nothing_changes(plain):
    assert with_drafter(plain, None) is plain
