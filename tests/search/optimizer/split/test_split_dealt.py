"""Instances that decode with a cache dealt over ranks of their tp group."""

from dataclasses import replace

import numpy as np
import pytest
import yaml

from costmodel.drafts.drafter import Drafter
from costmodel.plans import Plans
from costmodel.serving.split.decode import decode
from costmodel.serving.split.journey import cargo
from search.inputs.compose import composed
from search.inputs.config import read_model, read_scenario
from search.optimizer.run import run
from search.optimizer.space import Space
from search.optimizer.split.asked import asked_of
from search.optimizer.split.pools import decode_pool, variants
from search.optimizer.split.transfer import pairing, receives, sends
from search.render.launch.split import split_files
from search.render.launch.split_flags import pool_flags


def pool(engine, ranks):
    config = composed([
        "model=deepseek_r1", "hardware=h200", f"engine={engine}", "space.gpus=[16]", "space.dp=[1]", "space.tp=[4,8]",
        "space.ep=[1,8]", "space.pp=1", "space.batch=[64]", "space.serving=[aggregated,split]",
        "space.split.decode_gpus=8", "space.split.prefill_gpus=8",
    ], None)  # fmt: skip
    scenario = read_scenario(config, read_model(config.model).architecture)
    space = Space.from_config(vars(config.space))
    asked = replace(asked_of(config, space), ranks=ranks)
    return scenario, decode_pool(scenario, space, asked)


@pytest.mark.parametrize("engine", ["vllm", "sglang", "trtllm"])
def test_dealt_instances_stand_beside_the_others(engine):
    scenario, found = pool(engine, (2, 8))
    alone = pool(engine, ())[1]
    plain = found.take(np.flatnonzero(found.ranks == 1))
    np.testing.assert_array_equal(plain.point.tpot_s, alone.point.tpot_s)
    dealt = found.take(np.flatnonzero(found.ranks > 1))
    assert len(dealt) > 0
    if engine == "vllm":  # NixlConnector: all of the group or none
        assert (dealt.ranks == dealt.plans.tp).all()
    for ranks in np.unique(dealt.ranks):
        some = dealt.take(np.flatnonzero(dealt.ranks == ranks))
        there = replace(scenario, decode_ranks=int(ranks))
        np.testing.assert_allclose(
            some.point.tpot_s, decode(there, some.plans, some.plans.batch.astype(float)).tpot_s, rtol=1e-12
        )
        np.testing.assert_allclose(some.point.cargo.bytes * ranks, cargo(scenario, some.plans).bytes, rtol=1e-12)


@pytest.mark.parametrize(("engine", "both"), [("sglang", True), ("vllm", False), ("trtllm", False)])
def test_drafts_and_dealt_caches_go_together_where_the_engine_has_it(engine, both):
    config = composed(["model=deepseek_r1", "hardware=h200", f"engine={engine}", "space.gpus=[16]",
                       "space.serving=[aggregated,split]"], None)  # fmt: skip
    scenario = read_scenario(config, read_model(config.model).architecture)
    asked = asked_of(config, Space.from_config(vars(config.space)))
    asked = replace(asked, ranks=(8,), drafters=(Drafter("mtp", (0.8,)),))
    found = variants(scenario, Plans.of(gpus=8, tp=8, ep=8, batch=64), asked)
    assert {(place, ranks) for place, ranks, _, able in found if len(able)} == {(0, 1), (0, 8), (1, 1)} | (
        {(1, 8)} if both else set()
    )


def test_helix_in_the_options_of_a_server_that_decodes():
    o = run(composed([
        "model=deepseek_r1", "hardware=b200", "engine=trtllm", "strategy=exact", "report=none", "sensitivity=none",
        "space.gpus=[16]", "space.dp=[1,2]", "space.tp=[8]", "space.ep=[8]", "space.pp=1", "space.sp=1",
        "space.batch=[16]", "workload.isl=60000", "workload.osl=500", "space.serving=[aggregated,split]",
        "space.decode_cp=[1,4]", "space.split.prefill_gpus=8", "space.split.decode_gpus=8",

    ], None))  # fmt: skip
    assert o.dealt == ()
    assert int(o.split.best.decode.ranks[o.split.best.d[0]]) == 4
    files = split_files(o)
    told = yaml.safe_load(files["split.decode.yaml"])
    assert (told["tensor_parallel_size"], told["context_parallel_size"]) == (2, 4)
    assert told["moe_tensor_parallel_size"] * told["moe_expert_parallel_size"] == 8
    assert told["cp_config"] == {"cp_type": "HELIX", "tokens_per_block": told["kv_cache_config"]["tokens_per_block"]}
    assert told["kv_cache_config"]["enable_block_reuse"] is False
    assert "cp_config" not in yaml.safe_load(files["split.prefill.yaml"])


