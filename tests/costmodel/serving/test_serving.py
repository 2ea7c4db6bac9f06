"""The closed loop against a simulation step by step, and the burst by hand."""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import replace

import numpy as np
import pytest
from worked_case import original, refined, worked_case

from costmodel.breakdown import breakdown
from costmodel.engine import Engine
from costmodel.evaluate import evaluate
from costmodel.forward import forward
from costmodel.lengths import FixedLengths
from costmodel.plans import Plans
from costmodel.serving.closed_loop import BURST, DECODE, FIRST, MIXED, REST, Loop, steady_loop
from costmodel.serving.latency import latencies
from costmodel.stages import Stages
from costmodel.step import Step


def loop_of(plans: Plans, isl: int, osl: int, budget: int, admitted: float) -> tuple[Loop, Step]:
    scenario = worked_case(lengths=FixedLengths(isl, osl), engine=Engine("any", budget))
    return steady_loop(scenario, scenario.layout(plans), np.array([admitted]), plans.batch.astype(float))


def simulated_life(sequences: int, isl: int, osl: int, budget: int) -> float:
    """Steps that a request lives, in one group whose requests all have the same lengths.

    Each step gives every decoding request a token and spends what is left of the budget on prompts, first come first
    served; the step that ends a prompt gives the first token. Who finishes is replaced in the next step. Requests
    start out at random ages. Life is population over throughput (Little).
    """
    draw = random.Random(0)
    decoding = [draw.randint(0, osl) for _ in range(sequences)]  # steps at which they finish
    heapq.heapify(decoding)
    prompts: deque[float] = deque()
    steps = max(20 * osl, 4000, 15 * sequences * isl // budget)
    finished = 0
    for step in range(steps):
        while decoding and decoding[0] <= step:
            heapq.heappop(decoding)
            prompts.append(float(isl))
            finished += step >= steps // 2
        room = max(budget - len(decoding), 16)
        ended = 0
        while prompts and room > 0:
            spent = min(room, prompts[0])
            room -= spent
            prompts[0] -= spent
            if not prompts[0]:
                prompts.popleft()
                ended += 1
        for _ in range(ended):
            heapq.heappush(decoding, step + 1 + osl - 1)
    return sequences * (steps - steps // 2) / finished


@pytest.mark.parametrize("sequences", [1, 4, 32, 256])
@pytest.mark.parametrize("isl", [16, 512, 2048, 6000])
@pytest.mark.parametrize("osl", [128, 1024])
def test_life_of_a_request(sequences: int, isl: int, osl: int) -> None:
    """Within 8 %, and never optimistic by more than 2 %, from an idle prefill to a saturated one.

    Outside of this grid it is pessimistic: up to 30 % where short answers let few of many sequences decode (their
    places in the budget are kept all the same), and up to 60 % for a handful of sequences with answers of a few tokens
    (the wait of an open queue, in which a request also waits behind itself)."""
    plans = Plans.of(gpus=8, tp=8, ep=8, batch=sequences)
    loop, _ = loop_of(plans, isl, osl, 8192, float(sequences))
    life = simulated_life(sequences, isl, osl, 8192)
    assert -0.02 <= loop.life[0] / life - 1 <= 0.08


def test_quadratic() -> None:
    """(N - n - D) (N - b s) = b s^2 / 2, and both of its ends."""
    plans = original(batch=200)
    loop, step = loop_of(plans, 2048, 129, 4096, 200.0)
    b, share, alone = 200, 2048 / (4096 - 200), 1 + 128
    assert (loop.life[0] - alone) * (loop.life[0] - b * share) == pytest.approx(b * share**2 / 2)
    assert loop.life[0] >= max(alone, b * share)
    assert loop.queue[0] == pytest.approx(loop.life[0] - alone)
    # The rows of a mixed step fit in the budget.
    assert step.tokens[MIXED, 0] <= 4096
    idle, _ = loop_of(original(batch=1), 16, 2049, 8192, 1.0)
    assert idle.life[0] == pytest.approx(1 + 2048)
    full, _ = loop_of(original(batch=4000), 2048, 2, 8192, 4000.0)
    assert full.life[0] == pytest.approx(4000 * 2048 / (8192 - 4000), rel=1e-2)


@pytest.mark.parametrize("batch", [1, 40, 256, 3000])
@pytest.mark.parametrize(("isl", "osl"), [(2048, 2048), (9000, 100), (100, 1)])
def test_tokens_balance(batch: int, isl: int, osl: int) -> None:
    """Per step of a group as many prompts begin as answers end, whatever the groups, and experts see all groups."""
    plans = Plans.of(gpus=8, tp=2, ep=8, batch=batch)  # four groups
    admitted = float(np.ceil(batch / 4))
    loop, step = loop_of(plans, isl, osl, 2048, admitted)
    rate = admitted / loop.life[0]
    assert step.decodes[DECODE, 0] == pytest.approx(rate * (osl - 1))
    groups = batch / admitted if batch < 4 else 4  # a sequence for each group that has anything to do
    mean_prompts = loop.prefilling[0] * step.stage_prompts[MIXED, 0] / groups
    assert mean_prompts == pytest.approx(rate)
    assert step.stage_decodes[DECODE, 0] == groups * step.decodes[DECODE, 0]
    assert step.prompts[DECODE, 0] == step.decodes[BURST, 0] == 0


def test_burst_passes() -> None:
    """256 prompts of 2048 over two groups are 64 times 4 prompts a group; all of them in one pass if they fit."""
    loop, step = loop_of(refined(), 2048, 2048, 8192, 128.0)
    assert (loop.burst.passes[0], step.prompts[BURST, 0], step.stage_prompts[BURST, 0]) == (32, 4, 8)
    loop, step = loop_of(refined(), 16, 2048, 8192, 128.0)
    assert (loop.burst.passes[0], step.prompts[BURST, 0], step.prompts[REST, 0]) == (1, 128, 128)
    loop, step = loop_of(refined(batch=18), 2048, 2048, 8192, 9.0)
    assert (loop.burst.passes[0], step.prompts[BURST, 0], step.prompts[REST, 0]) == (3, 4, 1)
    assert (step.stage_prompts[BURST, 0], step.stage_prompts[REST, 0]) == (8, 2)


def test_micro_batches() -> None:
    """As many as stages, unless there are fewer sequences."""
    plans = Plans.of(gpus=32, tp=8, ep=8, pp=4, batch=[2, 100])
    scenario = worked_case()
    loop, _ = steady_loop(scenario, scenario.layout(plans), np.array([2.0, 100.0]), np.array([2.0, 100.0]))
    assert loop.micro.tolist() == [2, 4]
    assert loop.sequences.tolist() == [1, 25]


def test_overheads_of_the_host_arrive() -> None:
    """A step overhead lengthens each step by itself, what a request and its prompt cost each request once."""
    plain = evaluate(worked_case(), original())
    step = evaluate(worked_case(engine=Engine("any", step_overhead_s=0.5)), original())
    assert step.tpot_s[0] == pytest.approx(plain.tpot_s[0] + 0.5)
    tokens = worked_case().lengths.isl
    for engine in (Engine("any", request_overhead_s=0.5), Engine("any", prompt_token_s=0.5 / tokens)):
        request = evaluate(worked_case(engine=engine), original())
        assert request.tpot_s[0] == plain.tpot_s[0]
        assert request.ttft_s[0] == pytest.approx(plain.ttft_s[0] + 0.5)
        assert request.burst_ttft_s[0] == pytest.approx(plain.burst_ttft_s[0] + 0.5)


def test_communication_hides_behind_computation() -> None:
    times = [evaluate(worked_case(engine=Engine("any", comm_overlap=o)), original()).tpot_s[0] for o in (0, 0.5, 1.0)]
    assert times[0] > times[1] > times[2]


@pytest.mark.parametrize(("isl", "osl"), [(2048, 128), (8192, 128), (20000, 128)])
def test_a_lone_request_decodes_undisturbed(isl: int, osl: int) -> None:
    """``tpot_s`` is lengthened by other requests' prefill (docs/design, section 3); here are no others."""
    scenario, plan = worked_case(lengths=FixedLengths(isl, osl)), original(batch=1)
    decode = sum(part.seconds for part in breakdown(scenario, plan) if part.phase == "decode")
    assert evaluate(scenario, plan).tpot_s[0] == pytest.approx(decode, rel=0.02)


def test_steps_with_prefill_count_in_proportion() -> None:
    """The mean step lies between a step without prefill and one with it, at the loop's share."""
    scenario = worked_case()
    plan = refined()
    seconds = {"decode": 0.0, "mixed": 0.0}
    for part in breakdown(scenario, plan):
        if part.phase in seconds:
            seconds[part.phase] += part.seconds
    layout = scenario.layout(plan)
    loop, _ = steady_loop(scenario, layout, np.array([128.0]), np.array([256.0]))
    share = loop.disturbed[0]
    mean = (1 - share) * seconds["decode"] + share * seconds["mixed"]
    assert evaluate(scenario, plan).tpot_s[0] == pytest.approx(mean, rel=0.01)
    alone = evaluate(replace(scenario, lengths=FixedLengths(1, 4095)), plan)
    assert alone.tpot_s[0] < mean


def test_the_last_wave_is_disturbed_half_as_much() -> None:
    """Of ten waves nine see everybody's prefill, the last sees half of them."""
    plans = refined()
    endless = worked_case()
    ten = replace(endless, waves=10.0)
    layout = endless.layout(plans)
    shares = [steady_loop(s, layout, np.array([128.0]), np.array([256.0]))[0].disturbed[0] for s in (endless, ten)]
    assert shares[1] == pytest.approx(0.95 * shares[0])


def test_equal_lengths_come_back_in_one_pass() -> None:
    """Requests that fit into one pass are prefilled together, so nobody else's prefill disturbs them."""
    plans = refined()
    apart = worked_case()
    together = replace(apart, synchronised=True, lengths=FixedLengths(16, 256))
    apart = replace(apart, lengths=FixedLengths(16, 256))
    layout = apart.layout(plans)
    one, step_apart = steady_loop(apart, layout, np.array([128.0]), np.array([256.0]))
    other, step = steady_loop(together, layout, np.array([128.0]), np.array([256.0]))
    assert step.prompts[MIXED, 0] > 10 * step_apart.prompts[MIXED, 0]
    assert other.disturbed[0] < 0.25 * one.disturbed[0]
    # As many prompts a step as before: they only come in fewer steps.
    assert step.decodes[MIXED, 0] == step_apart.decodes[MIXED, 0]


def test_a_request_waits_for_what_is_scheduled_and_for_the_rest_of_a_step() -> None:
    """Alone it waits for nothing; else one step more for each that is scheduled ahead, whose seconds TPOT is."""
    lone, many = original(batch=1), original(batch=64)
    ahead = worked_case(engine=replace(Engine("any"), steps_ahead=1.0))
    assert evaluate(ahead, lone).ttft_s[0] == evaluate(worked_case(), lone).ttft_s[0]
    # A batch of one mixed pass, nobody beside it: the prefill of one prompt.
    assert evaluate(worked_case(), lone).ttft_s[0] == pytest.approx(
        evaluate(worked_case(), lone).burst_ttft_s[0], rel=0.1
    )
    first, second = evaluate(worked_case(), many), evaluate(ahead, many)
    assert second.ttft_s[0] == pytest.approx(first.ttft_s[0] + first.tpot_s[0])
    assert second.tpot_s[0] == first.tpot_s[0]


def test_a_long_step_is_hit_more_often() -> None:
    """The rest of the step that a request falls into, drawn: steps of the loop in a row, arrivals anywhere."""
    scenario, plans = worked_case(lengths=FixedLengths(8192, 256)), original(batch=32)
    layout, stages = scenario.layout(plans), Stages.of(scenario.model, plans.pp)
    loop, step = steady_loop(scenario, layout, np.array([32.0]), np.array([32.0]))
    time = forward(scenario, stages, step)
    found = latencies(scenario, loop, time, np.array([32.0]))
    rng = np.random.default_rng(0)
    mixed = rng.random(200_000) < loop.prefilling[0] * 31 / 32
    ends = np.cumsum(np.where(mixed, time.latency_s[MIXED, 0], time.latency_s[DECODE, 0]))
    moments = rng.uniform(0, ends[-1], 200_000)
    rest = ends[np.searchsorted(ends, moments)] - moments
    assert found.arrival_s[0] == pytest.approx(rest.mean(), rel=0.02)
    assert rest.mean() > 1.5 * np.diff(ends).mean() / 2


def test_prompts_that_are_held_back_are_prefilled_together() -> None:
    """In 20 steps the first and those that come meanwhile; they wait the mean of 20 for one and 10 for the others."""
    plans, lengths = original(batch=128), FixedLengths(512, 512)
    plain = worked_case(lengths=lengths)
    holding = worked_case(lengths=lengths, engine=replace(Engine("any"), hold_steps=20.0))
    sequences = np.array([128.0])
    before, step_before = steady_loop(plain, plain.layout(plans), sequences, sequences)
    after, step = steady_loop(holding, holding.layout(plans), sequences, sequences)
    rate = before.rate[0]
    joined = 1 + 20 * rate  # 512-token prompts: far from what a pass takes
    assert step.prompts[MIXED, 0] == pytest.approx(joined)
    assert after.queue[0] - before.queue[0] == pytest.approx((20 + 20 * rate * 10) / joined)
    assert after.disturbed[0] < 0.3 * before.disturbed[0]
    assert step_before.prompts[MIXED, 0] == pytest.approx(1.0)


def test_a_full_pass_is_held_no_longer() -> None:
    plans, lengths = original(batch=256), FixedLengths(4000, 64)
    holding = worked_case(lengths=lengths, engine=replace(Engine("any"), hold_steps=20.0))
    sequences = np.array([256.0])
    loop, _ = steady_loop(holding, holding.layout(plans), sequences, sequences)
    plain = worked_case(lengths=lengths)
    other, _ = steady_loop(plain, plain.layout(plans), sequences, sequences)
    assert loop.queue[0] - other.queue[0] < 2.0


def test_the_first_wave_is_slower_where_those_that_are_through_decode() -> None:
    """With a single wave the mean is the burst's, and a pass takes fewer prompts the more there are to decode."""
    once = replace(worked_case(lengths=FixedLengths(2048, 64)), waves=1.0)
    plans = original(batch=[4, 400])
    layout = once.layout(plans)
    loop, step = steady_loop(once, layout, plans.batch.astype(float), plans.batch.astype(float))
    assert loop.first_passes[0] == loop.burst.passes[0] == 1
    assert loop.first_passes[1] > 1.02 * loop.burst.passes[1]
    assert step.decodes[FIRST].tolist() == [0.0, pytest.approx(200, rel=0.02)]
    scores = evaluate(once, plans)
    assert scores.ttft_s[0] == pytest.approx(scores.burst_ttft_s[0], rel=0.01)
    assert 0.45 * scores.burst_ttft_s[1] < scores.ttft_s[1] < scores.burst_ttft_s[1]
