"""Who is prefilled when: engines that prefill first, groups that wait for each other, drafts."""

from dataclasses import replace

import numpy as np
import pytest
from worked_case import original, worked_case

from costmodel.engine import Engine
from costmodel.evaluate import evaluate, serve
from costmodel.lengths import FixedLengths
from costmodel.serving.closed_loop import DECODE, MIXED, balance_wait

LENGTHS = FixedLengths(1024, 128)
plan = original


def first(**changes):
    """A scenario whose engine prefills first."""
    engine = replace(Engine("any", max_batched_tokens=8192), prefill_first=1, **changes)
    return worked_case(engine=engine, lengths=LENGTHS, waves=10.0, synchronised=True)


def test_a_lockstep_lasts_as_long_as_its_passes():
    """64 prompts of 1024 tokens in passes of 8192 are 8 passes, then 127 steps of all of them: whoever waits longer for
    the first token waits less afterwards."""
    for ahead in (0.0, 1.0):
        scenario = replace(first(steps_ahead=ahead), together=True)
        served = serve(scenario, plan(batch=64))
        decode, prompts = float(served.time.latency_s[DECODE, 0]), float(served.time.latency_s[MIXED, 0])
        lasts = 8 * prompts + 127 * decode
        stay = float(served.latency.ttft_s[0] + 127 * served.latency.tpot_s[0])
        # The first token of the mean request comes after 4.5 passes; a step that is scheduled ahead adds itself.
        assert stay == pytest.approx(lasts + ahead * decode, rel=1e-6)
        first_token = float(served.latency.ttft_s[0])
        assert first_token == pytest.approx((4.5 + ahead * 7 / 8) * prompts + ahead * decode, rel=1e-6)


def test_requests_that_did_not_begin_together_are_in_no_lockstep():
    loose = serve(first(), plan(batch=64)).latency
    tight = serve(replace(first(), together=True), plan(batch=64)).latency
    assert float(loose.ttft_s[0]) < float(tight.ttft_s[0]) / 2
    assert float(loose.tpot_s[0]) > float(tight.tpot_s[0])


def test_prompts_alone_then_a_step_of_decodes():
    """A mixed step of an engine that mixes nothing in lasts as long as a pass of prompts and one of decodes."""
    scenario = replace(first(), synchronised=False)
    alone = serve(scenario, plan(batch=64))
    mixing = serve(replace(scenario, engine=replace(scenario.engine, prefill_first=0)), plan(batch=64))
    assert float(alone.time.latency_s[MIXED, 0]) > float(mixing.time.latency_s[MIXED, 0])
    assert float(alone.time.latency_s[DECODE, 0]) == pytest.approx(float(mixing.time.latency_s[DECODE, 0]), rel=0.05)
    assert float(alone.latency.tpot_s[0]) > float(mixing.latency.tpot_s[0])


def simulated_wait(groups: int, each: int, life: int, most: int, steps: int = 40_000) -> float:
    """Steps that a prompt waits where all groups must have one, or ``most`` steps have gone by since the last."""
    draw = np.random.default_rng(1)
    left = [draw.integers(1, life + 1, each) for _ in range(groups)]
    waiting: list[list[int]] = [[] for _ in range(groups)]
    count, waits = 0, []
    for t in range(steps):
        have = [bool(w) for w in waiting]
        count = 0 if all(have) else count + 1
        go = all(have) or (count >= most and any(have))
        count = 0 if count >= most else count
        begun = []
        for g in range(groups):
            if go and waiting[g]:
                waits.append(t - waiting[g].pop(0))
                begun.append(g)
        for g in range(groups):
            left[g] = left[g] - 1
            ended = int((left[g] == 0).sum())
            left[g] = left[g][left[g] > 0]
            waiting[g] += [t + 1] * ended
        for g in begun:
            left[g] = np.append(left[g], draw.integers(int(0.78 * life), int(1.22 * life)))
    return float(np.mean(waits[len(waits) // 4 :]))


@pytest.mark.parametrize(("each", "life"), [(64, 900), (32, 500), (32, 900), (8, 900), (8, 500), (32, 4000)])
def test_groups_that_wait_for_each_other_against_a_simulation(each, life):
    found = float(balance_wait(60.0, 8, float(each), float(life)))
    assert found == pytest.approx(simulated_wait(8, each, life, 60), rel=0.35)


def test_one_group_waits_for_nobody():
    assert float(balance_wait(60.0, 1, 32.0, 900.0)) == 0.0
    even = worked_case(engine=replace(Engine("any"), balance_steps=60.0))
    one, plain = evaluate(even, plan(batch=64)), evaluate(worked_case(), plan(batch=64))
    assert one.tpot_s == pytest.approx(plain.tpot_s)


def test_balance_trades_the_first_token_for_the_others():
    """Fewer steps hold a prompt of some group, and each prompt waits for theirs."""
    groups = plan(tp=1, ep=8, batch=256)
    engine = replace(Engine("any"), balance_steps=60.0)
    lengths = FixedLengths(1024, 1024)
    balanced = evaluate(worked_case(engine=engine, lengths=lengths), groups)
    plain = evaluate(worked_case(lengths=lengths), groups)
    assert balanced.ttft_s[0] > plain.ttft_s[0]
    assert balanced.tpot_s[0] < plain.tpot_s[0]


@pytest.mark.parametrize(("drafts", "chance", "gained"), [(0, 0.7, 1.0), (1, 0.5, 1.5), (3, 0.5, 1.875), (3, 1.0, 4.0)])
def test_tokens_a_step(drafts, chance, gained):
    assert Engine("any", drafts=drafts, draft_acceptance=chance).tokens_a_step == pytest.approx(gained)


def test_drafts_pay_when_they_are_accepted():
    def tpot(**changes):
        return float(evaluate(worked_case(engine=Engine("any", **changes)), plan(batch=8)).tpot_s[0])

    assert tpot(drafts=3, draft_acceptance=0.8) < tpot() < tpot(drafts=3, draft_acceptance=0.0)
    assert tpot(drafts=0, draft_acceptance=0.8) == tpot()
