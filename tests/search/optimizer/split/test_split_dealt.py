"""Instances that decode with a cache dealt over ranks of their tp group."""

from dataclasses import replace

import numpy as np
import pytest

from costmodel.serving.split.decode import decode
from costmodel.serving.split.journey import cargo
from search.inputs.compose import composed
from search.inputs.config import read_model, read_scenario
from search.optimizer.rules.facts import facts_of
from search.optimizer.space import Space
from search.optimizer.split.asked import asked_of
from search.optimizer.split.pools import decode_pool
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
    return scenario, decode_pool(scenario, facts_of(scenario), space, asked)


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
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


def test_the_flag_is_the_engines_own():
    assert pool_flags("vllm", "decode", None, 8, "1", "d")[0] == ("--decode-context-parallel-size", 8)
    assert pool_flags("sglang", "decode", None, 2, "1", "d")[0] == ("--dcp-size", 2)
    assert not any("context" in str(flag) for flag in pool_flags("vllm", "prefill", None, 1, "1", "d"))
