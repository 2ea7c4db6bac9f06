"""The front without a list of plans is that of the list, in small random spaces; every plan is counted once."""

import gzip
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.engine import ENGINES
from costmodel.evaluate import evaluate
from costmodel.plans import Plans
from search.base.errors import InputError
from search.inputs.compose import composed
from search.inputs.saved_run import read_run
from search.optimizer import run as module
from search.optimizer.front import Objectives, pareto_front
from search.optimizer.full.found import full_search
from search.optimizer.full.front import AXES
from search.optimizer.full.variants import variants_of, varies
from search.optimizer.legal import NoLegalPlan, legal_plans
from search.optimizer.rules.facts import facts_of
from search.optimizer.rules.registry import engine_rules
from search.optimizer.space import Space
from search.render.run_folder import write_run

MODELS = {
    "worked": ["+experiment=qwen3_235b"],
    "tiers": ["+experiment=qwen3_235b", "cluster=hgx8_400g", "limits.tpot_s=0.08"],
    "dense": ["+experiment=llama_70b_h100", "limits.ttft_s=3"],
    "calibrated": ["model=qwen3_30b_a3b_fp8", "hardware=h100_sxm", "limits=interactive"],
    "latent": ["+experiment=deepseek_r1_h200", "limits.ttft_s=null"],
}
OBJECTIVES = (
    {"output_tokens_per_s": "max", "ttft_s": "min", "tpot_s": "min", "gpus": "min"},
    {"output_tokens_per_s_per_gpu": "max", "tpot_s": "min"},
    {"requests_per_s": "max", "gpus": "min", "burst_ttft_s": "min"},
    {"output_tokens_per_s": "max"},
    {"output_tokens_per_s": "max", "decode_mfu": "max"},  # a column without floors
)


@pytest.fixture(scope="module")
def configs():
    return {name: composed(overrides) for name, overrides in MODELS.items()}


def some(draw, values, most):
    return sorted(draw(st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True)))


def drawn(data, config):
    """A small space of the configuration, and what varies beside it."""
    draw = data.draw
    first = draw(st.integers(1, 300))
    batch = [f"{first}:{first + draw(st.integers(1, 90))}:{draw(st.integers(1, 3))}", *range(1, min(first, 4))]
    space = replace(
        config.space,
        gpus=some(draw, [1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64], 5),
        dp=some(draw, [1, 2, 3, 4, 6, 8], 4),
        pp=some(draw, [1, 2, 3, 4], 2),
        sp=some(draw, [1, 2, 8], 2),
        tp=some(draw, [1, 2, 4, 8, 16], 3),
        ep=some(draw, [1, 2, 4, 8, 16, 64], 4),
        batch=batch,
        engines=some(draw, ["vllm", "sglang", "trtllm"], 2),
        max_batched_tokens=some(draw, [96, 2048, 8192], 2),
        weights=some(draw, ["given", "nvfp4"], 2),
        kv_cache=some(draw, ["given", "fp8"], 2) if draw(st.booleans()) else None,
    )
    columns = draw(st.sampled_from(OBJECTIVES))
    recommend = {next(iter(columns)): "max"}
    return replace(config, space=space, objective=replace(config.objective, columns=columns, recommend=recommend))


def listed(config):
    """The front by scoring all: plans with their variant, how many are legal, points."""
    space, objectives = Space.from_config(vars(config.space)), Objectives.from_config("o", config.objective.columns)
    costs, feasible, names, legal = [], [], [], 0
    for i, variant in enumerate(variants_of(config)):
        plans = legal_plans(space, variant.facts, variant.engine).plans
        legal += len(plans)
        if len(plans):
            scores = evaluate(variant.scenario, plans)
            costs.append(objectives.costs(plans, scores))
            feasible.append(scores.feasible)
            names.append(np.stack([np.full(len(plans), i), *(getattr(plans, a) for a in AXES)], axis=1))
    if not names:
        return set(), 0, 0
    feasible = np.concatenate(feasible)
    on = pareto_front(np.concatenate(costs), feasible)
    return set(map(tuple, np.concatenate(names)[on].tolist())), legal, int(feasible.sum())


@given(st.data())
@settings(max_examples=12, deadline=None)
def test_the_front_is_that_of_all_plans(configs, data):
    config = drawn(data, configs[data.draw(st.sampled_from(sorted(MODELS)))])
    expected, legal, feasible = listed(config)
    try:
        found = full_search(config)
    except NoLegalPlan:
        assert legal == 0
        return
    members = np.stack([found.which, *(getattr(found.plans, a) for a in AXES)], axis=1)
    assert set(map(tuple, members.tolist())) == expected
    assert len(members) == len(expected)
    total = found.total
    assert total.legal == legal
    assert total.scored + sum(total.spared.values()) == legal
    assert total.feasible <= feasible
    assert found.size == found.space.size * found.variants
    for one in found.searched:
        assert one.count.legal + sum(one.removed.values()) == found.space.size


