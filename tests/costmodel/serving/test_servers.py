"""What is worked out once for plans of one server, of one layout or of one pass is the same as plan by plan, to the
last bit."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel.evaluate import evaluate
from costmodel.plans import AXES, Plans, grouped, packed
from costmodel.plans import concatenate as join_plans
from costmodel.scenario import Demand
from costmodel.scores import FIGURES
from costmodel.serving import passes
from costmodel.serving.servers import Servers
from search.inputs.compose import composed
from search.inputs.config import read_model, read_scenario

LAYOUTS = [(16, 1, 1, 1, 4, 16), (32, 2, 1, 1, 4, 16), (16, 1, 2, 1, 8, 8), (32, 2, 1, 1, 8, 16), (64, 1, 4, 1, 4, 16)]


def scenario_of(*overrides):
    config = composed(list(overrides))
    return read_scenario(config, read_model(config.model).architecture)


WORKED = scenario_of("+experiment=qwen3_235b", "cluster=hgx8_400g")


def plans_of(batches):
    gpus, dp, pp, sp, tp, ep = (np.repeat(column, len(batches)) for column in zip(*LAYOUTS, strict=True))
    return Plans.of(gpus=gpus, dp=dp, pp=pp, sp=sp, tp=tp, ep=ep, batch=np.tile(batches, len(LAYOUTS)))


@pytest.mark.parametrize(
    "overrides",
    [
        ["+experiment=qwen3_235b", "cluster=hgx8_400g"],
        ["model=deepseek_r1", "hardware=h200_sxm", "cluster=hgx8_400g", "engine=vllm"],
        ["model=gemma_3_27b", "hardware=b200_sxm", "cluster=hgx8_400g", "engine=sglang"],
    ],
    ids=lambda o: o[0],
)
def test_plans_of_one_server_score_as_each_alone(overrides):
    scenario = scenario_of(*overrides)
    plans = plans_of(2 ** np.arange(9))
    if not scenario.model.has_experts:
        plans = replace(plans, gpus=plans.dp * plans.pp * plans.sp * plans.tp, ep=np.ones_like(plans.ep))
    together = evaluate(scenario, plans)
    for i in range(0, len(plans), 5):
        alone = evaluate(scenario, plans.take([i]))
        for figure in FIGURES:
            assert getattr(alone, figure)[0] == getattr(together, figure)[i], figure


@given(st.lists(st.tuples(st.sampled_from(LAYOUTS), st.integers(1, 600)), min_size=1, max_size=60), st.booleans())
def test_every_plan_has_its_cell(drawn, at_rate):
    scenario = replace(WORKED, demand=Demand(1.0)) if at_rate else WORKED
    (gpus, dp, pp, sp, tp, ep), batch = zip(*(d[0] for d in drawn), strict=True), [d[1] for d in drawn]
    plans = Plans.of(gpus=gpus, dp=dp, pp=pp, sp=sp, tp=tp, ep=ep, batch=batch)
    servers = Servers.of_plans(scenario, plans)
    cells = []
    for part in servers.parts():
        rows, columns = part.batch.shape
        assert len(part) == columns
        cells.append(Plans(*(np.broadcast_to(getattr(part, axis), (rows, columns)).ravel() for axis in AXES)))
    own = join_plans(cells).take(servers.of)
    for axis in ("tp", "ep", "pp", "sp", "batch", "stage_width", *(("dp", "gpus") if at_rate else ())):
        assert np.array_equal(getattr(own, axis), getattr(plans, axis)), axis
    for tier in scenario.cluster.tiers:
        assert np.array_equal(own.gpus <= tier.size, plans.gpus <= tier.size)
    different = {(*d[0], d[1]) if at_rate else (*d[0][2:], d[0][0] // d[0][1], d[1]) for d in drawn}
    assert len(np.unique(servers.first)) >= len(different)


def test_replicas_are_timed_once():
    """Plans of 16 GPUs and two replicas of as many are one server, on 8 and on 16 they are not."""
    plans = Plans.of(gpus=[16, 32, 8, 16], dp=[1, 2, 1, 2], tp=[16, 16, 8, 8], ep=[16, 16, 8, 8], batch=64)
    of = Servers.of_plans(WORKED, plans).of
    assert of[0] == of[1] and of[2] != of[3]
    assert len(set(Servers.of_plans(replace(WORKED, demand=Demand(1.0)), plans).of.tolist())) == 4


@given(st.lists(st.lists(st.integers(0, 2**40), min_size=3, max_size=3), min_size=1, max_size=20))
def test_packed_numbers_tell_rows_apart_in_their_order(rows):
    keys = packed(list(np.array(rows, dtype=np.int64).T))
    assert [rows[i] for i in np.argsort(keys, kind="stable")] == sorted(rows)
    first, which = grouped(keys)
    assert len(first) == len({tuple(row) for row in rows})
    assert [rows[i] for i in first[which]] == rows


def test_passes_of_prompts_that_are_alike_are_timed_once(monkeypatch):
    batch = np.arange(1, 201)
    plans = join_plans([Plans.of(gpus=32, tp=4, ep=16, dp=2, batch=batch), Plans.of(gpus=8, tp=2, pp=4, batch=batch)])
    cells = []
    found = passes._different

    def spied(step):
        different = found(step)
        cells.append((2 * step.decodes[0].size, None if different is None else len(different[0])))
        return different

    monkeypatch.setattr(passes, "_different", spied)
    once = evaluate(WORKED, plans)
    assert [len(cells), cells[0][1] is not None and 3 * cells[0][1] < cells[0][0]] == [1, True]
    monkeypatch.setattr(passes, "_different", lambda step: None)
    each = evaluate(WORKED, plans)
    for figure in FIGURES:
        assert np.array_equal(getattr(once, figure), getattr(each, figure)), figure
