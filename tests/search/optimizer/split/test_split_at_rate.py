"""Split plans for requests at a rate: the front against the whole product, and what is said of it."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from costmodel.evaluate import evaluate
from search.cli import main as servefront
from search.inputs.compose import composed
from search.optimizer.front import Objectives, pareto_front
from search.optimizer.recommend import Policy
from search.optimizer.run import run
from search.optimizer.space import Space
from search.optimizer.split import at_rate
from search.optimizer.split.asked import asked_of
from search.optimizer.split.pools import own_front
from search.optimizer.split.search import costs_of, pairing_of
from search.render.document import render_plan
from search.render.document.split_words import verdict_lines
from search.render.document.traffic_values import winner_values
from search.render.report import collect
from search.render.report.pictures.rates import regime_pictures
from search.render.report.sections.rates import regimes
from search.render.report.view import PageView
from search.render.run_folder import write_run
from search.render.split import header, split_csv, split_summary

BASE = (
    "+experiment=qwen3_32b_h200", "engine=vllm", "strategy=exact", "report=none", "sensitivity=none", "objective=rate",
    "space.gpus=[4,8]", "space.dp=[1,2]", "space.pp=1", "space.sp=1", "space.tp=[1,2,4]", "space.batch=[8,64,128]",
    "workload.requests_per_s=3", "workload.arrivals.kind=poisson", "workload.isl=2048", "workload.osl=256",
    "limits.ttft_s=2", "limits.ttft_statistic=p99", "limits.tpot_s=0.05", "limits.tpot_statistic=p95",
    "limits.goodput=0.9", "space.serving=[aggregated,split]", "verify.top=1", "verify.requests=200", "verify.seeds=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def outcome():
    return run(composed(list(BASE), None))


KINDS = ("space.split.decode.hardware=b200", "space.split.decode.gpus=[2,4]")


@pytest.mark.parametrize(("engine", "more"), [("vllm", ()), ("vllm", KINDS), ("sglang", ())])
def test_the_front_is_that_of_the_whole_product(outcome, engine, more):
    """SGLang's instances that decode have one stage or as many as those that prefill."""
    o = outcome
    scenario = replace(o.scenario, engine=replace(o.scenario.engine, name=engine))
    space = Space(dict(o.space.axes) | {"pp": (1, 2) if engine == "sglang" else (1,)})
    asked, demand = asked_of(composed([*BASE, *more], None), space), scenario.demand
    p = at_rate.prefill_rows(scenario, space, asked, demand)
    d = at_rate.decode_rows(scenario, space, asked, demand)
    every = at_rate.joined(scenario, p, d, asked, demand)
    match = pairing_of(scenario, p.pool, d.pool, asked)
    classes = zip((p, d), (match.first, match.second), strict=True)
    own = (rows.take(own_front(rows.sizes, each, rows.costs)) for rows, each in classes)
    few = at_rate.joined(scenario, *own, asked, demand)
    fronts = []
    for plans in (every, few):
        costs = costs_of(plans, o.objectives)
        fronts.append(np.unique(np.round(costs[pareto_front(costs, plans.feasible)], 9), axis=0))
    assert len(few) < len(every)
    assert not more or set(every.gpus_of[1].tolist()) == {2, 4}
    assert (set(few.decode.plans.pp[few.d].tolist()) == {1, 2}) == (engine == "sglang")
    np.testing.assert_allclose(fronts[1], fronts[0], rtol=1e-7)


def test_every_plan_keeps_its_limits_by_their_statistics(outcome):
    rows = list(csv.DictReader(io.StringIO(split_csv(outcome))))
    assert rows
    assert list(rows[0]) == header(at_rate=True)
    for row in rows:
        assert float(row["ttft_s_p99"]) <= 2.0
        assert float(row["tpot_s_p95"]) <= 0.05
        assert float(row["goodput"]) >= 0.9
        assert float(row["ttft_s"]) <= float(row["ttft_s_p99"])
        assert float(row["requests_per_s"]) == 3.0
        assert float(row["max_requests_per_s"]) == pytest.approx(3.0 * (1.0 + float(row["rate_headroom"])))
        assert 3.0 < float(row["max_requests_per_s"]) <= float(row["capacity_requests_per_s"]) * (1.0 + 1e-9)
    assert header() == [n for n in header(at_rate=True) if n not in at_rate.AT_A_RATE]


