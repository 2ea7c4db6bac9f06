"""The cache of decodes dealt over ranks: bytes, messages, rules, what is said."""

from dataclasses import replace

import numpy as np
import pytest
from refused import refused
from worked_case import qwen3, worked_case

from costmodel.blocks.decode_context import dealt
from costmodel.engine import Engine
from costmodel.evaluate import evaluate
from costmodel.operations import Collective, Core
from costmodel.plans import Plans
from search.inputs.compose import composed
from search.inputs.config import read_model, read_scenario
from search.optimizer.decode_context import may_deal, ranks_of
from search.optimizer.run import run
from search.render.document.speculation_words import speculation_lines

KIND = "decode_attention"
PLANS = Plans.of(gpus=8, tp=8, ep=8, batch=[1, 64, 256])


def asked(*overrides):
    config = composed(["+experiment=deepseek_r1_h200", *overrides], None)
    scenario = read_scenario(config, read_model(config.model).architecture)
    return ranks_of(config, scenario), scenario


def operations(scenario, plan):
    setting = scenario.setting(scenario.layout(plan))
    kind = scenario.model.kinds[0]
    return list(dealt(kind.operations(setting), kind.mixer, scenario.decode_ranks, setting.layout.tp))


def test_a_rank_reads_a_share_and_two_messages_more_are_sent():
    plain = worked_case(model=qwen3(12), engine=Engine("any"))
    plan = Plans.of(gpus=8, tp=8, ep=8)
    setting = plain.setting(plain.layout(plan))
    one, two = list(plain.model.kinds[0].operations(setting)), operations(replace(plain, decode_ranks=2), plan)
    (alone,), (shared,) = ([o for o in ops if isinstance(o, Core) and o.kind == KIND] for ops in (one, two))
    assert shared.cache_read_per_decode == alone.cache_read_per_decode / 2
    assert shared.flops_per_decode == alone.flops_per_decode
    more = [o for o in two if isinstance(o, Collective) and o.name not in {p.name for p in one}]
    assert [o.name for o in more] == ["attention.gather_q", "attention.gather_lse", "attention.scatter"]
    assert float(np.ravel(more[0].bytes_per_row)[0]) == 64 / 8 * 2 * 128 * 2  # heads of the group, their width, bf16


def test_the_cache_holds_as_many_times_the_tokens():
    plain = worked_case(model=qwen3(12), engine=Engine("any"))
    one, two = evaluate(plain, PLANS), evaluate(replace(plain, decode_ranks=2), PLANS)
    np.testing.assert_allclose(two.kv_cache_bytes_per_gpu, one.kv_cache_bytes_per_gpu / 2)
    np.testing.assert_allclose(two.kv_capacity_tokens, 2 * one.kv_capacity_tokens, rtol=1e-3)
    assert (two.tpot_s >= two.limit_tpot_s).all()


def test_long_contexts_are_read_faster_and_short_ones_pay_for_messages():
    slow = replace(worked_case(model=qwen3(12)), lengths=replace(worked_case().lengths, isl=100_000))
    short = replace(slow, lengths=replace(slow.lengths, isl=64, osl=64))
    plan = PLANS.take([1])
    for scenario, faster in ((slow, True), (short, False)):
        gain = evaluate(scenario, plan).tpot_s - evaluate(replace(scenario, decode_ranks=2), plan).tpot_s
        assert bool(gain[0] > 0) is faster


def test_engines_and_rules():
    assert asked("engine=vllm")[0] == ()
    degrees, scenario = asked("engine=vllm", "space.decode_cp=[1,2,8]")
    assert degrees == (2, 8)
    plans = Plans.of(gpus=8, tp=[1, 2, 8], ep=8)
    assert may_deal(scenario, 2, plans).tolist() == [False, True, True]
    grouped = worked_case(model=qwen3(12))  # four KV heads
    assert may_deal(grouped, 2, Plans.of(gpus=[4, 8, 16], tp=[4, 8, 16], ep=1)).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["engine=trtllm", "space.decode_cp=[1,2]"], ("space.decode_cp", "trtllm", "Helix")),
        (["engine=vllm", "space.decode_cp=[2]"], ("space.decode_cp", "1 too")),
        (["engine=vllm", "space.decode_cp=[0]"], ("space.decode_cp", "0")),
        (["engine=sglang", "model=qwen3_32b", "space.decode_cp=[1,2]"], ("space.decode_cp", "sglang", "Qwen3-32B")),
        (["engine=vllm", "model=gpt_oss_120b", "space.decode_cp=[1,2]"], ("space.decode_cp", "gpt-oss")),
    ],
)
def test_bad_input_is_one_line(overrides, words):
    refused(asked, overrides, words)


def test_a_search_tells_the_best_of_each_degree():
    extra = ("strategy=exact", "report=none", "sensitivity=none", "space.gpus=8", "space.dp=1", "space.pp=1")
    config = composed(["+experiment=deepseek_r1_h200", *extra, "space.sp=1", "space.decode_cp=[1,4]"], None)
    outcome = run(config)
    (found,) = outcome.dealt
    assert found.ranks == 4
    assert found.plan.tp[0] % 4 == 0
    assert found.capacity == pytest.approx(4.0, rel=0.01)
    assert speculation_lines(outcome)[0].startswith("Cache of decodes dealt over 4 ranks")