DEGREES = [f"space.{axis}=[1,2,4,8,16]" for axis in ("dp", "pp", "sp", "tp", "ep")]
SMALL = [
    "+experiment=qwen3_235b", "space=full", "space.gpus=[4,8,16]", "space.batch=['1:300:1']",
    "space.weights=[fp8,nvfp4]",
    "space.max_batched_tokens=[4096,8192]", "strategy=exact", "sensitivity=none", "report=none",
    "output.max_candidates=100", *DEGREES,
]  # fmt: skip


def test_a_run_follows_the_best_variant(tmp_path):
    outcome = module.run(composed(SMALL))
    found, best = outcome.full, outcome.full.best
    write_run(tmp_path, outcome)
    summary = json.loads((tmp_path / "summary.json").read_text())["full"]
    assert summary["variants"] == 3 * 2 * 2 * 2
    assert summary["space"] == found.space.size * 24
    assert summary["legal"] + sum(summary["removed_by_rule"].values()) == summary["space"]
    assert summary["scored"] + sum(summary["spared"].values()) == summary["legal"]
    assert min(summary["spared"].values()) > 0
    rows = gzip.decompress((tmp_path / "full.csv.gz").read_bytes()).decode().splitlines()
    assert len(rows) == 1 + summary["front"] == 1 + sum(summary["front_by_engine"].values())
    # What follows is a run of the best variant: its best plan is the one that the first row has.
    first = dict(zip(rows[0].split(","), rows[1].split(","), strict=True))
    assert outcome.choice is not None
    for axis, value in outcome.plans.row(outcome.choice.recommended).items():
        assert int(first[axis]) == value
    saved = read_run(tmp_path)
    assert not varies(saved.config)
    assert saved.config.engine.name == summary["best"]["engine"] == best.engine == first["engine"]
    assert saved.config.model.weights == summary["best"]["weights"] == first["weights"]
    assert any("full.csv.gz" in text for text in saved.config.assumptions)


def test_nothing_is_feasible():
    outcome = module.run(composed([*SMALL, "limits.tpot_s=0.0001", "space.engines=trtllm"]))
    assert outcome.choice is None
    assert len(outcome.full.which) == 0
    assert outcome.full.total.feasible == 0


@pytest.fixture(scope="module")
def small():
    return composed(SMALL)


@pytest.mark.parametrize(
    ("group", "key", "value", "said"),
    [
        (
            "space",
            "engines",
            ["vllm", "vllm"],
            "space.engines: ['vllm', 'vllm'] is not allowed; give each of vllm, sglang",
        ),
        ("space", "weights", ["fp7"], "space.weights: ['fp7'] is not allowed; give each of given, fp32"),
        ("space", "max_batched_tokens", [0], "space.max_batched_tokens: 0 is not allowed; give whole numbers from 1"),
        ("space", "kv_cache", 3, "space.kv_cache: 3 is not allowed; give each of given"),
        ("space", "speculation", ["mtp"], "space.serving, space.speculation: only aggregated plans without drafts"),
        ("workload", "requests_per_s", 2.0, "workload.requests_per_s: 2.0 is not allowed where space.engines"),
        (
            "objective",
            "recommend",
            {"decode_mfu": "max"},
            "objective.recommend: decode_mfu is not allowed where engines",
        ),
        ("objective", "recommend", {"tpot_s": "max"}, "objective.recommend: tpot_s is not allowed where engines"),
    ],
)
def test_what_cannot_be_searched_is_said_in_a_line(small, group, key, value, said):
    with pytest.raises(InputError) as error:
        full_search(replace(small, **{group: replace(getattr(small, group), **{key: value})}))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_rules_that_read_the_batch_refuse_it_from_some_size_on(configs):
    """What the count of legal plans takes for granted."""
    rules = {rule.name: rule for name in ENGINES for rule in engine_rules(name) if rule.reads_batch}
    assert rules
    facts = facts_of(variants_of(configs["worked"])[0].scenario)
    plans = Plans.of(gpus=16, tp=4, ep=16, batch=np.arange(1, 60_000))
    for rule in rules.values():
        kept = rule.keeps(plans, replace(facts, max_batched_tokens=96))
        assert np.all(np.diff(kept.astype(int)) <= 0), rule.name
        assert not kept[-1]