def test_the_verdict_says_percentiles_rates_and_what_was_simulated(outcome):
    text = "\n".join(verdict_lines(outcome))
    best = outcome.split.best
    assert f"it carries {best.served['max_requests_per_s'][0]:.3g} requests/s within the limits" in text
    assert "ttft_s p99" in text
    assert "tpot_s p95" in text
    assert "Simulated request by request, p99:" in text
    assert "At other rates (requests/s)" in text
    rates = [turn.requests_per_s for turn in outcome.verdict.rates]
    assert rates == sorted(rates)
    told = split_summary(outcome)["split"]["simulated"]
    assert told["tpot_s"] == pytest.approx(best.served["tpot_s"][0], rel=0.1)
    assert outcome.verdict.column in outcome.policy.columns


def test_where_the_fewest_accelerators_tie_the_next_column_decides(outcome):
    v = outcome.verdict
    if v.aggregated is not None and v.split is not None:
        same = outcome.plans.gpus[outcome.choice.recommended] == outcome.split.best.figures.gpus[0]
        assert (v.column == "rate_headroom") == bool(same)


@pytest.mark.parametrize("place", [2, 8, 12])
def test_the_map_needs_no_more_accelerators_than_either_search_at_that_rate(outcome, place):
    o, found = outcome, outcome.regimes
    rate = float(found.rates[place])
    there = replace(o.scenario, demand=replace(o.scenario.demand, requests_per_s=rate, headroom=False))
    scores = evaluate(there, o.plans)
    needed = o.plans.gpus[scores.feasible].tolist()
    fewest = Policy({"gpus": "min"})
    apart = at_rate.search_at_rate(there, o.space, asked_of(o.config, o.space),
                                   Objectives(fewest.columns), fewest)  # fmt: skip
    needed += apart.front.figures.gpus.tolist()
    winner = next((c.winner for c in found.crossings if c.rate >= rate), None)
    assert (winner is None) == (not needed)
    if winner is not None:
        assert winner_values(o, winner)["gpus"] == min(needed)


def test_split_plans_win_somewhere_on_the_map_and_are_told(outcome):
    o, found = outcome, outcome.regimes
    rows = len(o.plans)
    assert found.winner.max() >= rows
    told = [winner_values(o, c.winner) for c in found.crossings]
    assert {"split" in values for values in told} == {c.winner >= rows for c in found.crossings}
    text = render_plan(o)
    for values in told:
        assert values.get("split", "") in text
    page = PageView(collect(o))
    assert "split: " in str(regimes(page))
    assert "GPUs, split: " in str(regime_pictures(page))


def test_a_plan_of_the_run_is_simulated_as_the_search_said(outcome, tmp_path):
    """``servefront simulate --plan split:2``, a plan that the search itself did not simulate."""
    write_run(tmp_path / "run", outcome)
    told = list(csv.DictReader(io.StringIO(split_csv(outcome))))[1]
    words = ["simulate", str(tmp_path / "run"), "--plan", "split:2", "--requests", "2000", "--knee", "1"]
    assert servefront([*words, "--out", str(tmp_path / "s")]) == 0
    found = json.loads((tmp_path / "s" / "simulation.json").read_text())
    for name, off in (("ttft_s", 0.15), ("tpot_s", 0.05), ("e2e_s", 0.05)):
        assert found[name]["mean"] == pytest.approx(float(told[name]), rel=off)
    knee = csv.DictReader(io.StringIO((tmp_path / "s" / "knee.csv").read_text()))
    assert min(float(row["requests_per_s"]) for row in knee) == pytest.approx(
        0.2 * float(told["capacity_requests_per_s"]), rel=1e-4
    )
