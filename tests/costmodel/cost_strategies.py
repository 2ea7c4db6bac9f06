"""hypothesis strategies: small architectures, engines, workloads, and plans that keep every general rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from worked_case import FP8, accelerator, cluster, worked_case

from costmodel.architecture import Architecture, Layer, LayerRun, Quantization
from costmodel.blocks import DenseFfn, GroupedQueryAttention, MoeFfn
from costmodel.engine import Engine
from costmodel.formats import BF16
from costmodel.lengths import FixedLengths
from costmodel.plans import Plans, concatenate
from costmodel.scenario import Scenario
from search.optimizer.legal import first_broken
from search.optimizer.rules.facts import facts_of
from search.optimizer.rules.registry import general_rules

# Derandomised, so that a run of the suite is the same everywhere; no database is written.
CHECKS = settings(max_examples=60, deadline=None, derandomize=True)


@st.composite
def mixers(draw: Any) -> GroupedQueryAttention:
    kv_heads = draw(st.sampled_from((1, 2, 8)))
    window, chunk = draw(st.sampled_from(((None, None), (None, None), (256, None), (None, 512))))
    heads = max(kv_heads * draw(st.sampled_from((1, 4))), 8)
    return GroupedQueryAttention(heads, kv_heads, draw(st.sampled_from((32, 128))), window=window, chunk=chunk)


experts = st.builds(
    MoeFfn,
    st.sampled_from((16, 64)),
    st.sampled_from((1, 8)),
    st.sampled_from((128, 1024)),
    shared_inner=st.sampled_from((0, 512)),
)
dense = st.builds(DenseFfn, st.sampled_from((512, 4096)))


@st.composite
def architectures(draw: Any, moe: bool, runs: int = 3) -> Architecture:
    """One to ``runs`` runs of layers, the last of them with experts if ``moe``, the others with or without."""
    count = draw(st.integers(1, runs))
    ffns = [draw(st.one_of(dense, experts) if moe else dense) for _ in range(count - 1)]
    ffns.append(draw(experts if moe else dense))
    return Architecture(
        name="drawn",
        hidden=draw(st.sampled_from((256, 2048))),
        vocabulary=draw(st.sampled_from((1024, 32768))),
        runs=tuple(LayerRun(Layer(draw(mixers()), ffn), draw(st.sampled_from((1, 3, 8)))) for ffn in ffns),
        tied_embeddings=draw(st.booleans()),
        quantization=draw(st.sampled_from((Quantization(), Quantization.linear_layers(FP8)))),
        kv_format=draw(st.sampled_from((BF16, FP8))),
    )


@st.composite
def scenarios(draw: Any, moe: bool | None = None, runs: int = 3) -> Scenario:
    moe = draw(st.booleans()) if moe is None else moe
    engine = Engine(
        "drawn",
        draw(st.sampled_from((512, 8192))),
        exchange=draw(st.sampled_from(("allgather", "alltoall"))),
        comm_overlap=draw(st.sampled_from((0.0, 0.5))),
        expert_imbalance=draw(st.sampled_from((1.0, 1.5))),
    )
    return worked_case(
        model=draw(architectures(moe, runs)),
        accelerator=replace(accelerator(), memory_bytes=draw(st.sampled_from((64e9, 4e9)))),
        cluster=cluster(node=draw(st.sampled_from((4, 8)))),
        engine=engine,
        lengths=FixedLengths(draw(st.sampled_from((1, 128, 2000, 20000))), draw(st.sampled_from((1, 2, 100, 2048)))),
    )


@st.composite
def plans_of(draw: Any, scenario: Scenario) -> Plans:
    """One plan that keeps every general rule."""
    facts = facts_of(scenario)
    tp, sp = draw(st.sampled_from((1, 2, 4, 8))), draw(st.sampled_from((1, 1, 2)))
    attn_dp = draw(st.sampled_from((1, 2, 4))) if facts.moe else 1
    width = tp * sp * attn_dp
    ep = draw(st.sampled_from([e for e in (1, 2, 4, 8, 16) if width % e == 0])) if facts.moe else 1
    pp = draw(st.sampled_from([p for p in (1, 2, 3, 4) if p <= facts.layers]))
    dp, batch = draw(st.sampled_from((1, 2, 3))), draw(st.sampled_from((1, 3, 16, 100, 4096)))
    plan = Plans.of(tp=tp, sp=sp, ep=ep, pp=pp, dp=dp, batch=batch, gpus=width * pp * dp)
    rules = general_rules()
    broken = first_broken(rules, plan, facts)[0]
    assert broken == len(rules), rules[broken].name
    return plan


@st.composite
def scenarios_and_plans(draw: Any, most: int = 4) -> tuple[Scenario, Plans]:
    """A scenario and one to ``most`` plans for it."""
    scenario = draw(scenarios())
    return scenario, concatenate(draw(st.lists(plans_of(scenario), min_size=1, max_size=most)))
