"""A whole search with split plans: figures, files, words."""

import csv
import io
import json

import pytest

from search.inputs.compose import composed
from search.optimizer.run import run
from search.render.document import render_plan
from search.render.document.split_words import verdict_lines
from search.render.run_folder import write_run
from search.render.split import header

BASE = (
    "+experiment=qwen3_32b_h200", "engine=sglang", "strategy=exact", "report=none", "sensitivity=none",
    "space.gpus=[8]", "space.dp=[1,2,4]", "space.pp=1", "space.sp=1", "space.tp=[1,2,4]", "space.batch=[8,32,64,128]",
)  # fmt: skip
SPLIT = (*BASE, "space.serving=[aggregated,split]")


@pytest.fixture(scope="module")
def outcome():
    return run(composed(list(SPLIT), None))


@pytest.fixture(scope="module")
def rows(outcome, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_run(folder, outcome)
    summary = json.loads((folder / "summary.json").read_text())
    return list(csv.DictReader(io.StringIO((folder / "split.csv").read_text()))), summary


def test_plans_fill_the_accelerators_and_keep_the_limits(outcome, rows):
    limits = outcome.scenario.limits
    assert rows[0]
    for row in rows[0]:
        pools = [int(row[f"{p}_instances"]) * int(row[f"{p}_gpus"]) for p in ("prefill", "decode")]
        assert sum(pools) == float(row["gpus"]) == 8
        assert float(row["tpot_s"]) <= limits.tpot_s
        assert float(row["ttft_s"]) <= limits.ttft_s
        usual = float(row["requests_per_s"]) * outcome.scenario.lengths.osl
        assert float(row["output_tokens_per_s"]) == pytest.approx(usual)
        assert float(row["output_tokens_per_s_low"]) <= usual <= float(row["output_tokens_per_s_high"])


def test_the_table_has_its_columns_and_the_winner_its_mark(outcome, rows):
    assert list(rows[0][0]) == header()
    marked = [row["recommended"] for row in rows[0]]
    assert marked[1:] == ["false"] * (len(marked) - 1)
    assert (marked[0] == "true") == (outcome.verdict.winner == "split")
    assert rows[1]["split"]["winner"] == outcome.verdict.winner


def test_the_verdict_is_the_ratio_of_the_two_best(outcome):
    v, (name, _) = outcome.verdict, outcome.policy.first
    best = float(outcome.split.best.column(name)[0])
    alone = float(getattr(outcome.scores, name)[outcome.choice.recommended])
    assert v.ratio == pytest.approx(best / alone)
    assert (v.winner == "split") == (best > alone)
    assert [turn.isl for turn in v.turns] == sorted(turn.isl for turn in v.turns)


def test_the_terminal_and_the_document_say_the_same(outcome):
    lines = verdict_lines(outcome)
    assert lines[0].startswith(f"Split or aggregated: {outcome.verdict.winner}")
    text = render_plan(outcome)
    assert "Split or aggregated\n\n- " in text
    assert "The link must carry" in text


def test_without_split_nothing_is_added(outcome):
    alone = run(composed(list(BASE), None))
    assert alone.split is None
    assert alone.verdict is None
    assert verdict_lines(alone) == []
    assert "Split or aggregated" not in render_plan(alone)
    assert alone.plans.row(alone.choice.recommended) == outcome.plans.row(outcome.choice.recommended)


COUNTED = (
    *(word for word in SPLIT if not word.startswith(("engine=", "space.gpus", "space.dp", "space.tp", "space.batch"))),
    "engine=vllm", "space.gpus=[4,8]", "space.dp=[1,2]", "space.tp=[2,4]", "space.batch=[64,128]", "workload.isl=2048",
    "workload.osl=256", "limits.ttft_s=2", "limits.tpot_s=0.05", "verify.top=0",
)  # fmt: skip
AT_A_RATE = ("objective=rate", "workload.requests_per_s=8", "workload.arrivals.kind=poisson",
             "limits.ttft_statistic=p99", "limits.tpot_statistic=p95")  # fmt: skip


def test_fewer_accelerators_are_as_sure_as_the_rates_on_them():
    o = run(composed([*COUNTED, *AT_A_RATE], None))
    v, f = o.verdict, o.verdict.fewer
    assert (v.column, v.winner, f.gpus, f.more, f.wanted) == ("gpus", "aggregated", 4, 8, 8.0)
    few = o.plans.gpus <= 4
    assert f.aggregated.value == o.scores.max_requests_per_s[few & (o.scores.violations[0] <= 0.0)].max()
    assert f.split.value < 8.0 < f.aggregated.value
    assert v.sure == (f.split.high < 8.0 <= f.aggregated.low)
    line = verdict_lines(o)[0]
    assert line.startswith("Split or aggregated: aggregated, by gpus: 4 instead of 8 for 8 requests/s. On 4, within")
    assert line.endswith("; sure.") is v.sure
    assert ("not sure" in line) is not v.sure


def test_as_many_accelerators_are_told_apart_by_the_next_column():
    o = run(composed([*COUNTED, "objective=fewest_gpus", "limits.min_requests_per_s=4"], None))
    assert (o.verdict.column, o.verdict.fewer) == ("requests_per_s", None)
    assert o.verdict.aggregated.value == o.scores.requests_per_s[o.choice.recommended]
