"""Legality against the engines' table for Qwen3-235B-A22B-FP8, and against a plain loop."""

from dataclasses import replace
from itertools import product

import pytest

from costmodel.engine import ENGINES
from costmodel.plans import Plans
from search.inputs.config import read_model, read_scenario
from search.inputs.typed import typed
from search.optimizer.legal import legal_plans
from search.optimizer.refused import refused
from search.optimizer.rules.facts import facts_of
from search.optimizer.space import ORDER, Space


@pytest.fixture(scope="module")
def scenario():
    from hydra import compose, initialize_config_dir

    from search.base.paths import conf_dir

    def read(*overrides: str):
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            engine = [] if any(word.startswith(("engine=", "+experiment=")) for word in overrides) else ["engine=any"]
            config = typed(compose("config", [*overrides, *engine]))
        return read_scenario(config, read_model(config.model).architecture)

    return read


def verdicts(facts, **layout) -> dict[str, str | None]:
    found = refused(Plans.of(**layout, batch=64), facts)[0]
    rules = {"layout": found.layout, **{engine: found.first(engine) for engine in ENGINES}}
    return {name: None if rule is None else rule.name for name, rule in rules.items()}


def test_block_fp8_table_on_8_gpus(scenario):
    """The worked table of the engines' rules: what vLLM 0.33 and SGLang 0.5.23 take of Qwen3-235B-A22B-FP8."""
    facts = facts_of(scenario("model=qwen3_235b_fp8"))
    assert facts.weight_block == 128
    # tp 8 without expert parallelism: 1536 / 8 = 192 is no multiple of the block. vLLM has Triton kernels for it.
    plain = verdicts(facts, gpus=8, tp=8)
    assert plain["vllm"] is None
    assert plain["sglang"] == "sglang.fp8_blocks_divide"
    # attention data parallelism without expert parallelism: the same split of the experts
    assert verdicts(facts, gpus=8, tp=4)["sglang"] == "sglang.fp8_blocks_divide"
    assert verdicts(facts, gpus=8, tp=4)["vllm"] is None
    for tp in (2, 4, 8):
        spread = verdicts(facts, gpus=8, tp=tp, ep=8)
        assert spread["vllm"] is None
        assert spread["sglang"] is None
    for ep in (2, 4):
        mixed = verdicts(facts, gpus=8, tp=8, ep=ep)
        assert mixed["sglang"] is None
        assert mixed["vllm"] == "vllm.experts_whole_or_split"
    pair = verdicts(facts, gpus=8, tp=4, dp=2)
    assert pair["vllm"] is None
    assert pair["sglang"] is None  # 1536 / 4 = 384 is three blocks


def test_worked_case_refined_plan_is_taken_by_vllm_and_sglang_only(scenario):
    facts = facts_of(scenario("+experiment=qwen3_235b"))
    refined = verdicts(facts, gpus=16, dp=2, tp=4, ep=8)
    assert refined == {"layout": None, "vllm": None, "sglang": None, "trtllm": "trtllm.attention_dp_all_or_nothing"}


def test_dense_models_have_no_experts_and_one_group(scenario):
    facts = facts_of(scenario("model=llama_3_1_70b"))
    assert not facts.moe
    assert verdicts(facts, gpus=8, tp=8, ep=2)["layout"] == "dense_has_one_group"
    assert verdicts(facts, gpus=8, tp=4)["layout"] == "dense_has_one_group"
    assert verdicts(facts, gpus=8, tp=4, dp=2)["layout"] is None
    assert verdicts(facts, gpus=8, tp=8, sp=1)["vllm"] is None
    assert verdicts(facts, gpus=16, tp=8, sp=2)["vllm"] == "vllm.prefill_context_parallel"
    assert verdicts(facts, gpus=8, tp=3, dp=1)["layout"] is not None