def test_the_flag_is_the_engines_own():
    assert pool_flags("vllm", "decode", None, 8, "1", "d")[0] == ("--decode-context-parallel-size", 8)
    assert pool_flags("sglang", "decode", None, 2, "1", "d")[0] == ("--dcp-size", 2)
    assert not any("context" in str(flag) for flag in pool_flags("vllm", "prefill", None, 1, "1", "d"))


@pytest.mark.parametrize(("engine", "stages"), [("vllm", {1}), ("sglang", {1, 2}), ("trtllm", {1, 2})])
def test_caches_are_received_by_as_many_stages_as_the_engine_takes(engine, stages):
    plans = Plans.of(gpus=8, tp=[8, 4], ep=[8, 4], pp=[1, 2], batch=64)
    assert set(plans.take(receives(engine, plans)).pp.tolist()) == stages


@pytest.mark.parametrize(
    ("model", "engine", "stages"),
    [("qwen3_8b", "vllm", {1, 2}), ("gpt_oss_120b", "vllm", {1}), ("gpt_oss_120b", "sglang", {1, 2})],
)
def test_several_stages_send_caches_that_are_laid_out_alike(model, engine, stages):
    config = composed([f"model={model}", "hardware=h100_sxm", f"engine={engine}"], None)
    scenario = read_scenario(config, read_model(config.model).architecture)
    plans = Plans.of(gpus=[2, 4], tp=2, pp=[1, 2], batch=1)
    assert set(plans.take(sends(scenario, plans)).pp.tolist()) == stages


@pytest.mark.parametrize(
    ("model", "engine", "sender", "taker", "together"),
    [
        ("qwen3_235b", "vllm", {"tp": 8}, {"tp": 4}, False),  # four KV heads: copies on eight ranks
        ("qwen3_235b", "vllm", {"tp": 8}, {"tp": 8}, True),
        ("qwen3_235b", "vllm", {"tp": 4}, {"tp": 2}, True),
        ("qwen3_235b", "vllm", {"tp": 2}, {"tp": 8}, True),
        ("qwen3_235b", "sglang", {"tp": 8}, {"tp": 4}, True),
        ("deepseek_r1", "vllm", {"tp": 8}, {"tp": 1}, True),  # latent attention
        ("qwen3_next", "vllm", {"tp": 8}, {"tp": 4}, True),  # two KV heads, beside recurrent states
        ("deepseek_r1", "sglang", {"sp": 2}, {"tp": 8, "ranks": 8}, False),
        ("deepseek_r1", "trtllm", {"sp": 2}, {"tp": 8}, True),
        ("deepseek_r1", "vllm", {"pp": 2}, {"drafter": 1}, False),  # MTP, whose cache the sender has to fill
        ("deepseek_r1", "vllm", {"pp": 2}, {"drafter": 2}, True),  # n-grams
        ("deepseek_r1", "vllm", {"tp": 8}, {"drafter": 1}, True),
    ],
)
def test_whose_cache_may_go_to_whom(model, engine, sender, taker, together):
    config = composed([f"model={model}", "hardware=h200", f"engine={engine}"], None)
    scenario = read_scenario(config, read_model(config.model).architecture)
    drafters = (Drafter("mtp", (0.8,)), Drafter("ngram", (0.4,))) if model == "deepseek_r1" else ()
    degrees = {"gpus": 8, "batch": 8, "tp": 1, "sp": 1, "pp": 1}
    ranks, drafter = np.array([taker.get("ranks", 1)]), np.array([taker.get("drafter", 0)])
    to = {name: value for name, value in taker.items() if name not in ("ranks", "drafter")}
    match = pairing(scenario, drafters, Plans.of(**degrees | sender), Plans.of(**degrees | to), drafter, ranks)
    assert match.rows(np.array([0]), np.array([0])).tolist() == [together]
