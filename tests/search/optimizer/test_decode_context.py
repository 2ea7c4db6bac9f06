"""The cache of decodes dealt over ranks: bytes, messages, rules, what is said."""

from dataclasses import replace

import numpy as np
import pytest
from worked_case import qwen3, worked_case

from costmodel.blocks.decode_context import dealt
from costmodel.drafts.drafter import Drafter
from costmodel.drafts.drafting import cache_share, with_drafter
from costmodel.engine import Engine
from costmodel.evaluate import evaluate
from costmodel.memory.weights import loaded_bytes
from costmodel.operations import Collective, Core, Gemm
from costmodel.plans import Plans
from costmodel.stages import Stages
from costmodel.step import Step
from search.base.errors import InputError
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
    return list(dealt(kind.operations(setting), kind.mixer, scenario.dealing, setting.layout.tp))


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


@pytest.mark.parametrize(
    ("engine", "names", "more"),
    [
        ("vllm", ["attention.gather_q", "attention.gather_lse", "attention.scatter"], {}),
        ("sglang", ["attention.gather_q", "attention.exchange"], {}),
        ("trtllm", ["attention.exchange"], {"attention.q_up": 4, "attention.kv_up": 4, "attention.absorb_k": 4}),
    ],
)
def test_engines_send_and_hold_what_they_do(engine, names, more):
    """TensorRT-LLM's ranks make the queries of their group themselves: no gather, four times the projections."""
    _, scenario = asked(f"engine={engine}")
    plan = Plans.of(gpus=8, tp=8, ep=8)
    setting = scenario.setting(scenario.layout(plan))
    one = {o.name: o for o in scenario.model.kinds[0].operations(setting)}
    there = replace(scenario, decode_ranks=4)
    four = {o.name: o for o in operations(there, plan)}
    assert [n for n in four if n not in one] == names
    for name, op in one.items():
        if isinstance(op, Gemm):
            assert float(np.ravel(four[name].k * four[name].n / (op.k * op.n))[0]) == more.get(name, 1)
    held = [loaded_bytes(s, setting, Stages.of(s.model, plan.pp)) for s in (scenario, there)]
    assert bool(held[1][0] > held[0][0]) is bool(more)


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_a_cache_is_dealt_while_drafts_are_checked(engine):
    """Messages are of every row that is checked; the draft's own cache is dealt by vLLM, whole in SGLang."""
    _, scenario = asked(f"engine={engine}")
    drafter = Drafter("mtp", (0.8, 0.7))
    plan = Plans.of(gpus=8, tp=8, ep=8, batch=64)
    both = replace(with_drafter(scenario, drafter), decode_ranks=4)
    layout = both.layout(plan)
    step = Step(*(np.array([n]) for n in (8.0, 0.0, 8.0, 0.0, 24.0)), lengths=both.lengths, layout=layout, verified=3.0)
    (gather,) = [o for o in operations(both, plan) if o.name == "attention.gather_q"]
    assert float(np.ravel(gather.message(step).rows)[0]) == 24.0
    alone, whole = (cache_share(replace(both, decode_ranks=n), layout)[0] for n in (1, 4))
    share = alone - 1.0
    assert whole == pytest.approx((1.0 + share) / 4 if engine == "vllm" else 1.0 / 4 + share)
    dealt, plain = evaluate(both, plan), evaluate(with_drafter(scenario, drafter), plan)
    assert dealt.kv_capacity_tokens[0] > 3.0 * plain.kv_capacity_tokens[0]
    assert dealt.tpot_s[0] >= dealt.limit_tpot_s[0]


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
        (["engine=trtllm", "space.decode_cp=[1,2]"], ("space.decode_cp", "Helix", "split")),
        (["engine=trtllm", "space.decode_cp=[1,2]", "space.serving=[aggregated,split]"], ("Helix", "Blackwell")),
        (["engine=any", "space.decode_cp=[1,2]"], ("space.decode_cp", "any")),
        (["engine=vllm", "space.decode_cp=[2]"], ("space.decode_cp", "1 too")),
        (["engine=vllm", "space.decode_cp=[0]"], ("space.decode_cp", "0")),
        (["engine=sglang", "model=qwen3_32b", "space.decode_cp=[1,2]"], ("space.decode_cp", "sglang", "Qwen3-32B")),
        (["engine=vllm", "model=gpt_oss_120b", "space.decode_cp=[1,2]"], ("space.decode_cp", "gpt-oss")),
    ],
)
def test_bad_input_is_one_line(overrides, words):
    with pytest.raises(InputError) as error:
        asked(*overrides)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_a_search_tells_the_best_of_each_degree():
    extra = ("strategy=exact", "report=none", "sensitivity=none", "space.gpus=8", "space.dp=1", "space.pp=1")
    drafts = ("space.speculation=[none,mtp]", "space.draft.tokens=[2]")
    config = composed(["+experiment=deepseek_r1_h200", *extra, *drafts, "space.sp=1", "space.decode_cp=[1,4]"], None)
    outcome = run(config)
    (found,) = outcome.dealt
    assert found.ranks == 4
    assert found.plan.tp[0] % 4 == 0
    assert found.capacity == pytest.approx(4.0, rel=0.01)
    lines = speculation_lines(outcome)
    assert any(line.startswith("Cache of decodes dealt over 4 ranks") for line in lines)
    assert [o.ranks for o in outcome.speculation.options] == [1, 4]
    assert any(line.startswith("mtp of 2, cache over 4 ranks, accepted") for line in lines)
