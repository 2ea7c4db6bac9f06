"""The parts of the page about requests at a rate, and what they are drawn from."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from document_cases import outcome

from costmodel.evaluate import evaluate
from costmodel.serving.own_hits import curves
from search.inputs.models.catalog import load_entry
from search.optimizer.outcome import Outcome
from search.optimizer.regimes import Regimes
from search.render.document import render_plan
from search.render.report import collect
from search.render.report.page import SECTIONS
from search.render.report.rates import thinned
from search.render.report.view import PageView

CHANGES: dict[str, Any] = {
    "workload.isl": 900, "workload.osl": 150, "workload.requests_per_s": 9.0, "workload.arrivals.kind": "poisson",
    "space.gpus": [1, 2, 4], "space.tp": [1, 2, 4], "space.dp": [1, 2, 4], "space.ep": 1, "space.batch": [8, 32, 128],
    "limits.ttft_s": 1.5, "limits.ttft_statistic": "p99", "limits.tpot_s": 0.04, "limits.tpot_statistic": "p99",
    "limits.overflow_risk": 0.05, "verify.top": 1, "verify.seeds": 1, "verify.requests": 200,
    "strategy.sampler": "exact", "sensitivity.enabled": False,
}  # fmt: skip
PARTS = {s.identity: s for s in SECTIONS if s.identity in ("rate", "queue", "regimes")}


@pytest.fixture(scope="module")
def served() -> Outcome:
    return outcome(load_entry("qwen3_8b"), CHANGES)


@pytest.fixture(scope="module")
def values(served: Outcome) -> Any:
    return collect(served)


@pytest.fixture(scope="module")
def found(served: Outcome) -> Regimes:
    assert served.regimes is not None
    return served.regimes


def scored(served: Outcome, rate: float) -> Any:
    assert served.scenario.demand is not None
    demand = replace(served.scenario.demand, requests_per_s=rate, headroom=False)
    return evaluate(replace(served.scenario, demand=demand), served.plans)


@pytest.mark.parametrize("rate", [2.0, 9.0, 25.0])
def test_curves_are_the_figures_at_that_rate(served: Outcome, rate: float) -> None:
    ((rows, curve),) = curves(served.scenario, served.plans)
    point, scores = curve.at(rate, rows), scored(served, rate)
    assert np.array_equal(np.isinf(point.figures["ttft_s"]), np.isinf(scores.ttft_s))
    stable = np.isfinite(scores.ttft_s)
    assert stable.any()
    for name in ("ttft_s", "ttft_s_p99", "tpot_s_p50", "e2e_s_p95", "overflow_risk"):
        one, other = point.figures[name][stable], getattr(scores, name)[stable]
        assert one == pytest.approx(other, rel=0.04, abs=1e-6), name  # another root finder, of few steps
    assert np.array_equal(curve.e2e_s(rate, rows), point.figures["e2e_s"])
    static = [scores.limits.index(limit) for limit in ("memory", "requests")]
    assert (scores.violations[static] <= 0.0).all()
    assert np.mean(point.kept() == scores.feasible) > 0.97


def test_the_winner_is_the_smallest_plan_that_keeps_the_bound(served: Outcome, found: Regimes) -> None:
    """All plans, of every batch, scored anew at some rates of the map."""
    assert found.winner.shape == (len(found.bounds), len(found.rates)) and len(np.unique(found.winner)) > 2
    other = "tpot" if found.figure.startswith("ttft") else "ttft"
    for j in (0, 6, 11):
        scores = scored(served, float(found.rates[j]))
        kept = np.all(scores.violations[[scores.limits.index(x) for x in ("memory", "overflow", other)]] <= 0, axis=0)
        latency = getattr(scores, found.figure)
        for i, bound in enumerate(found.bounds):
            keeps = kept & (latency <= 0.98 * bound)
            winner = found.winner[i, j]
            if keeps.any():
                assert winner >= 0 and served.plans.gpus[winner] <= served.plans.gpus[keeps].min()
            if winner >= 0:
                assert latency[winner] <= 1.02 * bound and scores.ttft_s[winner] < np.inf


def test_fewer_gpus_do_for_less(served: Outcome, found: Regimes) -> None:
    """More requests or a tighter bound never need fewer accelerators."""
    gpus = np.where(found.winner >= 0, served.plans.gpus[found.winner], 1 << 20)
    assert (np.diff(gpus, axis=1) >= 0).all() and (np.diff(gpus, axis=0) <= 0).all()


def test_at_a_crossing_the_winner_changes(served: Outcome, found: Regimes) -> None:
    rates = [c.rate for c in found.crossings]
    assert len(rates) >= 2 and rates == sorted(rates)
    gpus = [int(served.plans.gpus[c.winner]) for c in found.crossings]
    assert gpus == sorted(gpus) and found.own is not None
    for before, after in zip(found.crossings, found.crossings[1:], strict=False):
        if served.plans.gpus[before.winner] == served.plans.gpus[after.winner]:
            continue
        for rate, keeps in ((0.98 * before.rate, True), (1.03 * before.rate, False)):
            assert scored(served, rate).feasible[before.winner] == keeps


def test_every_part_is_there_and_says_what_the_values_say(values: Any) -> None:
    v = PageView(values)
    for identity, part in PARTS.items():
        pictures = part.pictures(v)
        assert part.body(v) and pictures, identity
        for picture in pictures.values():
            json.dumps(picture)  # whole numbers and floats of Python
            sizes = {len(t["x"]) for t in picture["data"] if "x" in t}
            assert min(sizes) >= 1
    knee = PARTS["rate"].pictures(v)["knee-ttft_s"]
    said = " ".join(a["text"] for a in knee["layout"]["annotations"])
    assert "wanted 9" in said and "limit on p99: 1.5 s" in said and "latency limits to" in said
    assert any(t.get("marker", {}).get("symbol") == "diamond" for t in knee["data"])
    cells = PARTS["regimes"].pictures(v)["regimes-all"]["data"][0]["z"]
    assert sum(x > 0 for row in cells for x in row) == sum(c >= 0 for c in values["regime.cell"])


@pytest.mark.parametrize("key", ["knee.most", "knee.ttft_s_p99", "queue.most_waiting", "regime.crossing.0.rate"])
def test_a_value_that_changes_changes_the_page(values: Any, key: str) -> None:
    def drawn(using: Any) -> str:
        v = PageView(using)
        return "".join(f"{p.body(v)}{json.dumps(dict(p.pictures(v)))}" for p in PARTS.values())

    value = values[key]
    new = (value[0] * 1.7, *value[1:]) if isinstance(value, tuple) else value * 1.7 + 1
    assert drawn({**values, key: new}) != drawn(values)


def test_the_document_says_it_too(served: Outcome) -> None:
    text = render_plan(served)
    assert "### At other rates" in text and "in flight that its batch states, their real lengths outgrow" in text


def test_in_the_closed_loop_the_parts_are_left_out(reported: Outcome) -> None:
    v = PageView(collect(reported))
    assert not any(part.body(v) or part.pictures(v) for part in PARTS.values())
    assert reported.regimes is None


def test_a_history_is_thinned_to_where_most_wait() -> None:
    points = np.zeros((5000, 4))
    points[:, 0] = np.arange(5000)
    points[1234, 2] = 7.0
    some = thinned(points)
    assert len(some) == 400 and some[:, 2].max() == 7.0 and (np.diff(some[:, 0]) > 0).all()