def scalar_legal(point: dict[str, int], facts, engine: str) -> bool:
    """The rules once more, one plan at a time."""
    gpus, dp, pp, sp, tp, ep = (point[a] for a in ("gpus", "dp", "pp", "sp", "tp", "ep"))
    if gpus % (dp * pp):
        return False
    width = gpus // (dp * pp)
    if width % (tp * sp) or width % ep or pp > facts.layers or gpus > facts.max_gpus or ep > min(facts.experts):
        return False
    attn_dp, moe_tp = width // (tp * sp), width // ep
    if any(i % moe_tp for i in facts.expert_inner) or any(h % tp for h in facts.heads):
        return False
    if any(k % tp and tp % k for k in facts.kv_heads):
        return False
    nodes = -(-width * pp // facts.node_size)
    share, group = width * pp // nodes, tp * sp * pp
    takes = {
        "vllm": ep in (1, width)
        and sp == 1
        and -(-point["batch"] // attn_dp) <= facts.max_batched_tokens
        and (nodes == 1 or (width * pp % nodes == 0 and (share % group == 0 or group % share == 0))),
        "sglang": all(e % ep == 0 for e in facts.experts)
        and (sp == 1 or (tp == 1 and attn_dp == 1))
        and width * pp % nodes == 0
        and (not facts.weight_block or all(i // moe_tp % facts.weight_block == 0 for i in facts.expert_inner)),
        "trtllm": attn_dp in (1, width // sp) and all(e % ep == 0 for e in facts.experts) and sp == 1,
    }
    return any(takes.values()) if engine == "any" else takes[engine]


@pytest.mark.parametrize("engine", ["any", *ENGINES])
@pytest.mark.parametrize("model", ["qwen3_235b", "qwen3_235b_fp8"])
def test_legal_plans_agree_with_a_plain_loop(scenario, engine, model):
    facts = facts_of(scenario("+experiment=qwen3_235b", f"model={model}"))
    axes = {
        "gpus": (4, 6, 8, 12, 16), "dp": (1, 2, 3), "pp": (1, 2, 5), "sp": (1, 2), "tp": (1, 2, 3, 4, 8),
        "ep": (1, 2, 4, 6, 8), "batch": (1, 9000, 20000),
    }  # fmt: skip
    space = Space(axes)
    found = legal_plans(space, facts, engine)
    expected = [
        i
        for i, values in enumerate(product(*(axes[a] for a in ORDER)))
        if scalar_legal(dict(zip(ORDER, values, strict=True)), facts, engine)
    ]
    assert found.index.tolist() == expected
    assert len(found) + sum(found.removed.values()) == space.size


def test_ledger_does_not_depend_on_chunks(scenario, monkeypatch):
    facts = facts_of(scenario("+experiment=qwen3_235b"))
    axes = {"gpus": (8, 16), "dp": (1, 2), "pp": (1, 2), "sp": (1, 2), "tp": (4, 8), "ep": (1, 8), "batch": (8, 16)}
    whole = legal_plans(Space(axes), facts, "any")
    monkeypatch.setattr("search.optimizer.legal.CHUNK", 3)
    monkeypatch.setattr("search.optimizer.layouts.TOGETHER", 1)
    pieces = legal_plans(Space(axes), facts, "any")
    assert whole.index.tolist() == pieces.index.tolist()
    assert whole.removed == pieces.removed


def test_rules_are_named_once_and_sourced():
    from search.optimizer.rules.registry import engine_rules, general_rules, layout_rules
    from search.optimizer.rules.start import START_RULES

    rules = general_rules() + [r for e in ENGINES for r in layout_rules(e)]
    names = [r.name for r in (*rules, *START_RULES)]
    assert len(set(names)) == len(names)
    assert all(r.source and r.text for r in (*rules, *START_RULES))
    for engine in ENGINES:
        assert {r.name for r in engine_rules(engine)} <= set(names)


def test_a_smaller_fabric_removes_larger_plans(scenario):
    facts = replace(facts_of(scenario("+experiment=qwen3_235b")), max_gpus=8)
    assert verdicts(facts, gpus=16, dp=2, tp=4, ep=8)["layout"] == "fabric_reaches"
